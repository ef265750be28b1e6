"""The store, for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import os
import time
import weakref
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, Unpack, final

from streamkeep import _native
from streamkeep.content import restored
from streamkeep.errors import ClosedError, ConfigError
from streamkeep.event import RecordedEvent, crossing, imports_crossing, recorded
from streamkeep.handle import Handle, MadeByOpen, OpenOptions, in_seconds, kind_of, native_options, patience, told_when_caught_up
from streamkeep.query import EVERYTHING, Query, query_crossing
from streamkeep.results import AppendResult, ImportResult, Page, append_result, import_result, page
from streamkeep.snapshot import Snapshot, snapshot_crossing
from streamkeep.version import ANY, ExpectedVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from types import TracebackType

    from streamkeep._native import Call, Cursor
    from streamkeep.event import Event, ImportEvent
    from streamkeep.fields import RecordedEventFields
    from streamkeep.handle import Direction, Seconds, Start

_T = TypeVar("_T")

_bridges: Final[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _native.Bridge]] = weakref.WeakKeyDictionary()
# A forked child has its own loops and threads.
os.register_at_fork(after_in_child=_bridges.clear)


def _bridge() -> _native.Bridge:
    """Return the bridge of the running loop."""
    loop = asyncio.get_running_loop()
    bridge = _bridges.get(loop)
    return _bridge_to(loop) if bridge is None else bridge


def _bridge_to(loop: asyncio.AbstractEventLoop) -> _native.Bridge:
    """Make the bridge of a loop, and drop those of closed loops, whose calls nobody waits for."""
    for reference in _bridges.keyrefs():
        other = reference()
        if other is not None and other.is_closed():
            _bridges.pop(other, None)
    bridge = _native.Bridge(loop)
    try:
        # In a context of its own: the loop keeps it, and with it the values of the task that happens to come first.
        contextvars.Context().run(loop.add_reader, bridge.fileno(), bridge.go_on)
    except NotImplementedError:
        raise ConfigError("this event loop cannot watch sockets", hint="use an asyncio.SelectorEventLoop") from None
    _bridges[loop] = bridge
    return bridge


async def _answer(call: Call[_T]) -> _T:
    """Wait for a call, and abandon it if the waiting task is cancelled."""
    try:
        return await call.future
    except BaseException:
        call.abandon()
        raise


@final
class AsyncEventStore(MadeByOpen):
    """One open handle on one namespace of one database.

    Each call is awaited on the loop that made it; a handle may serve several loops. If a call is cancelled, an append
    that still waits is withdrawn. One that was sent runs to its end; append the same events again to learn its outcome.
    """

    __slots__ = ()

    @classmethod
    def open(cls, url: str, **options: Unpack[OpenOptions]) -> Opening:
        """Open a store: `await` it, or enter it with `async with`. See `EventStore.open`."""
        return Opening(url, options)

    async def append(
        self,
        stream: str,
        events: Iterable[Event],
        *,
        expected: ExpectedVersion | int = ANY,
        timeout: Seconds | None = None,  # noqa: ASYNC109 core applies it, and knows the outcome of the append
    ) -> AppendResult:
        """Append events to a stream: see `EventStore.append`."""
        native = self._handle.native
        return append_result(await _answer(native.append(_bridge(), stream, crossing(events), expected, in_seconds(timeout))))

    async def import_events(
        self,
        events: Iterable[ImportEvent],
        *,
        timeout: Seconds | None = None,  # noqa: ASYNC109 core applies it
    ) -> ImportResult:
        """Import events that were recorded elsewhere: see `EventStore.import_events`."""
        return import_result(await _answer(self._handle.native.import_events(_bridge(), imports_crossing(events), in_seconds(timeout))))

    def read(
        self,
        stream: str,
        *,
        from_version: int = 1,
        to_version: int | None = None,
        direction: Direction = "forward",
        limit: int | None = None,
        timeout: Seconds | None = None,
    ) -> AsyncEvents:
        """Read a stream's events: see `EventStore.read`."""
        cursor = self._handle.native.read(stream, from_version, to_version, direction, limit, in_seconds(timeout))
        return AsyncEvents(self._handle, cursor, "read")

    def read_all(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        query: Query = EVERYTHING,
        direction: Direction = "forward",
        limit: int | None = None,
        timeout: Seconds | None = None,
    ) -> AsyncEvents:
        """Read the log's events that match: see `EventStore.read_all`."""
        cursor = self._handle.native.read_all(after, before, query_crossing(query), direction, limit, in_seconds(timeout))
        return AsyncEvents(self._handle, cursor, "read_all")

    async def read_page(
        self,
        *,
        after: int = 0,
        query: Query = EVERYTHING,
        limit: int | None = None,
        timeout: Seconds | None = None,  # noqa: ASYNC109 core applies it
    ) -> Page:
        """Read one page of the log: see `EventStore.read_page`."""
        return page(await _answer(self._handle.native.read_page(_bridge(), after, query_crossing(query), limit, in_seconds(timeout))))

    async def last(self, stream: str, *, timeout: Seconds | None = None) -> RecordedEvent | None:  # noqa: ASYNC109 core applies it
        """Return the last event of a stream: see `EventStore.last`."""
        found = await _answer(self._handle.native.last(_bridge(), stream, in_seconds(timeout)))
        return None if found is None else recorded(found)

    def subscribe(
        self,
        *,
        query: Query = EVERYTHING,
        start: Start | None = None,
        after: int | None = None,
        on_caught_up: Callable[[], object] | None = None,
        idle_timeout: Seconds | None = None,
    ) -> AsyncEvents:
        """Subscribe to the log: see `EventStore.subscribe`. `on_caught_up` may be a coroutine function."""
        told_when_caught_up(on_caught_up)
        waits = patience(idle_timeout)
        cursor = self._handle.native.subscribe(query_crossing(query), start, after)
        return AsyncEvents(self._handle, cursor, "subscribe", on_caught_up, waits)

    async def save_snapshot(
        self,
        snapshot: Snapshot,
        *,
        timeout: Seconds | None = None,  # noqa: ASYNC109 core applies it
    ) -> None:
        """Save a snapshot: see `EventStore.save_snapshot`."""
        await _answer(self._handle.native.save_snapshot(_bridge(), snapshot_crossing(snapshot), in_seconds(timeout)))

    async def load_snapshot(
        self,
        stream: str,
        schema: str,
        *,
        at_or_before: int | None = None,
        timeout: Seconds | None = None,  # noqa: ASYNC109 core applies it
    ) -> Snapshot | None:
        """Load the newest valid snapshot: see `EventStore.load_snapshot`."""
        found = await _answer(self._handle.native.load_snapshot(_bridge(), stream, schema, at_or_before, in_seconds(timeout)))
        return None if found is None else restored(Snapshot, found)

    async def head(
        self,
        *,
        timeout: Seconds | None = None,  # noqa: ASYNC109 core applies it
    ) -> int:
        """Return the position of the last committed event that is safe to read: see `EventStore.head`."""
        return await _answer(self._handle.native.head(_bridge(), in_seconds(timeout)))

    async def close(self) -> None:
        """Wait for calls in flight, then free everything: see `EventStore.close`."""
        self._handle.closed = True
        with contextlib.suppress(ClosedError):  # in a forked child, or at the end of the interpreter
            await _answer(self._handle.native.close(_bridge()))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            self._handle.warn_if_open(self)

    def __repr__(self) -> str:
        return f"<AsyncEventStore {self._handle!r}>"


@final
class Opening:
    """A store that is being opened: `await` it, or enter it with `async with`."""

    __slots__ = ("_options", "_store", "_url")

    def __init__(self, url: str, options: OpenOptions) -> None:
        """Use `AsyncEventStore.open`."""
        self._url = url
        self._options = native_options(options)
        self._store: AsyncEventStore | None = None

    def __await__(self) -> Generator[Any, Any, AsyncEventStore]:
        return self._open().__await__()

    async def __aenter__(self) -> AsyncEventStore:
        self._store = await self._open()
        return self._store

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._store is not None:
            await self._store.close()

    async def _open(self) -> AsyncEventStore:
        native = await _answer(_native.open(_bridge(), self._url, **self._options))
        return AsyncEventStore._of(  # noqa: SLF001 ours
            Handle(native, kind_of(self._url))
        )


@final
class AsyncEvents:
    """The events of a read or a subscription: an asynchronous iterator, for one task at a time.

    A cancelled wait loses no events: the next one continues where it was. `aclose` ends it, from any task; so does
    dropping it.
    """

    __slots__ = (
        "__weakref__",
        "_call",
        "_caught_up",
        "_cursor",
        "_ended",
        "_events",
        "_handle",
        "_on_caught_up",
        "_operation",
        "_timeout",
        "_waiting",
    )

    def __init__(
        self,
        handle: Handle,
        cursor: Cursor,
        operation: str,
        on_caught_up: Callable[[], object] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Use `AsyncEventStore.read`, `read_all` or `subscribe`."""
        self._handle = handle
        self._cursor = cursor
        self._operation = operation
        self._on_caught_up = on_caught_up
        self._timeout = timeout
        self._events: Iterator[RecordedEventFields] = iter(())
        self._caught_up = False
        self._ended = False
        self._waiting = False
        self._call: Call[tuple[list[RecordedEventFields], bool] | None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RecordedEvent:
        if self._waiting:
            raise RuntimeError("another task is waiting for these events")
        self._waiting = True
        try:
            until = None if self._timeout is None else time.monotonic() + self._timeout
            while not self._ended:
                self._handle.check(self._operation)
                for fields in self._events:
                    return recorded(fields)
                if self._caught_up:
                    await self._tell()
                elif not await self._pull(until):
                    break
            raise StopAsyncIteration
        finally:
            self._waiting = False

    async def _tell(self) -> None:
        """Call `on_caught_up`."""
        self._caught_up = False
        if self._on_caught_up is not None:
            told = self._on_caught_up()
            if inspect.isawaitable(told):
                await told

    async def _pull(self, until: float | None) -> bool:
        """Pull the next batch. Return whether there was one."""
        left = None if until is None else max(0.0, until - time.monotonic())
        if self._call is None or self._call.future.cancelled():
            self._call = self._cursor.next(_bridge(), left)
        at_once = self._call.future.done()
        try:
            pulled = await _answer(self._call)
        except asyncio.CancelledError:
            raise  # a result that arrived meanwhile stays in the call, for the next caller
        except BaseException:
            self._call = None
            raise
        self._call = None
        if pulled is None:
            self._ended = True
            return False
        self._events, self._caught_up = iter(pulled[0]), pulled[1]
        if at_once:
            await asyncio.sleep(0)  # a long read yields to other tasks after each page
        return self._caught_up or len(pulled[0]) > 0

    async def aclose(self) -> None:
        """End the iteration, even while it waits. Calling it twice is fine."""
        self._ended = True
        with contextlib.suppress(ClosedError):  # ended with its process
            self._cursor.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()
