"""Shared by both store classes: the native store, its options, and what happens when the process forks or ends."""

from __future__ import annotations

import atexit
import datetime as dt
import os
import warnings
import weakref
from typing import Any, Final, Literal, Self, TypedDict

from streamkeep import _native
from streamkeep.errors import ClosedError, InvalidArgumentError

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

    __slots__ = ("__weakref__", "closed", "hint", "kind", "native")

    def __init__(self, native: _native.Store, kind: str) -> None:
        self.native = native
        self.kind = kind
        self.closed = False
        self.hint: str | None = None
        _handles.add(self)

    def check(self, operation: str) -> None:
        """Raise `ClosedError` if the store is closed, so that events read ahead are not returned any more."""
        if self.closed:
            raise ClosedError("the store is closed", operation=operation, hint=self.hint)

    def warn_if_open(self, store: object) -> None:
        """Warn about a store that is freed before it is closed."""
        if not self.closed:
            warnings.warn(f"unclosed {store!r}", ResourceWarning, source=store, stacklevel=3)

    def __repr__(self) -> str:
        return f"{self.kind} {'closed' if self.closed else 'open'}"


class MadeByOpen:
    """A store class. Only its `open` makes a store; the constructor says so."""

    __slots__ = ("__weakref__", "_handle")

    _handle: Handle

    def __init__(self, *_arguments: object, **_options: object) -> None:
        """Use `open`."""
        name = type(self).__name__
        raise TypeError(f"a store is made by {name}.open(url)")

    @classmethod
    def _of(cls, handle: Handle) -> Self:
        store = object.__new__(cls)
        store._handle = handle
        return store


def kind_of(url: str) -> str:
    """Return the scheme, the only part of a URL that may be shown."""
    return f"{url.partition(':')[0]}:" if isinstance(url, str) else "?"


def native_options(options: OpenOptions) -> dict[str, Any]:
    """Convert options for the native module."""
    for name in options:
        if name not in OpenOptions.__annotations__:
            raise TypeError(f"open() has no option {name!r}")
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    for name in ("timeout", "poll_interval"):
        if name in given:
            given[name] = in_seconds(given[name])
    return given


def in_seconds(time: Seconds | None) -> float | None:
    """Convert a duration to seconds."""
    return time.total_seconds() if isinstance(time, dt.timedelta) else time


def patience(idle_timeout: Seconds | None) -> float | None:
    """Convert the idle timeout of a subscription to seconds, and check it: native code sees it at the first event only."""
    seconds = in_seconds(idle_timeout)
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError("idle_timeout must be a number of seconds or a datetime.timedelta")
    if not seconds >= 0:
        raise InvalidArgumentError("idle_timeout must not be negative", argument="idle_timeout", operation="subscribe")
    return seconds


def told_when_caught_up(on_caught_up: object) -> None:
    """Check what a subscription is to call."""
    if on_caught_up is not None and not callable(on_caught_up):
        raise TypeError("on_caught_up must be callable")


def _forked() -> None:
    """Mark the parent's stores as closed in a forked child."""
    for handle in list(_handles):
        handle.closed = True
        handle.hint = "the store was opened before the process was forked: open one in the child process"


os.register_at_fork(after_in_child=_forked)
atexit.register(_native.stop)
