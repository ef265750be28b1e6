# Generated from generate/surface.json by `make generate`. Do not edit it.

"""The form in which values are passed to the native module and back."""

from collections.abc import Sequence
from typing import TypeAlias

# version, position, repeated
AppendResultFields: TypeAlias = tuple[int, int, bool]
# type, is JSON, data, metadata, tags, id, schema
EventFields: TypeAlias = tuple[str, bool, bytes, bytes, tuple[str, ...], bytes, str | None]
# stream, version, recorded at in microseconds since 1970, event
ImportEventFields: TypeAlias = tuple[str, int | None, int | None, EventFields]
# imported, passed over, position
ImportResultFields: TypeAlias = tuple[int, int, int]
# types, tags, categories, streams
QueryItemFields: TypeAlias = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]
# stream, version, position, id, type, is JSON, data, metadata, tags, schema, recorded at in microseconds since 1970
RecordedEventFields: TypeAlias = tuple[str, int, int, bytes, str, bool, bytes, bytes, tuple[str, ...], str | None, int]
# events, reached, caught up
PageFields: TypeAlias = tuple[list[RecordedEventFields], int, bool]
# stream, version, schema, is JSON, data
SnapshotFields: TypeAlias = tuple[str, int, str, bool, bytes]
# a query
Items: TypeAlias = Sequence[QueryItemFields]
