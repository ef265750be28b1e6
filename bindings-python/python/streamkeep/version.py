"""What an append demands of its stream."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class ExpectedVersion(StrEnum):
    """What an append can demand of its stream, apart from an exact version."""

    ANY = "any"
    NO_STREAM = "no-stream"
    STREAM_EXISTS = "stream-exists"


ANY: Final = ExpectedVersion.ANY
"""Nothing: the append never conflicts."""
NO_STREAM: Final = ExpectedVersion.NO_STREAM
"""The stream has no events; version 0 says the same."""
STREAM_EXISTS: Final = ExpectedVersion.STREAM_EXISTS
"""The stream has at least one event."""
