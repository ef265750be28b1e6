"""The results of operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from streamkeep.event import RecordedEvent, recorded

if TYPE_CHECKING:
    from streamkeep.fields import Imported, Paged, Place


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AppendResult:
    """The version and position of the last event of an append.

    Do not use `position` as a cursor: an event with a smaller position can still be uncommitted. `repeated` tells that
    the same events were appended before; the result is then the one of that time.
    """

    version: int
    position: int
    repeated: bool


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """What an import did: events written, events that were stored already, and the position of the last event given."""

    imported: int
    passed_over: int
    position: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the log. `reached` is the `after` of the next page; `caught_up` tells that nothing more was there."""

    events: list[RecordedEvent]
    reached: int
    caught_up: bool


def append_result(place: Place) -> AppendResult:
    """Make the result of an append from its fields."""
    version, position, repeated = place
    return AppendResult(version=version, position=position, repeated=repeated)


def import_result(done: Imported) -> ImportResult:
    """Make the result of an import from its fields."""
    imported, passed_over, position = done
    return ImportResult(imported=imported, passed_over=passed_over, position=position)


def page(fields: Paged) -> Page:
    """Make a page from its fields."""
    events, reached, caught_up = fields
    return Page(events=[recorded(event) for event in events], reached=reached, caught_up=caught_up)
