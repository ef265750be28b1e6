# Generated from generate/surface.json by `make generate`. Do not edit it.

"""The native module, which is private. Without a bridge a call blocks; with one, its result goes to the bridge's loop."""

import asyncio
from typing import Final, Generic, Literal, TypeAlias, TypeVar, final, overload

from streamkeep.fields import (
    AppendResultFields,
    EventFields,
    ImportEventFields,
    ImportResultFields,
    Items,
    PageFields,
    RecordedEventFields,
    SnapshotFields,
)

__all__ = ["Bridge", "Call", "Cursor", "Store", "__version__", "new_id", "open", "panic_inside", "stop"]

_T = TypeVar("_T")

_Batch: TypeAlias = tuple[list[RecordedEventFields], bool]

__version__: Final[str]

@final
class Bridge:
    def __new__(cls, event_loop: asyncio.AbstractEventLoop) -> Bridge: ...
    def fileno(self) -> int: ...
    def go_on(self) -> None: ...

@final
class Call(Generic[_T]):
    @property
    def future(self) -> asyncio.Future[_T]: ...
    def abandon(self) -> None: ...

@final
class Cursor:
    @overload
    def next(self, bridge: None, timeout: float | None = None) -> _Batch | None: ...
    @overload
    def next(self, bridge: Bridge, timeout: float | None = None) -> Call[_Batch | None]: ...
    def stop(self) -> None: ...

@final
class Store:
    @overload
    def append(
        self,
        bridge: None,
        stream: str,
        events: list[EventFields],
        expected: int | str,
        timeout: float | None,
    ) -> AppendResultFields: ...
    @overload
    def append(
        self,
        bridge: Bridge,
        stream: str,
        events: list[EventFields],
        expected: int | str,
        timeout: float | None,
    ) -> Call[AppendResultFields]: ...
    @overload
    def close(
        self,
        bridge: None,
    ) -> None: ...
    @overload
    def close(
        self,
        bridge: Bridge,
    ) -> Call[None]: ...
    @overload
    def head(
        self,
        bridge: None,
        timeout: float | None,
    ) -> int: ...
    @overload
    def head(
        self,
        bridge: Bridge,
        timeout: float | None,
    ) -> Call[int]: ...
    @overload
    def import_events(
        self,
        bridge: None,
        events: list[ImportEventFields],
        timeout: float | None,
    ) -> ImportResultFields: ...
    @overload
    def import_events(
        self,
        bridge: Bridge,
        events: list[ImportEventFields],
        timeout: float | None,
    ) -> Call[ImportResultFields]: ...
    @overload
    def last(
        self,
        bridge: None,
        stream: str,
        timeout: float | None,
    ) -> RecordedEventFields | None: ...
    @overload
    def last(
        self,
        bridge: Bridge,
        stream: str,
        timeout: float | None,
    ) -> Call[RecordedEventFields | None]: ...
    @overload
    def load_snapshot(
        self,
        bridge: None,
        stream: str,
        schema: str,
        at_or_before: int | None,
        timeout: float | None,
    ) -> SnapshotFields | None: ...
    @overload
    def load_snapshot(
        self,
        bridge: Bridge,
        stream: str,
        schema: str,
        at_or_before: int | None,
        timeout: float | None,
    ) -> Call[SnapshotFields | None]: ...
    @overload
    def read_page(
        self,
        bridge: None,
        after: int,
        query: Items,
        limit: int | None,
        timeout: float | None,
    ) -> PageFields: ...
    @overload
    def read_page(
        self,
        bridge: Bridge,
        after: int,
        query: Items,
        limit: int | None,
        timeout: float | None,
    ) -> Call[PageFields]: ...
    @overload
    def save_snapshot(
        self,
        bridge: None,
        snapshot: SnapshotFields,
        timeout: float | None,
    ) -> None: ...
    @overload
    def save_snapshot(
        self,
        bridge: Bridge,
        snapshot: SnapshotFields,
        timeout: float | None,
    ) -> Call[None]: ...
    def read(
        self,
        stream: str,
        from_version: int,
        to_version: int | None,
        direction: Literal["forward", "backward"],
        limit: int | None,
        timeout: float | None,
    ) -> Cursor: ...
    def read_all(
        self,
        after: int,
        before: int | None,
        query: Items,
        direction: Literal["forward", "backward"],
        limit: int | None,
        timeout: float | None,
    ) -> Cursor: ...
    def subscribe(
        self,
        query: Items,
        start: Literal["beginning", "now"] | None,
        after: int | None,
    ) -> Cursor: ...

@overload
def open(
    bridge: None,
    url: str,
    *,
    namespace: str | None = None,
    create: bool | None = None,
    durability: Literal["full", "relaxed"] | None = None,
    timeout: float | None = None,
    poll_interval: float | None = None,
    max_connections: int | None = None,
    insecure: bool | None = None,
) -> Store: ...
@overload
def open(
    bridge: Bridge,
    url: str,
    *,
    namespace: str | None = None,
    create: bool | None = None,
    durability: Literal["full", "relaxed"] | None = None,
    timeout: float | None = None,
    poll_interval: float | None = None,
    max_connections: int | None = None,
    insecure: bool | None = None,
) -> Call[Store]: ...
def new_id() -> bytes: ...
def stop() -> None: ...
@overload
def panic_inside(bridge: None) -> None: ...
@overload
def panic_inside(bridge: Bridge) -> Call[None]: ...
