"""The results of operations."""

from __future__ import annotations

from typing import NamedTuple

from streamkeep.event import RecordedEvent  # noqa: TC001 resolvable at run time


class AppendResult(NamedTuple):
    """The version and position of the last event of an append.

    Do not use `position` as a cursor: an event with a smaller position can still be uncommitted. `repeated` tells that
    the same events were appended before; the result is then the one of that time.
    """

    version: int
    position: int
    repeated: bool


class ImportResult(NamedTuple):
    """What an import did: events written, events that were stored already, and the position of the last event given."""

    imported: int
    passed_over: int
    position: int


class Page(NamedTuple):
    """A page of the log. `reached` is the `after` of the next page; `caught_up` tells that nothing more was there."""

    events: list[RecordedEvent]
    reached: int
    caught_up: bool
