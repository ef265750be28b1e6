import dataclasses
import json
import uuid

import pytest
import streamkeep as sk
from conftest import BACKENDS, ROOT, url_of

VECTORS = json.loads((ROOT / "tests" / "vectors" / "values.json").read_text())


@pytest.fixture(scope="module", params=BACKENDS)
def store(request, tmp_path_factory):
    url = url_of(request.param, tmp_path_factory.mktemp("vectors"))
    with sk.EventStore.open(url, durability="relaxed") as store:
        yield store


def cases(*path):
    section = VECTORS
    for key in path:
        section = section[key]
    assert section
    return pytest.mark.parametrize("case", section, ids=[case["name"] for case in section])


def text_of(case):
    match case:
        case {"text": text}:
            return text
        case {"repeat": parts}:
            middle = parts.get("open", "") * parts["times"] + parts.get("middle", "") + parts.get("close", "") * parts["times"]
            return parts.get("start", "") + middle + parts.get("end", "")
        case {"hex": digits}:
            return bytes.fromhex(digits)
        case {"utf16": units}:
            return b"".join(unit.to_bytes(2, "little") for unit in units).decode("utf-16-le", "surrogatepass")
    raise AssertionError(f"a case of an unknown form: {case}")


def tags_of(case):
    return case["tags"] if "tags" in case else [f"tag-{number}" for number in range(1, case["numbered"] + 1)]


def accepted(store, event):
    stream = f"case-{uuid.uuid4()}"
    store.append(stream, [event])
    [read] = store.read(stream)
    return read


def refused(case, append, **more):
    with pytest.raises(sk.StreamkeepError) as caught:
        append()
    facts = {name: getattr(caught.value, name) for name in FIELDS[case["code"]]}
    assert (caught.value.code, facts) == (case["code"], case["fields"] | more)


FIELDS = {"invalid-argument": ["argument"], "limit-exceeded": ["what", "limit", "actual"]}


@cases("accepted")
def test_data_comes_back_byte_for_byte(store, case):
    text = text_of(case)
    assert accepted(store, sk.Event.json("E", text)).data_bytes == text.encode()


@cases("accepted")
def test_accepted_data_can_be_decoded(case):
    sk.Event.json("E", text_of(case)).data  # noqa: B018 decoding is the test


@cases("refused")
def test_data_is_refused_before_anything_is_written(store, case):
    head = store.head()
    refused(case, lambda: store.append("refused-1", [sk.Event("E"), sk.Event.json("E", text_of(case))]))
    assert list(store.read("refused-1")) == []
    assert store.head() == head


@cases("same")
def test_equal_values_are_a_repetition(store, case):
    stream, id_ = f"case-{uuid.uuid4()}", uuid.uuid4()
    first = store.append(stream, [sk.Event.json("E", case["a"], id=id_)])
    again = store.append(stream, [sk.Event.json("E", case["b"], id=id_)])
    assert again == dataclasses.replace(first, repeated=True)


@cases("different")
def test_different_values_are_a_duplicate(store, case):
    stream, id_ = f"case-{uuid.uuid4()}", uuid.uuid4()
    store.append(stream, [sk.Event.json("E", case["a"], id=id_)])
    with pytest.raises(sk.DuplicateEventError):
        store.append(stream, [sk.Event.json("E", case["b"], id=id_)])


@cases("metadata", "accepted")
def test_metadata_comes_back_byte_for_byte(store, case):
    assert accepted(store, sk.Event("E", metadata=text_of(case))).metadata_bytes == text_of(case).encode()


@cases("metadata", "refused")
def test_metadata_is_refused(store, case):
    refused(case, lambda: store.append("refused-1", [sk.Event("E", metadata=text_of(case))]))


@cases("tags", "accepted")
def test_tags_come_back_in_order(store, case):
    assert accepted(store, sk.Event("E", tags=tags_of(case))).tags == tuple(tags_of(case))


@cases("tags", "refused")
def test_tags_are_refused(store, case):
    refused(case, lambda: store.append("refused-1", [sk.Event("E", tags=tags_of(case))]))


def append_named(store, kind, name):
    stream = name if kind == "stream" else f"case-{uuid.uuid4()}"
    options = {"tags": [name]} if kind == "tag" else {"schema": name} if kind == "schema" else {}
    return stream, lambda: store.append(stream, [sk.Event(name if kind == "type" else "E", **options)])


NAMES = {outcome: [(kind, case) for case in VECTORS["names"][outcome] for kind in case["as"]] for outcome in ("accepted", "refused")}


@pytest.mark.parametrize(("kind", "case"), NAMES["accepted"], ids=lambda part: part if isinstance(part, str) else part["name"])
def test_names_are_accepted(store, kind, case):
    name = text_of(case)
    stream, append = append_named(store, kind, name)
    append()
    read = list(store.read(stream))[-1]
    assert {"stream": read.stream, "type": read.type, "schema": read.schema, "tag": next(iter(read.tags), None)}[kind] == name


@pytest.mark.parametrize(("kind", "case"), NAMES["refused"], ids=lambda part: part if isinstance(part, str) else part["name"])
def test_names_are_refused(store, kind, case):
    _, append = append_named(store, kind, text_of(case))
    refused(case, append, **({"argument": kind} if case["code"] == "invalid-argument" else {"what": kind}))
