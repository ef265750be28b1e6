"""Values to JSON text and back, by orjson if it is installed, else by the standard library, with the same results.

Besides the types of JSON these are encoded: `datetime`, `date` and `time` as ISO 8601, `Decimal` as a string with all
its digits, `UUID` as a string, an `Enum` as its value, a dataclass as an object of its fields, a pydantic model as its
JSON form, and a tuple as an array. NaN, infinity and text with lone surrogates are refused.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import re
import uuid
from typing import Any

from streamkeep.errors import InvalidArgumentError

try:
    import orjson
except ImportError:  # the standard library gives the same results, only slower
    _orjson = None
else:
    _orjson = orjson
    _OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME

# orjson reads integers beyond 64 bits as floats; the standard library reads them exactly.
_LONG_DIGITS = re.compile(rb"\d{19}")


def encode(argument: str, value: Any) -> bytes:
    """Encode a value as compact JSON.

    Raises `InvalidArgumentError`, which names the argument, if the value has no JSON form.
    """
    if _orjson is not None:
        try:
            text: bytes = _orjson.dumps(value, _default, _OPTIONS)
        except TypeError:
            pass  # integers beyond 64 bits, or keys that are not strings: the standard library decides
        else:
            # orjson writes NaN as null. If there is a null, the standard library encodes the value again.
            if b"null" not in text:
                return text
    try:
        return _encoder.encode(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"{argument} cannot be written as JSON: {error}", argument=argument) from error


def decode(text: bytes) -> Any:
    """Decode JSON text to Python values. An integer that is too long for an `int` becomes a `Decimal`."""
    if _orjson is not None and _LONG_DIGITS.search(text) is None:
        try:
            return _orjson.loads(text)
        except ValueError:
            pass  # numbers like 1e400, which the standard library accepts
    return json.loads(text, parse_int=_integer)


def _integer(digits: str) -> int | decimal.Decimal:
    try:
        return int(digits)
    except ValueError:  # beyond the interpreter's limit on digits
        return decimal.Decimal(digits)


def _default(value: Any) -> Any:  # noqa: PLR0911 one return for each type
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} is not a finite number")
        return str(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, tuple):
        return list(value)
    model_dump = getattr(type(value), "model_dump", None)
    if model_dump is not None:
        return model_dump(value, mode="json")
    raise TypeError(f"a {type(value).__name__} has no JSON form")


_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_default)
