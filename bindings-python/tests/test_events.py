import copy
import dataclasses
import datetime as dt
import pickle
import uuid
from dataclasses import FrozenInstanceError

import pytest
import streamkeep as sk

ID = uuid.UUID("0193557c-7c00-7000-8000-000000000001")


def test_an_event_without_data_is_an_empty_object_and_none_is_null():
    assert (sk.Event("E").data_bytes, sk.Event("E").data) == (b"{}", {})
    assert (sk.Event("E", None).data_bytes, sk.Event("E", None).data) == (b"null", None)


def test_events_have_ids_of_their_own_that_grow():
    ids = [sk.Event("E").id for _ in range(100)]
    assert len(set(ids)) == 100
    assert ids == sorted(ids)
    assert {id_.version for id_ in ids} == {7}


def test_an_event_is_written_down_when_it_is_made():
    data = {"a": [1]}
    event = sk.Event("E", data)
    data["a"].append(2)
    assert event.data == {"a": [1]}
    assert event.data is event.data


@pytest.mark.parametrize(
    "value",
    [
        sk.Event("E", {"a": 1}, metadata={"createdBy": "amy"}, tags=["t"], id=ID, schema="e/1"),
        sk.RecordedEvent(stream="s-1", version=1, position=2, type="E", id=ID, recorded_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        sk.ImportEvent("s-1", sk.Event("E", id=ID), version=3),
        sk.Snapshot("s-1", 3, "s/1", {"a": 1}),
        sk.Query(types=["A"], tags=["t"]) | sk.Query(streams=["s-1"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_are_frozen_slotted_hashable_and_pickle(value):
    name = next(name for name in dir(value) if not name.startswith("_"))
    with pytest.raises(FrozenInstanceError):
        setattr(value, name, None)
    with pytest.raises(FrozenInstanceError):
        delattr(value, name)
    assert not hasattr(value, "__dict__")
    assert pickle.loads(pickle.dumps(value)) == value == copy.deepcopy(value)
    assert hash(pickle.loads(pickle.dumps(value))) == hash(value)
    assert value != "else"
    assert repr(value)


def test_a_repr_shows_no_content():
    event = sk.Event("E", {"secret": "hunter2"})
    assert "hunter2" not in repr(event)


def test_events_match_by_type_and_data():
    match sk.Event("OrderPlaced", {"total": 12.5}):
        case sk.Event("OrderPlaced", {"total": total}):
            assert total == 12.5
        case _:
            raise AssertionError("no match")


def test_a_recorded_event_has_all_its_fields():
    with sk.EventStore.open("memory:") as store:
        event = sk.Event("E", [1.5], metadata={"createdBy": "amy"}, tags=["b", "a"], id=ID, schema="e/1")
        before = dt.datetime.now(dt.UTC)
        at = store.append("s-1", [event])
        [read] = store.read("s-1")
    assert (read.stream, read.version, read.position, read.id, read.type) == ("s-1", 1, at.position, ID, "E")
    assert (read.data, read.metadata, read.tags, read.schema) == ([1.5], {"createdBy": "amy"}, ("b", "a"), "e/1")
    assert read.content_type == "application/json"
    assert read.recorded_at.tzinfo is dt.UTC
    assert abs(read.recorded_at - before) < dt.timedelta(minutes=1)


RESULTS = [
    sk.AppendResult(version=1, position=2, repeated=False),
    sk.ImportResult(imported=1, passed_over=2, position=3),
    sk.Page(events=[], reached=1, caught_up=True),
    sk.QueryItem(types=("A",), tags=("t",)),
]


@pytest.mark.parametrize("value", RESULTS, ids=lambda value: type(value).__name__)
def test_results_are_frozen_dataclasses_and_nothing_unpacks(value):
    names = [field.name for field in dataclasses.fields(value)]
    with pytest.raises(FrozenInstanceError):
        setattr(value, names[0], None)
    assert not hasattr(value, "__dict__")
    assert not isinstance(value, tuple)
    with pytest.raises(TypeError):
        iter(value)
    with pytest.raises(TypeError):
        type(value)(*range(len(names)))
    assert type(value)(**dataclasses.asdict(value)) == value == copy.deepcopy(value) == pickle.loads(pickle.dumps(value))
    assert all(name in repr(value) for name in names)


def test_a_store_gives_the_result_types():
    with sk.EventStore.open("memory:") as store:
        assert store.append("s-1", [sk.Event("E")]) == sk.AppendResult(version=1, position=1, repeated=False)
        assert store.import_events([sk.ImportEvent("i-1", sk.Event("E"))]) == sk.ImportResult(imported=1, passed_over=0, position=2)
        assert store.read_page() == sk.Page(events=list(store.read_all()), reached=2, caught_up=True)


def test_a_recorded_event_is_not_appended_again():
    with sk.EventStore.open("memory:") as store:
        store.append("s-1", [sk.Event("E", {"a": 1.0}, metadata={"createdBy": "amy"}, tags=["t"], schema="e/1")])
        [e] = store.read("s-1")
        for again in (lambda: store.append("s-2", [sk.Event("E"), e]), lambda: sk.ImportEvent("s-2", e)):
            with pytest.raises(sk.InvalidArgumentError, match=r"Event\(e\.type, ") as caught:
                again()
            assert caught.value.argument in {"event", "events"}
        assert list(store.read("s-2")) == []
        # The words of the error are code that works.
        new = eval(str(caught.value)[str(caught.value).index("Event(") :], {"Event": sk.Event, "e": e})
        store.append("s-2", [new])
        [copied] = store.read("s-2")
    assert (copied.type, copied.data_bytes, copied.metadata, copied.tags, copied.schema) == (
        e.type,
        e.data_bytes,
        e.metadata,
        e.tags,
        e.schema,
    )
    assert copied.id != e.id


EAST, WEST = (dt.timezone(dt.timedelta(hours=hours)) for hours in (14, -14))


@pytest.mark.parametrize("moment", [dt.datetime(1, 1, 1, tzinfo=EAST), dt.datetime(9999, 12, 31, 23, tzinfo=WEST)])
def test_a_time_outside_the_years_1_to_9999_in_utc_is_refused(moment):
    with sk.EventStore.open("memory:") as store, pytest.raises(sk.InvalidArgumentError, match="years 1 to 9999, in UTC") as caught:
        store.import_events([sk.ImportEvent("s-1", sk.Event("E"), recorded_at=moment)])
    assert (caught.value.argument, caught.value.operation) == ("recorded_at", "import_events")
    with pytest.raises(sk.InvalidArgumentError, match="years 1 to 9999, in UTC") as caught:
        sk.RecordedEvent(stream="s-1", version=1, position=1, type="E", recorded_at=moment)
    assert caught.value.argument == "recorded_at"


@pytest.mark.parametrize("moment", [dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)])
def test_the_first_and_the_last_time_of_python_come_back(moment, url):
    with sk.EventStore.open(url) as store:
        store.import_events([sk.ImportEvent("s-1", sk.Event("E"), recorded_at=moment)])
        [read] = store.read("s-1")
    assert abs(read.recorded_at - moment) < dt.timedelta(milliseconds=1)
    assert sk.RecordedEvent(stream="s-1", version=1, position=1, type="E", recorded_at=moment).recorded_at == moment


@pytest.mark.parametrize("micros", [-62135596800000001, 253402300800000000])
def test_a_stored_time_that_python_cannot_hold_is_corrupt(micros):
    stored = ("s-1", 1, 1, ID.bytes, "E", True, b"{}", b"{}", (), None, micros)
    with pytest.raises(sk.CorruptError) as caught:
        _ = sk.event.recorded(stored).recorded_at
    assert caught.value.where == "recorded_at of version 1 of stream 's-1'"


@pytest.mark.parametrize(
    "make",
    [
        lambda: sk.ImportEvent("s-1", "not an event"),
        lambda: sk.RecordedEvent(stream="s-1", version=1, position=1, type="E", recorded_at="now"),
        lambda: sk.Event("E", tags="one"),
        lambda: sk.Event("E", id="not a uuid"),
        lambda: sk.Event("E", metadata=[1]),
        lambda: sk.Query(types="OrderPlaced"),
    ],
)
def test_a_wrong_type_is_a_type_error(make):
    with pytest.raises(TypeError):
        make()


def test_queries_join_by_or_and_everything_stays_everything():
    one, other = sk.Query(types=["A"]), sk.Query(tags=["t"], categories=["c"])
    assert (one | other).items == (*one.items, *other.items)
    assert sk.Query() | one == one | sk.Query() == sk.Query()
    with pytest.raises(TypeError):
        one | "B"


def test_an_import_keeps_place_id_and_time(url):
    at = dt.datetime(1969, 7, 20, 20, 17, 40, 123457, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    event = sk.Event("$own", {"a": 1}, id=ID)
    with sk.EventStore.open(url) as store:
        done = store.import_events([sk.ImportEvent("s-1", event, version=7, recorded_at=at)])
        assert (done.imported, done.passed_over) == (1, 0)
        assert store.import_events([sk.ImportEvent("s-1", event, version=7, recorded_at=at)]).passed_over == 1
        [read] = store.read("s-1")
        assert (read.version, read.type, read.id, read.recorded_at) == (7, "$own", ID, at)


def test_a_time_without_a_zone_is_refused():
    with sk.EventStore.open("memory:") as store, pytest.raises(sk.InvalidArgumentError) as caught:
        store.import_events([sk.ImportEvent("s-1", sk.Event("E"), recorded_at=dt.datetime(2026, 1, 1))])  # noqa: DTZ001
    assert caught.value.argument == "recorded_at"
