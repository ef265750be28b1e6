"""The stored content of events and snapshots."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeVar

from streamkeep.errors import InvalidArgumentError
from streamkeep.frozen import Frozen
from streamkeep.json import decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

_F = TypeVar("_F", bound=Frozen)
ContentType = Literal["application/json", "application/octet-stream"]

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
"""Stands for data that was not given."""
EMPTY_OBJECT: Final = b"{}"


class Content(Frozen):
    """Data as it is stored. It is decoded on the first access, and only once."""

    __slots__ = ("_data",)
    _content_at: ClassVar[int]
    """The index of the field that tells whether the data is JSON; the next field has the bytes."""
    _fields: tuple[Any, ...]
    _data: Any

    @property
    def data_bytes(self) -> bytes:
        """The data as it is stored: the exact JSON text in UTF-8, or the bytes."""
        content: bytes = self._fields[self._content_at + 1]
        return content

    @property
    def content_type(self) -> ContentType:
        """Whether the data is JSON or bytes."""
        return "application/json" if self._fields[self._content_at] else "application/octet-stream"

    def __eq__(self, other: object) -> bool:
        return self._fields == other._fields if isinstance(other, type(self)) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._fields)

    def __reduce__(self) -> tuple[Any, ...]:
        return restored, (type(self), self._fields)

    @property
    def data(self) -> Any:
        """The data: JSON as Python values, or bytes."""
        try:
            return self._data
        except AttributeError:
            self._set("_data", decode(self.data_bytes) if self.content_type == "application/json" else self.data_bytes)
            return self._data


def restored(cls: type[_F], fields: tuple[Any, ...]) -> _F:
    """Make an object from its fields."""
    made: _F = object.__new__(cls)
    object.__setattr__(made, "_fields", fields)
    return made


def written(data: Any) -> tuple[bool, bytes]:
    """Convert data to its stored bytes. Also return whether it is JSON."""
    if data is NOTHING:
        return True, EMPTY_OBJECT
    if isinstance(data, bytes | bytearray | memoryview):
        return False, bytes(data)
    return True, encode("data", data)


def utf8(argument: str, text: str | bytes) -> bytes:
    """Convert text to UTF-8."""
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise TypeError(f"{argument} must be the text of JSON, as str or bytes")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(f"{argument} has a lone surrogate", argument=argument) from error
