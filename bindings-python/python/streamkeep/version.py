"""Expected versions: what an append expects of its stream."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class ExpectedVersion(StrEnum):
    """The expected versions besides an exact number."""

    ANY = "any"
    NO_STREAM = "no-stream"
    STREAM_EXISTS = "stream-exists"


ANY: Final = ExpectedVersion.ANY
"""Any version: the append never conflicts."""
NO_STREAM: Final = ExpectedVersion.NO_STREAM
"""The stream has no events. Version 0 means the same."""
STREAM_EXISTS: Final = ExpectedVersion.STREAM_EXISTS
"""The stream has at least one event."""
