"""The form in which values are passed to the native module and back."""

from collections.abc import Sequence
from typing import TypeAlias

# type, is JSON, data, metadata, tags, id, schema
EventFields: TypeAlias = tuple[str, bool, bytes, bytes, tuple[str, ...], bytes, str | None]
# stream, version, microseconds since the epoch, event
ImportFields: TypeAlias = tuple[str, int | None, int | None, EventFields]
# stream, version, position, id, type, is JSON, data, metadata, tags, schema, microseconds since the epoch
RecordedFields: TypeAlias = tuple[str, int, int, bytes, str, bool, bytes, bytes, tuple[str, ...], str | None, int]
# events, reached, caught up
Paged: TypeAlias = tuple[list[RecordedFields], int, bool]
# version, position, repeated
Place: TypeAlias = tuple[int, int, bool]
# imported, passed over, position
Imported: TypeAlias = tuple[int, int, int]
# each item's types, tags, categories and streams
Items: TypeAlias = Sequence[tuple[Sequence[str], Sequence[str], Sequence[str], Sequence[str]]]
# stream, version, schema, is JSON, data
SnapshotFields: TypeAlias = tuple[str, int, str, bool, bytes]
