"""Snapshots: the state that results from a stream's events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, final

from streamkeep.content import Content, restored, utf8, written

if TYPE_CHECKING:
    from streamkeep.fields import SnapshotFields


@final
class Snapshot(Content):
    """The state that results from a stream's events up to a version, made by code named `schema`. At most 8 MiB."""

    __slots__ = ("_fields",)
    _content_at = 3
    _fields: SnapshotFields

    def __init__(self, stream: str, version: int, schema: str, data: Any) -> None:
        is_json, content = written(data)
        self._set("_fields", (stream, version, schema, is_json, content))

    @classmethod
    def json(cls, stream: str, version: int, schema: str, text: str | bytes) -> Self:
        """Make a snapshot whose data is JSON text, which is kept byte for byte."""
        return restored(cls, (stream, version, schema, True, utf8("data", text)))

    @property
    def stream(self) -> str:
        """The stream."""
        return self._fields[0]

    @property
    def version(self) -> int:
        """The version of the last event that went into the state."""
        return self._fields[1]

    @property
    def schema(self) -> str:
        """The name of the code that made it. A snapshot with another schema is another snapshot."""
        return self._fields[2]

    def __repr__(self) -> str:
        size = f"{len(self.data_bytes)} bytes of {self.content_type}"
        return f"Snapshot({self.stream!r}, version={self.version}, schema={self.schema!r}, <{size}>)"


def snapshot_crossing(snapshot: Snapshot) -> SnapshotFields:
    """Convert a snapshot for the native module."""
    if not isinstance(snapshot, Snapshot):
        raise TypeError("snapshot must be a Snapshot")
    return snapshot._fields
