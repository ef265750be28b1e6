"""Errors: one base, one class for each code, with the facts as attributes.

Programs look at the class and its attributes. Messages are for people.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from streamkeep.version import ExpectedVersion

if TYPE_CHECKING:
    from collections.abc import Iterable


class StreamkeepError(Exception):
    """The base of all errors of a store.

    `outcome` tells what is known about a write: `not applied` or `unknown`. If it is unknown, repeat the append with
    the same events: that is safe, and the result tells. `ids` has the event ids of the append. `operation` is the
    method that failed, and `hint` says what the reader of the message can do; both can be `None`.
    """

    code: ClassVar[str] = "internal"
    retryable: bool
    outcome: Literal["not applied", "unknown"]
    ids: tuple[uuid.UUID, ...]
    operation: str | None
    hint: str | None
    cause: str | None
    message: str

    def __init__(
        self,
        message: str,
        *,
        retryable: bool = False,
        outcome: Literal["not applied", "unknown"] = "not applied",
        ids: tuple[uuid.UUID, ...] = (),
        operation: str | None = None,
        hint: str | None = None,
        cause: str | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.retryable = retryable
        self.outcome = outcome
        self.ids = ids
        self.operation = operation
        self.hint = hint
        self.cause = cause
        self.__dict__.update(fields)

    def __str__(self) -> str:
        operation = f"{self.operation}: " if self.operation else ""
        hint = f"; {self.hint}" if self.hint else ""
        unknown = " (outcome: unknown)" if self.outcome == "unknown" else ""
        return f"{operation}{self.message}{hint}{unknown}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep all attributes when an error is pickled or copied."""
        facts = dict(self.__dict__)
        notes = list(facts.pop("__notes__", ()))
        return _restore, (type(self), facts, notes)


class ConflictError(StreamkeepError):
    """The stream is not at the expected version. Reload and decide again."""

    code = "conflict"
    stream: str
    expected: ExpectedVersion | int
    actual: int


class DuplicateEventError(StreamkeepError):
    """An event id is already known, with other content or at another place. Check how ids are made."""

    code = "duplicate-event"
    id: uuid.UUID
    stream: str
    version: int


class NotFoundError(StreamkeepError, LookupError):
    """Something does not exist."""

    code = "not-found"
    what: str


class InvalidArgumentError(StreamkeepError, ValueError):
    """The call is wrong. Fix it."""

    code = "invalid-argument"
    argument: str


class LimitExceededError(StreamkeepError, ValueError):
    """A value exceeds a limit. Send less."""

    code = "limit-exceeded"
    what: str
    limit: int
    actual: int


class ConfigError(StreamkeepError, ValueError):
    """The URL, the options or the configuration of the server has to change."""

    code = "config"


class UnavailableError(StreamkeepError, ConnectionError):
    """The database did not answer before the deadline. Retry: the event ids make that safe."""

    code = "unavailable"


class CheckpointAheadError(StreamkeepError):
    """A position is above every position that the log has drawn, for example after a backup was restored."""

    code = "checkpoint-ahead"
    consumer: str | None
    checkpoint: int
    head: int


class CorruptError(StreamkeepError):
    """Stored data is not valid. Stop, then repair it or upgrade the library."""

    code = "corrupt"
    where: str


class ClosedError(StreamkeepError):
    """The store was closed, or it belongs to the parent of this forked process. Open a new one."""

    code = "closed"


class InternalError(StreamkeepError):
    """A bug in this library. Report it."""

    code = "internal"


_BY_CODE: Final[dict[str, type[StreamkeepError]]] = {
    cls.code: cls
    for cls in (
        ConflictError,
        DuplicateEventError,
        NotFoundError,
        InvalidArgumentError,
        LimitExceededError,
        ConfigError,
        UnavailableError,
        CheckpointAheadError,
        CorruptError,
        ClosedError,
        InternalError,
    )
}


def from_json(text: str) -> StreamkeepError:
    """Make an error from core's description of it."""
    told: dict[str, Any] = json.loads(text)
    fields: dict[str, Any] = told["fields"]
    if "id" in fields:
        fields["id"] = uuid.UUID(fields["id"])
    if isinstance(fields.get("expected"), str):
        fields["expected"] = ExpectedVersion(fields["expected"])
    return _BY_CODE.get(told["code"], InternalError)(
        told["message"],
        retryable=told["retryable"],
        outcome=told["outcome"],
        ids=tuple(uuid.UUID(id_) for id_ in told["ids"]),
        operation=told["operation"],
        hint=told["hint"],
        cause=told["cause"],
        **fields,
    )


def _restore(cls: type[StreamkeepError], facts: dict[str, Any], notes: Iterable[str] = ()) -> StreamkeepError:
    error = cls(**facts)
    for note in notes:
        error.add_note(note)
    return error
