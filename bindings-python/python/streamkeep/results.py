# Generated from generate/surface.json by `make generate`. Do not edit it.

"""The results of operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from streamkeep.event import RecordedEvent, recorded

if TYPE_CHECKING:
    from streamkeep.fields import AppendResultFields, ImportResultFields, PageFields


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AppendResult:
    """The version and position of the last event of an append.

    Do not use `position` as a cursor: an event with a smaller position can still be uncommitted. `repeated` tells that
    the same events were appended before; the result is then the one of that time.
    """

    version: int
    """The stream's version after the append."""
    position: int
    """The position of the last event."""
    repeated: bool
    """Whether the same events were appended before."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """What an import did."""

    imported: int
    """Events written."""
    passed_over: int
    """Events that were stored already, with the same content."""
    position: int
    """The position of the last event given; 0 if none was given."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the log."""

    events: list[RecordedEvent]
    """The events that match, in the order of positions."""
    reached: int
    """How far the page looked: the `after` of the next page."""
    caught_up: bool
    """Whether nothing more was there to read."""


def append_result(fields: AppendResultFields) -> AppendResult:
    """Make the result from its fields."""
    version, position, repeated = fields
    return AppendResult(version=version, position=position, repeated=repeated)


def import_result(fields: ImportResultFields) -> ImportResult:
    """Make the result from its fields."""
    imported, passed_over, position = fields
    return ImportResult(imported=imported, passed_over=passed_over, position=position)


def page(fields: PageFields) -> Page:
    """Make the result from its fields."""
    events, reached, caught_up = fields
    return Page(events=[recorded(event) for event in events], reached=reached, caught_up=caught_up)
