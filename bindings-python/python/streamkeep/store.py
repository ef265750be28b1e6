"""The store, for blocking code."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Self, Unpack, final

from streamkeep import _native
from streamkeep.content import restored
from streamkeep.errors import ClosedError
from streamkeep.event import RecordedEvent, crossing, imports_crossing, recorded
from streamkeep.greenlets import warn_of_greenlets
from streamkeep.handle import Handle, MadeByOpen, OpenOptions, in_seconds, kind_of, native_options, patience, told_when_caught_up
from streamkeep.query import EVERYTHING, Query, query_crossing
from streamkeep.results import AppendResult, ImportResult, Page, append_result, import_result, page
from streamkeep.snapshot import Snapshot, snapshot_crossing
from streamkeep.version import ANY, ExpectedVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from types import TracebackType

    from streamkeep._native import Cursor
    from streamkeep.event import Event, ImportEvent
    from streamkeep.fields import RecordedEventFields
    from streamkeep.handle import Direction, Seconds, Start


@final
class EventStore(MadeByOpen):
    """One open handle on one namespace of one database.

    Calls block only the calling thread, and Ctrl-C interrupts them. Many threads may use a handle at the same time.
    """

    __slots__ = ()

    @classmethod
    def open(cls, url: str, **options: Unpack[OpenOptions]) -> Self:
        """Open `memory:`, `memory:NAME`, `sqlite:PATH`, `postgres://…`, `mongodb://…` or `mongodb+srv://…`.

        It creates what is missing. The options, which can also be parameters of the URL, and their defaults:
        `namespace` (`default`), `create` (true), `durability` (`full`; or `relaxed`), `timeout` of an operation (30 s),
        `poll_interval` of subscriptions (250 ms), `max_connections` (10), `insecure` (false).

        Raises `ConfigError` if the URL, an option or the configuration of the server is wrong; `UnavailableError`.
        """
        warn_of_greenlets()
        return cls._of(Handle(_native.open(None, url, **native_options(options)), kind_of(url)))

    def append(
        self,
        stream: str,
        events: Iterable[Event],
        *,
        expected: ExpectedVersion | int = ANY,
        timeout: Seconds | None = None,
    ) -> AppendResult:
        """Append events to a stream: all of them or none, with consecutive versions. Acknowledged means durable.

        Repeating an append of the same events is safe: the result is then that of the first time, marked `repeated`. An
        append has at least one event, and at most 10,000 events and 32 MiB. `timeout` covers all waiting.

        Raises `ConflictError`, `DuplicateEventError`, `InvalidArgumentError`, `LimitExceededError`, `UnavailableError`
        (with its `outcome`), `ClosedError`.
        """
        return append_result(self._handle.native.append(None, stream, crossing(events), expected, in_seconds(timeout)))

    def import_events(
        self,
        events: Iterable[ImportEvent],
        *,
        timeout: Seconds | None = None,
    ) -> ImportResult:
        """Import events that were recorded elsewhere. Positions are new, in the order given.

        Each 1,000 events are written completely or not at all. An event that is stored already is passed over, so an
        import can be repeated and resumed. `timeout` covers the whole import.

        Raises `DuplicateEventError` if an id is known with other content, `ConflictError` if a version does not follow;
        otherwise as `append`.
        """
        return import_result(self._handle.native.import_events(None, imports_crossing(events), in_seconds(timeout)))

    def read(
        self,
        stream: str,
        *,
        from_version: int = 1,
        to_version: int | None = None,
        direction: Direction = "forward",
        limit: int | None = None,
        timeout: Seconds | None = None,
    ) -> Generator[RecordedEvent, None, None]:
        """Read the events of a stream page by page, in the order of versions. Both bounds are inclusive.

        An absent stream has no events. A reader that stops half way leaves nothing behind. The call raises
        `InvalidArgumentError`; the iteration raises `UnavailableError`, `ClosedError`.
        """
        cursor = self._handle.native.read(stream, from_version, to_version, direction, limit, in_seconds(timeout))
        return _events(self._handle, cursor, "read")

    def read_all(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        query: Query = EVERYTHING,
        direction: Direction = "forward",
        limit: int | None = None,
        timeout: Seconds | None = None,
    ) -> Generator[RecordedEvent, None, None]:
        """Read the matching events of the log. Both bounds are exclusive; a limit counts matches. Errors as `read`."""
        cursor = self._handle.native.read_all(after, before, query_crossing(query), direction, limit, in_seconds(timeout))
        return _events(self._handle, cursor, "read_all")

    def read_page(
        self,
        *,
        after: int = 0,
        query: Query = EVERYTHING,
        limit: int | None = None,
        timeout: Seconds | None = None,
    ) -> Page:
        """Read one page of the log: at most 1,000 events. Errors as `read`, and `LimitExceededError`."""
        return page(self._handle.native.read_page(None, after, query_crossing(query), limit, in_seconds(timeout)))

    def last(self, stream: str, *, timeout: Seconds | None = None) -> RecordedEvent | None:
        """Return the last event of a stream, or `None` if the stream is absent. An acknowledged append is seen at once.

        >>> with EventStore.open("memory:") as store:
        ...     at = store.append("order-42", [Event("OrderPlaced", {}), Event("OrderPaid", {})])
        ...     store.last("order-42").type, store.last("order-43")
        ('OrderPaid', None)

        Raises `InvalidArgumentError`, `UnavailableError`, `ClosedError`.
        """
        found = self._handle.native.last(None, stream, in_seconds(timeout))
        return None if found is None else recorded(found)

    def subscribe(
        self,
        *,
        query: Query = EVERYTHING,
        start: Start | None = None,
        after: int | None = None,
        on_caught_up: Callable[[], object] | None = None,
        idle_timeout: Seconds | None = None,
    ) -> Subscription:
        """Subscribe to the log: every committed event that matches, once, in the order of positions.

        It begins at `start`, which is `beginning` (the default) or `now`, or after the position `after`. It first
        catches up and then goes on with new events. `on_caught_up` is called on the iterating thread when everything
        committed so far was returned. `idle_timeout` ends an iteration after that time without an event. If the database
        is lost, the subscription reconnects.

        The call raises `InvalidArgumentError`, `LimitExceededError`; the iteration raises `CheckpointAheadError`,
        `CorruptError`, `ConfigError`, `ClosedError`.
        """
        told_when_caught_up(on_caught_up)
        waits = patience(idle_timeout)
        cursor = self._handle.native.subscribe(query_crossing(query), start, after)
        return Subscription(self._handle, cursor, on_caught_up, waits)

    def save_snapshot(
        self,
        snapshot: Snapshot,
        *,
        timeout: Seconds | None = None,
    ) -> None:
        """Save a snapshot, and replace one with the same stream, schema and version.

        Raises `InvalidArgumentError` if the snapshot's version is 0 or above the stream's.
        """
        self._handle.native.save_snapshot(None, snapshot_crossing(snapshot), in_seconds(timeout))

    def load_snapshot(
        self,
        stream: str,
        schema: str,
        *,
        at_or_before: int | None = None,
        timeout: Seconds | None = None,
    ) -> Snapshot | None:
        """Load the newest valid snapshot, at or before a version if one is given."""
        found = self._handle.native.load_snapshot(None, stream, schema, at_or_before, in_seconds(timeout))
        return None if found is None else restored(Snapshot, found)

    def head(
        self,
        *,
        timeout: Seconds | None = None,
    ) -> int:
        """Return the position of the last committed event that is safe to read; 0 if the log is empty."""
        return self._handle.native.head(None, in_seconds(timeout))

    def close(self) -> None:
        """Wait for calls in flight, then free everything. Closing twice is fine; any later use raises `ClosedError`."""
        self._handle.closed = True
        with contextlib.suppress(ClosedError):  # in a forked child, or at the end of the interpreter
            self._handle.native.close(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            self._handle.warn_if_open(self)

    def __repr__(self) -> str:
        return f"<EventStore {self._handle!r}>"


@final
class Subscription:
    """A subscription to the log: an iterator that waits. Iterate it in one thread; `close` it from any."""

    __slots__ = ("__weakref__", "_caught_up", "_cursor", "_ended", "_events", "_handle", "_on_caught_up", "_timeout")

    def __init__(self, handle: Handle, cursor: Cursor, on_caught_up: Callable[[], object] | None, timeout: float | None) -> None:
        """Use `EventStore.subscribe`."""
        self._handle = handle
        self._cursor = cursor
        self._on_caught_up = on_caught_up
        self._timeout = timeout
        self._events: Iterator[RecordedEventFields] = iter(())
        self._caught_up = False
        self._ended = False

    def close(self) -> None:
        """End the iteration, even while it waits. Calling it twice is fine."""
        self._ended = True
        with contextlib.suppress(ClosedError):  # ended with its process
            self._cursor.stop()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> RecordedEvent:
        until = None if self._timeout is None else time.monotonic() + self._timeout
        while not self._ended:
            self._handle.check("subscribe")
            for fields in self._events:
                return recorded(fields)
            if self._caught_up:
                self._caught_up = False
                if self._on_caught_up is not None:
                    self._on_caught_up()
                continue
            left = None if until is None else max(0.0, until - time.monotonic())
            pulled = self._cursor.next(None, left)
            if pulled is None:
                self._ended = True
                break
            events, self._caught_up = pulled
            if not events and not self._caught_up:
                break
            self._events = iter(events)
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _events(handle: Handle, cursor: Cursor, operation: str) -> Generator[RecordedEvent, None, None]:
    while (page := cursor.next(None)) is not None:
        for fields in page[0]:
            handle.check(operation)
            yield recorded(fields)
