"""What operations answer."""

from __future__ import annotations

from typing import NamedTuple

from streamkeep.event import RecordedEvent  # noqa: TC001 resolvable at run time


class AppendResult(NamedTuple):
    """Where an append's last event stands.

    `position` is not a cursor: an event with a smaller position may still be on its way. `repeated` says that the same events were
    appended before, and that this is the first append's answer.
    """

    version: int
    position: int
    repeated: bool


class ImportResult(NamedTuple):
    """What an import did: events written, events that were there already, and the position of the last event given."""

    imported: int
    passed_over: int
    position: int


class Page(NamedTuple):
    """A page of the log. `reached` is how far it got, and the next page's `after`; `caught_up` that nothing more was there."""

    events: list[RecordedEvent]
    reached: int
    caught_up: bool
