import dataclasses
import datetime as dt
import decimal
import enum
import math
import uuid

import pydantic
import pytest
import streamkeep as sk
from hypothesis import given
from hypothesis import strategies as st
from streamkeep import json as face

FACES = ["orjson", "stdlib"]

texts = st.text(st.characters(exclude_categories=["Cs"]))
keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=20)


@pytest.fixture(params=FACES)
def library(request, monkeypatch):
    if request.param == "stdlib":
        monkeypatch.setattr(face, "_orjson", None)
    else:
        assert face._orjson is not None
    return request.param


@pytest.fixture(scope="module")
def store():
    with sk.EventStore.open("memory:") as store:
        yield store


def same(one, other):
    """Whether two values are equal and have the same types, which `==` does not compare."""
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@given(values)
def test_values_come_back_as_they_were(store, value):
    stream = f"value-{uuid.uuid4()}"
    store.append(stream, [sk.Event("E", value)])
    [read] = store.read(stream)
    assert same(read.data, value)


@given(values)
def test_both_libraries_mean_the_same(value):
    with pytest.MonkeyPatch.context() as patch:
        fast = face.encode("data", value)
        fast_back = face.decode(fast)
        patch.setattr(face, "_orjson", None)
        slow = face.encode("data", value)
        assert same(face.decode(slow), value)
        assert same(face.decode(fast), value)
        assert same(fast_back, value)


@given(st.binary())
def test_bytes_come_back_as_they_were(store, data):
    stream = f"bytes-{uuid.uuid4()}"
    store.append(stream, [sk.Event("E", data)])
    [read] = store.read(stream)
    assert (read.data, read.data_bytes, read.content_type) == (data, data, "application/octet-stream")


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Line:
    sku: str
    count: int


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    lines: list[Line]
    total: decimal.Decimal


class Model(pydantic.BaseModel):
    name: str
    at: dt.datetime


class Measured(pydantic.BaseModel):
    name: str
    values: list[float]


class Odd(enum.Enum):
    NAN = math.nan


MOMENT = dt.datetime(2026, 11, 22, 12, 30, 0, 123456, tzinfo=dt.UTC)
ID = uuid.UUID("0193557c-7c00-7000-8000-000000000001")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (MOMENT, '"2026-11-22T12:30:00.123456+00:00"'),
        (dt.date(2026, 11, 22), '"2026-11-22"'),
        (dt.time(12, 30), '"12:30:00"'),
        (decimal.Decimal("12.50"), '"12.50"'),
        (ID, f'"{ID}"'),
        (Colour.RED, '"red"'),
        ((1, 2), "[1,2]"),
        (Order([Line("a", 1)], decimal.Decimal("1E+2")), '{"lines":[{"sku":"a","count":1}],"total":"1E+2"}'),
        (Model(name="é", at=MOMENT), '{"name":"é","at":"2026-11-22T12:30:00.123456Z"}'),
        ({"m": Model(name="x", at=MOMENT)}, '{"m":{"name":"x","at":"2026-11-22T12:30:00.123456Z"}}'),
        (2**80, "1208925819614629174706176"),
        ({1: "a", None: "b", False: "c"}, '{"1":"a","null":"b","false":"c"}'),
        (None, "null"),
        ({"a": None, "b": "null"}, '{"a":null,"b":"null"}'),
        ("", '""'),
        ("\0", '"\\u0000"'),
    ],
    ids=repr,
)
def test_the_default_encoder_writes_the_same_with_both(library, value, written):
    assert face.encode("data", value).decode() == written


class Deep(list):
    """A list that contains itself."""


def deep():
    value = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        {"a": [math.nan]},
        {"a": None, "b": [[{"c": -math.inf}]]},
        Line("a", math.nan),
        [Measured(name="x", values=[math.inf])],
        {math.nan: 1},
        [decimal.Decimal("-Infinity")],
        [decimal.Decimal("sNaN")],
        Odd.NAN,
        [frozenset()],
        [bytearray(b"x")],
        decimal.Decimal("NaN"),
        "\ud800",
        {"\udfff": 1},
        {1, 2},
        object(),
        b"x"[:0].join,
        deep(),
        {"b": b"x"},
        {(1, 2): 3},
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_has_no_value_for_is_refused(library, value):
    with pytest.raises(sk.InvalidArgumentError) as caught:
        sk.Event("E", value)
    assert caught.value.argument == "data"
    with pytest.raises(sk.InvalidArgumentError) as caught:
        sk.Event("E", metadata={"m": value})
    assert caught.value.argument == "metadata"
    with pytest.raises(sk.InvalidArgumentError) as caught:
        sk.Snapshot("s-1", 1, "s/1", [value])
    assert caught.value.argument == "data"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"9007199254740993", 2**53 + 1),
        (b"18446744073709551616", 2**64),
        (b"-9223372036854775809", -(2**63) - 1),
        (b"1.0", 1.0),
        (b"1e400", math.inf),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b"9" * 5000, decimal.Decimal("9" * 5000)),
        (b'"\\u0000"', "\0"),
        (b" [1 , 2] ", [1, 2]),
    ],
    ids=lambda part: str(part)[:24],
)
def test_numbers_are_read_whole_with_both(library, text, value):
    assert same(face.decode(text), value)
