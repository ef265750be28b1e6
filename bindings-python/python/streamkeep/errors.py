"""Errors: one base, one class a code, the facts as attributes.

A code exists only if a caller would act differently. Messages are for people.
"""

from __future__ import annotations

import json
import uuid
from typing import Any, ClassVar, Final, Literal

from streamkeep.version import ExpectedVersion


class StreamkeepError(Exception):
    """The base of all errors of a store.

    `outcome` says what is known of a write: `not applied`, or `unknown`, when repeating it with the same events is safe
    and tells. `ids` are the events of the append it answers; `context` says what was being done.
    """

    code: ClassVar[str] = "internal"
    retryable: bool
    outcome: Literal["not applied", "unknown"]
    ids: tuple[uuid.UUID, ...]
    context: str | None
    cause: str | None
    message: str

    def __init__(
        self,
        message: str,
        *,
        retryable: bool = False,
        outcome: Literal["not applied", "unknown"] = "not applied",
        ids: tuple[uuid.UUID, ...] = (),
        context: str | None = None,
        cause: str | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.retryable = retryable
        self.outcome = outcome
        self.ids = ids
        self.context = context
        self.cause = cause
        self.__dict__.update(fields)

    def __str__(self) -> str:
        context = f"{self.context}: " if self.context else ""
        unknown = " (outcome: unknown)" if self.outcome == "unknown" else ""
        return f"{context}{self.message}{unknown}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors cross process boundaries whole."""
        facts = dict(self.__dict__)
        facts.pop("__notes__", None)
        return _restore, (type(self), facts)


class ConflictError(StreamkeepError):
    """The stream is not as expected: reload, decide again."""

    code = "conflict"
    stream: str
    expected: ExpectedVersion | int
    actual: int


class DuplicateEventError(StreamkeepError):
    """An id is known already, with other content or in another place: look at the ids."""

    code = "duplicate-event"
    id: uuid.UUID
    stream: str
    version: int


class NotFoundError(StreamkeepError, LookupError):
    """What was asked for does not exist."""

    code = "not-found"
    what: str


class InvalidArgumentError(StreamkeepError, ValueError):
    """The call is wrong: fix it."""

    code = "invalid-argument"
    argument: str


class LimitExceededError(StreamkeepError, ValueError):
    """A value is larger than a limit: send less."""

    code = "limit-exceeded"
    what: str
    limit: int
    actual: int


class ConfigError(StreamkeepError, ValueError):
    """URL, options or the server's set-up must be changed."""

    code = "config"


class UnavailableError(StreamkeepError, ConnectionError):
    """The database could not be reached, or not in time: retry; ids make that safe."""

    code = "unavailable"


class CheckpointAheadError(StreamkeepError):
    """A position lies above anything the log ever had: was a backup restored?"""  # noqa: D400 it is a question

    code = "checkpoint-ahead"
    consumer: str | None
    checkpoint: int
    head: int


class CorruptError(StreamkeepError):
    """Stored data cannot be believed: stop, repair, upgrade."""

    code = "corrupt"
    where: str


class ClosedError(StreamkeepError):
    """The store was closed, or belongs to the parent of a forked process: open a new one."""

    code = "closed"


class InternalError(StreamkeepError):
    """A bug in this library: report it."""

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
    """Make the error that core describes."""
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
        context=told["context"],
        cause=told["cause"],
        **fields,
    )


def _restore(cls: type[StreamkeepError], facts: dict[str, Any]) -> StreamkeepError:
    return cls(**facts)
