"""The form in which values are passed to the native module and back."""

from typing import TypeAlias

# type, is JSON, data, metadata, tags, id, schema
EventFields: TypeAlias = tuple[str, bool, bytes, bytes, tuple[str, ...], bytes, str | None]
# stream, version, microseconds since the epoch, event
ImportFields: TypeAlias = tuple[str, int | None, int | None, EventFields]
# stream, version, position, id, type, is JSON, data, metadata, tags, schema, microseconds since the epoch
RecordedFields: TypeAlias = tuple[str, int, int, bytes, str, bool, bytes, bytes, tuple[str, ...], str | None, int]
# stream, version, schema, is JSON, data
SnapshotFields: TypeAlias = tuple[str, int, str, bool, bytes]
