"""Events, before and after they are recorded."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, final

from streamkeep import _native
from streamkeep.content import EMPTY_OBJECT, NOTHING, Content, restored, utf8, written
from streamkeep.errors import CorruptError, InvalidArgumentError
from streamkeep.frozen import Frozen
from streamkeep.json import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamkeep.fields import EventFields, ImportEventFields, RecordedEventFields


_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)
_NOT_TO_APPEND: Final = (
    "a recorded event cannot be appended again: it has its place in the log. Make a new event of its content: "
    "Event(e.type, e.data, metadata=e.metadata, tags=e.tags, schema=e.schema)"
)


class _Described(Content):
    """Content with metadata and tags, which are the fields after it."""

    __slots__ = ("_metadata",)
    _metadata: dict[str, Any]

    @property
    def metadata_bytes(self) -> bytes:
        """The metadata as it is stored: the exact JSON text in UTF-8."""
        metadata: bytes = self._fields[self._content_at + 2]
        return metadata

    @property
    def metadata(self) -> dict[str, Any]:
        """Facts about the event, with keys like `correlationId`, `causationId` and `createdBy`."""
        try:
            return self._metadata
        except AttributeError:
            self._set("_metadata", decode(self.metadata_bytes))
            return self._metadata

    @property
    def tags(self) -> tuple[str, ...]:
        """Labels, in the order given."""
        tags: tuple[str, ...] = self._fields[self._content_at + 3]
        return tags


@final
class Event(_Described):
    """An event to append. It represents one occurrence.

    It gets its `id` when it is made, so an append of the same `Event` can be repeated safely. Make a new one for each
    occurrence. `data` is any JSON value, a dataclass, a pydantic model, or `bytes`. It is encoded at once, so a later
    change of a `dict` has no effect. `metadata` is a mapping, or the text of a JSON object, which is kept as it is. The
    append checks the values and refuses those that are not allowed.

    >>> Event("OrderPlaced", {"total": 12.5}, metadata={"createdBy": "amy"}, tags=["customer:7"]).data
    {'total': 12.5}
    """

    __slots__ = ("_fields",)
    __match_args__ = ("type", "data")
    _content_at = 1
    _fields: EventFields

    def __init__(
        self,
        type: str,  # noqa: A002 the vocabulary's word
        data: Any = NOTHING,
        *,
        metadata: Mapping[str, Any] | str | bytes | None = None,
        tags: Iterable[str] = (),
        id: uuid.UUID | None = None,  # noqa: A002 the vocabulary's word
        schema: str | None = None,
    ) -> None:
        is_json, content = written(data)
        self._set("_fields", (type, is_json, content, _metadata(metadata), _tags(tags), _id(id), schema))

    @classmethod
    def json(
        cls,
        type: str,  # noqa: A002 the vocabulary's word
        text: str | bytes,
        *,
        metadata: Mapping[str, Any] | str | bytes | None = None,
        tags: Iterable[str] = (),
        id: uuid.UUID | None = None,  # noqa: A002 the vocabulary's word
        schema: str | None = None,
    ) -> Self:
        """Make an event whose data is JSON text, which is kept byte for byte."""
        return restored(cls, (type, True, utf8("data", text), _metadata(metadata), _tags(tags), _id(id), schema))

    @property
    def type(self) -> str:
        """What happened."""
        return self._fields[0]

    @property
    def id(self) -> uuid.UUID:
        """The occurrence's identity."""
        return uuid.UUID(bytes=self._fields[5])

    @property
    def schema(self) -> str | None:
        """The name of the shape of the data, chosen by its author."""
        return self._fields[6]

    def __repr__(self) -> str:
        return f"Event({self.type!r}, <{len(self.data_bytes)} bytes of {self.content_type}>, id={self.id})"


@final
class RecordedEvent(_Described):
    """A recorded event. `data` and `metadata` are decoded on the first access."""

    __slots__ = ("_fields",)
    __match_args__ = ("type", "data")
    _content_at = 5
    _fields: RecordedEventFields

    def __init__(
        self,
        *,
        stream: str,
        version: int,
        position: int,
        type: str,  # noqa: A002 the vocabulary's word
        data: Any = NOTHING,
        metadata: Mapping[str, Any] | str | bytes | None = None,
        tags: Iterable[str] = (),
        id: uuid.UUID | None = None,  # noqa: A002 the vocabulary's word
        schema: str | None = None,
        recorded_at: dt.datetime = _EPOCH,
    ) -> None:
        """Make one by hand, for example in a test; a store makes them from its data."""
        is_json, content = written(data)
        about = (_id(id), type, is_json, content, _metadata(metadata), _tags(tags), schema, _held(_micros(recorded_at)))
        self._set("_fields", (stream, version, position, *about))

    @property
    def stream(self) -> str:
        """The stream it belongs to."""
        return self._fields[0]

    @property
    def version(self) -> int:
        """Its number in the stream: 1, 2, 3, and so on without gaps."""
        return self._fields[1]

    @property
    def position(self) -> int:
        """Its number in the log. Positions grow; gaps have no meaning."""
        return self._fields[2]

    @property
    def id(self) -> uuid.UUID:
        """The occurrence's identity."""
        return uuid.UUID(bytes=self._fields[3])

    @property
    def type(self) -> str:
        """What happened."""
        return self._fields[4]

    @property
    def schema(self) -> str | None:
        """The name of the shape of the data, as chosen by its author."""
        return self._fields[9]

    @property
    def recorded_at(self) -> dt.datetime:
        """When it was recorded, in UTC. It informs, and is never an order."""
        try:
            return _EPOCH + dt.timedelta(microseconds=self._fields[10])
        except OverflowError as error:  # written by a program that did not check it
            where = f"recorded_at of version {self.version} of stream '{self.stream}'"
            raise CorruptError("a stored time is not in the years 1 to 9999", where=where) from error

    def __repr__(self) -> str:
        size = f"{len(self.data_bytes)} bytes of {self.content_type}"
        return f"RecordedEvent({self.stream!r}, version={self.version}, position={self.position}, {self.type!r}, <{size}>)"


@final
class ImportEvent(Frozen):
    """An event that was recorded elsewhere, to import with its stream, version, id and time.

    The default version is the stream's next one. The default time is now.
    """

    __slots__ = ("event", "recorded_at", "stream", "version")
    stream: str
    event: Event
    version: int | None
    recorded_at: dt.datetime | None

    def __init__(self, stream: str, event: Event, version: int | None = None, recorded_at: dt.datetime | None = None) -> None:
        if type(event) is not Event:
            _refuse("event", event)
        self._set("stream", stream)
        self._set("event", event)
        self._set("version", version)
        self._set("recorded_at", recorded_at)

    def _crossing(self) -> ImportEventFields:
        micros = None if self.recorded_at is None else _micros(self.recorded_at)
        return self.stream, self.version, micros, self.event._fields

    def _key(self) -> tuple[Any, ...]:
        return self.stream, self.event, self.version, self.recorded_at

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, ImportEvent) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"ImportEvent({self.stream!r}, {self.event!r}, version={self.version}, recorded_at={self.recorded_at})"

    def __reduce__(self) -> tuple[Any, ...]:
        return ImportEvent, self._key()


def crossing(events: Iterable[Event]) -> list[EventFields]:
    """Convert events for the native module."""
    return [event._fields if type(event) is Event else _refuse("events", event, "append") for event in events]


def imports_crossing(events: Iterable[ImportEvent]) -> list[ImportEventFields]:
    """Convert events to import for the native module."""

    def crosses(event: ImportEvent) -> ImportEventFields:
        if not isinstance(event, ImportEvent):
            raise TypeError("events must be ImportEvent objects")
        return event._crossing()  # noqa: SLF001 ours

    return [crosses(event) for event in events]


def _refuse(argument: str, event: object, operation: str | None = None) -> NoReturn:
    if isinstance(event, RecordedEvent):
        raise InvalidArgumentError(_NOT_TO_APPEND, argument=argument, operation=operation)
    raise TypeError("an event must be an Event object")


def recorded(fields: RecordedEventFields) -> RecordedEvent:
    """Make a recorded event from its fields."""
    return restored(RecordedEvent, fields)


def _metadata(metadata: Mapping[str, Any] | str | bytes | None) -> bytes:
    if metadata is None:
        return EMPTY_OBJECT
    if isinstance(metadata, str | bytes):
        return utf8("metadata", metadata)
    if not isinstance(metadata, Mapping):
        raise TypeError("metadata must be a mapping or the text of a JSON object")
    return encode("metadata", dict(metadata))


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    if isinstance(tags, str):
        raise TypeError(f"tags takes several strings: [{tags!r}]")
    return tuple(tags)


def _id(id_: uuid.UUID | None) -> bytes:
    if id_ is None:
        return _native.new_id()
    if not isinstance(id_, uuid.UUID):
        raise TypeError("id must be a uuid.UUID")
    return id_.bytes


def _micros(moment: dt.datetime) -> int:
    if not isinstance(moment, dt.datetime):
        raise TypeError("recorded_at must be a datetime.datetime")
    if moment.utcoffset() is None:
        raise InvalidArgumentError("recorded_at must have a time zone", argument="recorded_at")
    return (moment - _EPOCH) // _MICROSECOND


def _held(micros: int) -> int:
    """Check that Python can hold a time in UTC."""
    try:
        _EPOCH + dt.timedelta(microseconds=micros)
    except OverflowError:
        raise InvalidArgumentError("recorded_at must be in the years 1 to 9999, in UTC", argument="recorded_at") from None
    return micros
