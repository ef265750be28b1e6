"""An event store as a library: append, read, snapshot and subscribe, with one contract on memory, SQLite, Postgres and MongoDB.

Start at `EventStore`, or at `AsyncEventStore` for asyncio.
"""

from streamkeep import subinterpreters as _refused_there  # noqa: F401 before the native module  # isort: skip
from streamkeep._native import __version__
from streamkeep.aio import AsyncEvents, AsyncEventStore, Opening
from streamkeep.content import ContentType
from streamkeep.errors import (
    CheckpointAheadError,
    ClosedError,
    ConfigError,
    ConflictError,
    CorruptError,
    DuplicateEventError,
    InternalError,
    InvalidArgumentError,
    LimitExceededError,
    NotFoundError,
    StreamkeepError,
    UnavailableError,
)
from streamkeep.event import Event, ImportEvent, RecordedEvent
from streamkeep.handle import Direction, Durability, OpenOptions, Seconds, Start
from streamkeep.query import Query, QueryItem
from streamkeep.results import AppendResult, ImportResult, Page
from streamkeep.snapshot import Snapshot
from streamkeep.store import EventStore, Subscription
from streamkeep.version import ANY, NO_STREAM, STREAM_EXISTS, ExpectedVersion

__all__ = [
    "ANY",
    "NO_STREAM",
    "STREAM_EXISTS",
    "AppendResult",
    "AsyncEventStore",
    "AsyncEvents",
    "CheckpointAheadError",
    "ClosedError",
    "ConfigError",
    "ConflictError",
    "ContentType",
    "CorruptError",
    "Direction",
    "DuplicateEventError",
    "Durability",
    "Event",
    "EventStore",
    "ExpectedVersion",
    "ImportEvent",
    "ImportResult",
    "InternalError",
    "InvalidArgumentError",
    "LimitExceededError",
    "NotFoundError",
    "OpenOptions",
    "Opening",
    "Page",
    "Query",
    "QueryItem",
    "RecordedEvent",
    "Seconds",
    "Snapshot",
    "Start",
    "StreamkeepError",
    "Subscription",
    "UnavailableError",
    "__version__",
]
