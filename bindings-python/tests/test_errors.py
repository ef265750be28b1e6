import asyncio
import copy
import datetime as dt
import gc
import pickle
import subprocess
import sys
import uuid
import warnings

import pytest
import streamkeep as sk
from streamkeep import _native

MIXED_IN = {
    "ConflictError": (),
    "DuplicateEventError": (),
    "NotFoundError": (LookupError,),
    "InvalidArgumentError": (ValueError,),
    "LimitExceededError": (ValueError,),
    "ConfigError": (ValueError,),
    "UnavailableError": (ConnectionError,),
    "CheckpointAheadError": (),
    "CorruptError": (),
    "ClosedError": (),
    "InternalError": (),
}


@pytest.mark.parametrize(("name", "bases"), MIXED_IN.items())
def test_every_error_is_a_streamkeep_error_and_the_hosts_own_kind(name, bases):
    cls = getattr(sk, name)
    assert cls.__bases__ == (sk.StreamkeepError, *bases)
    assert issubclass(sk.StreamkeepError, Exception)


def conflict():
    with sk.EventStore.open("memory:") as store:
        store.append("s-1", [sk.Event("E")])
        event = sk.Event("E")
        with pytest.raises(sk.ConflictError) as caught:
            store.append("s-1", [event], expected=sk.NO_STREAM)
        return event, caught.value


def test_a_conflict_carries_the_facts():
    event, error = conflict()
    assert (error.code, error.stream, error.expected, error.actual) == ("conflict", "s-1", sk.NO_STREAM, 1)
    assert isinstance(error.expected, sk.ExpectedVersion)
    assert (error.retryable, error.outcome, error.ids) == (False, "not applied", (event.id,))
    assert (error.operation, error.hint) == ("append", None)
    assert "s-1" in str(error)


def test_a_copied_error_has_its_notes():
    error = sk.ConflictError("late", stream="s", expected=1, actual=2)
    error.add_note("while placing an order")
    for again in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert again.__notes__ == ["while placing an order"]
        again.add_note("of the copy only")
    assert error.__notes__ == ["while placing an order"]


@pytest.mark.parametrize("text", [None, 5, {}, bytearray(b"{}")])
def test_json_text_of_another_type_is_a_type_error(text):
    with pytest.raises(TypeError, match="data must be the text of JSON"):
        sk.Event.json("E", text)
    with pytest.raises(TypeError, match="data must be the text of JSON"):
        sk.Snapshot.json("s", 1, "state/1", text)


def test_errors_pickle_whole():
    _, error = conflict()
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is sk.ConflictError
    assert vars(again) == vars(error)
    assert str(again) == str(error)
    duplicate = sk.DuplicateEventError("m", id=uuid.uuid4(), stream="s", version=1)
    assert vars(pickle.loads(pickle.dumps(duplicate))) == vars(duplicate)


METHODS = {"append", "import_events", "read", "read_all", "read_page", "subscribe", "save_snapshot", "load_snapshot", "head"}


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda store: store.append("s\ud800", [sk.Event("E")]), "stream"),
        (lambda store: store.append("s", [sk.Event("E\ud800")]), "type"),
        (lambda store: store.append("s", [sk.Event("E", tags=["\ud800"])]), "tag"),
        (lambda store: store.append("s", [sk.Event("E", schema="\ud800")]), "schema"),
        (lambda store: store.append("s", [sk.Event("E")], expected=-1), "expected"),
        (lambda store: store.append("s", [sk.Event("E")], expected=2**64), "expected"),
        (lambda store: store.append("s", [sk.Event("E")], timeout=-1), "timeout"),
        (lambda store: store.append("s", [sk.Event("E")], timeout=float("nan")), "timeout"),
        (lambda store: store.append("s", []), "events"),
        (lambda store: store.append("s", [sk.Event.json("E", "{")]), "data"),
        (lambda store: store.append("s", [sk.Event.json("E", b"\xff")]), "data"),
        (lambda store: store.read("s", from_version=-1), "from_version"),
        (lambda store: store.read("s", from_version=0), "from_version"),
        (lambda store: store.read("s", limit=0), "limit"),
        (lambda store: store.read("s", timeout=-1), "timeout"),
        (lambda store: store.read(""), "stream"),
        (lambda store: store.read("s", direction="up"), "direction"),
        (lambda store: store.read_all(after=-1), "after"),
        (lambda store: store.read_all(limit=0), "limit"),
        (lambda store: store.read_all(query=sk.Query(types=["\ud800"])), "query"),
        (lambda store: store.read_all(query=sk.Query(types=[""])), "query"),
        (lambda store: store.subscribe(start="then"), "start"),
        (lambda store: store.subscribe(start="now", after=1), "after"),
        (lambda store: store.subscribe(after=-1), "after"),
        (lambda store: store.subscribe(query=sk.Query(types=[""])), "query"),
        (lambda store: store.subscribe(idle_timeout=-1), "idle_timeout"),
        (lambda store: store.subscribe(idle_timeout=float("nan")), "idle_timeout"),
        (lambda store: store.read_page(limit=0), "limit"),
        (lambda store: store.head(timeout=-1), "timeout"),
        (lambda store: store.import_events([], timeout=-1), "timeout"),
        (lambda store: store.load_snapshot("s", "s/1", timeout=-1), "timeout"),
        (lambda store: store.save_snapshot(sk.Snapshot("s", 1, "s/1", {}), timeout=-1), "timeout"),
        (lambda store: store.load_snapshot("s", "s/1", at_or_before=-1), "at_or_before"),
        (lambda store: store.save_snapshot(sk.Snapshot("s", 1, "s/1", {})), "version"),
    ],
)
def test_a_wrong_value_is_an_invalid_argument_by_name(call, argument):
    with sk.EventStore.open("memory:") as store, pytest.raises(sk.InvalidArgumentError) as caught:
        call(store)
    assert caught.value.argument == argument
    assert caught.value.operation in METHODS
    assert str(caught.value).startswith(f"{caught.value.operation}: ")


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.append(1, [sk.Event("E")]),
        lambda store: store.append("s", sk.Event("E")),
        lambda store: store.append("s", [{"type": "E"}]),
        lambda store: store.append("s", [sk.Event(1)]),
        lambda store: store.append("s", [sk.Event("E")], expected=True),
        lambda store: store.append("s", [sk.Event("E")], expected=1.5),
        lambda store: store.import_events([sk.Event("E")]),
        lambda store: store.read("s", limit="3"),
        lambda store: store.read("s", timeout="3"),
        lambda store: store.read_all(query=None),
        lambda store: store.read_all(query={"types": ["E"]}),
        lambda store: store.read_page(query=[]),
        lambda store: store.subscribe(query="E"),
        lambda store: store.subscribe(on_caught_up=1),
        lambda store: store.subscribe(idle_timeout="3"),
        lambda store: store.save_snapshot({"stream": "s"}),
        lambda store: store.append("s", [sk.Snapshot("s", 1, "s/1", {})]),
        lambda store: store.head(timeout="3"),
    ],
)
def test_a_wrong_type_is_a_type_error(call):
    with sk.EventStore.open("memory:") as store, pytest.raises(TypeError):
        call(store)


READS = [
    lambda store: store.read("s", limit=0),
    lambda store: store.read("s", from_version=0),
    lambda store: store.read_all(limit=0),
    lambda store: store.subscribe(start="now", after=1),
    lambda store: store.subscribe(idle_timeout=-1),
]


@pytest.mark.parametrize("call", READS)
def test_an_asynchronous_read_refuses_a_wrong_value_at_the_call(call):
    async def main():
        async with sk.AsyncEventStore.open("memory:") as store:
            with pytest.raises(sk.InvalidArgumentError):
                call(store)

    asyncio.run(main())


@pytest.mark.parametrize("face", [sk.EventStore, sk.AsyncEventStore])
def test_a_store_is_made_by_open_only(face):
    with pytest.raises(TypeError, match=rf"{face.__name__}\.open") as caught:
        face("postgres://amy:S3NTINEL@127.0.0.1/x")
    assert "S3NTINEL" not in str(caught.value)
    with pytest.raises(TypeError, match=rf"{face.__name__}\.open"):
        face()
    with pytest.raises(TypeError, match="no option 'nonsense'"):
        face.open("memory:", nonsense=1)


HOLDER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("begin immediate")
print("held", flush=True)
sys.stdin.read()
"""


def test_every_write_has_a_timeout_of_its_own(tmp_path):
    """Another process holds the lock for writing. The store's own timeout is far away."""
    with sk.EventStore.open(f"sqlite:{tmp_path}/events.db", timeout=3600) as store:
        at = store.append("s-1", [sk.Event("E")])
        snapshot = sk.Snapshot("s-1", at.version, "s/1", {})
        calls = {
            "append": lambda: store.append("s-1", [sk.Event("E")], timeout=0.1),
            "import_events": lambda: store.import_events([sk.ImportEvent("i-1", sk.Event("E"))], timeout=0.1),
            "save_snapshot": lambda: store.save_snapshot(snapshot, timeout=dt.timedelta(seconds=0.1)),
        }
        command = [sys.executable, "-c", HOLDER, tmp_path / "events.db"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout.readline() == "held\n"
            for operation, call in calls.items():
                with pytest.raises(sk.UnavailableError) as caught:
                    call()
                assert (caught.value.operation, caught.value.retryable) == (operation, True)
            holder.communicate()
        assert store.head(timeout=30) >= at.position
        # What was late may have been done afterwards.
        assert store.load_snapshot("s-1", "s/1", timeout=30) in {None, snapshot}


def test_an_error_has_the_hint_of_core_and_of_a_fork():
    with pytest.raises(sk.ConfigError) as caught:
        sk.EventStore.open("nowhere:")
    assert caught.value.operation == "open"
    hinted = sk.StreamkeepError("m", operation="append", hint="do this", outcome="unknown")
    assert str(hinted) == "append: m; do this (outcome: unknown)"
    again = pickle.loads(pickle.dumps(hinted))
    assert (again.operation, again.hint) == ("append", "do this")


@pytest.mark.parametrize("url", ["nowhere:", "memory:?nonsense=1", "memory:?timeout_ms=soon", "sqlite:", ""])
def test_a_wrong_url_is_a_config_error(url):
    with pytest.raises(sk.ConfigError):
        sk.EventStore.open(url)


@pytest.mark.parametrize("scheme", ["postgres", "mongodb"])
@pytest.mark.parametrize(("parameter", "kind"), [("", sk.UnavailableError), ("&s3cret=S3NTINEL", sk.ConfigError)])
def test_credentials_appear_nowhere(scheme, parameter, kind):
    with pytest.raises(kind) as caught:
        sk.EventStore.open(f"{scheme}://amy:S3NTINEL@127.0.0.1:1/x?timeout_ms=200{parameter}")
    assert "S3NTINEL" not in f"{caught.value!r} {caught.value} {vars(caught.value)}"


def test_a_panic_is_an_internal_error_and_the_process_goes_on(capfd):
    with pytest.raises(sk.InternalError, match="asked to"):
        _native.panic_inside(None)

    async def asynchronously():
        await _native.panic_inside(sk.aio._bridge()).future

    with pytest.raises(sk.InternalError, match="asked to"):
        asyncio.run(asynchronously())
    test_a_conflict_carries_the_facts()


@pytest.mark.parametrize("timeout", [30, 30.0, dt.timedelta(seconds=30), 1e300])
def test_a_time_out_is_seconds_or_a_timedelta(timeout):
    with sk.EventStore.open("memory:", timeout=timeout) as store:
        store.append("s", [sk.Event("E")], timeout=timeout)


def test_a_closed_store_says_so(url):
    store = sk.EventStore.open(url)
    store.append("s-1", [sk.Event("E"), sk.Event("E")])
    reading, following = store.read("s-1"), store.subscribe()
    next(reading)
    next(following)
    store.close()
    store.close()
    for call in (
        lambda: store.append("s-1", [sk.Event("E")]),
        lambda: list(store.read("s-1")),
        lambda: store.head(),
        lambda: next(reading),
        lambda: next(following),
    ):
        with pytest.raises(sk.ClosedError):
            call()
    assert "closed" in repr(store)


def test_a_forgotten_store_warns_and_is_closed():
    store = sk.EventStore.open("memory:forgotten")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del store
        gc.collect()
    assert [warning.category for warning in caught] == [ResourceWarning]


def test_a_repr_tells_no_secret_and_asks_nobody():
    with sk.EventStore.open("memory:hidden") as store:
        assert repr(store) == "<EventStore memory: open>"
