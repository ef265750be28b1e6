"""Shared by both store classes: the native store, its options, and what happens when the process forks or ends."""

from __future__ import annotations

import atexit
import datetime as dt
import os
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict

from streamkeep import _native
from streamkeep.errors import ClosedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamkeep.event import Event, ImportEvent
    from streamkeep.fields import EventFields, ImportFields

Seconds = float | dt.timedelta
Direction = Literal["forward", "backward"]
Start = Literal["beginning", "now"]
Durability = Literal["full", "relaxed"]

_handles: Final[weakref.WeakSet[Handle]] = weakref.WeakSet()


class OpenOptions(TypedDict, total=False):
    """The options of `open`. Each can also be a parameter of the URL; durations end in `_ms` there."""

    namespace: str | None
    create: bool | None
    durability: Durability | None
    timeout: Seconds | None
    poll_interval: Seconds | None
    max_connections: int | None
    insecure: bool | None


class Handle:
    """A native store, and whether it was closed."""

    __slots__ = ("__weakref__", "closed", "kind", "native")

    def __init__(self, native: _native.Store, kind: str) -> None:
        self.native = native
        self.kind = kind
        self.closed = False
        _handles.add(self)

    def check(self) -> None:
        """Raise `ClosedError` if the store is closed, so that events read ahead are not returned any more."""
        if self.closed:
            raise ClosedError("the store is closed")

    def warn_if_open(self, store: object) -> None:
        """Warn about a store that is freed before it is closed."""
        if not self.closed:
            warnings.warn(f"unclosed {store!r}", ResourceWarning, source=store, stacklevel=3)

    def __repr__(self) -> str:
        return f"{self.kind} {'closed' if self.closed else 'open'}"


def kind_of(url: str) -> str:
    """Return the scheme, the only part of a URL that may be shown."""
    return f"{url.partition(':')[0]}:" if isinstance(url, str) else "?"


def native_options(options: OpenOptions) -> dict[str, Any]:
    """Convert options for the native module."""
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    for name in ("timeout", "poll_interval"):
        if name in given:
            given[name] = in_seconds(given[name])
    return given


def in_seconds(time: Seconds | None) -> float | None:
    """Convert a duration to seconds."""
    return time.total_seconds() if isinstance(time, dt.timedelta) else time


def crossing(events: Iterable[Event]) -> list[EventFields]:
    """Convert events for the native module."""
    try:
        return [event._fields for event in events]
    except AttributeError:
        raise TypeError("events must be Event objects") from None


def imports_crossing(events: Iterable[ImportEvent]) -> list[ImportFields]:
    """Convert events to import for the native module."""
    try:
        return [event._crossing() for event in events]  # noqa: SLF001 ours
    except AttributeError:
        raise TypeError("events must be ImportEvent objects") from None


def _forked() -> None:
    """Mark the parent's stores as closed in a forked child."""
    for handle in list(_handles):
        handle.closed = True


os.register_at_fork(after_in_child=_forked)
atexit.register(_native.stop)
