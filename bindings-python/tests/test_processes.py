"""What happens to a store when its process forks, is interrupted, or ends."""

import signal
import subprocess
import sys

import pytest
from conftest import BACKENDS, url_of

FORKED = """
import asyncio, os, sys, time
import streamkeep as sk

url = sys.argv[1]
other = sys.argv[2]
store = sk.EventStore.open(url)
store.append("s-1", [sk.Event("Parent"), sk.Event("Parent")])
reading = store.read("s-1")
next(reading)
following = store.subscribe()
next(following)

child = os.fork()
if child == 0:
    began = time.monotonic()
    for call in (
        lambda: store.append("s-1", [sk.Event("Child")]),
        lambda: next(reading),
        lambda: next(following),
        lambda: store.read("s-1"),
        lambda: store.subscribe(),
        lambda: store.head(),
    ):
        try:
            call()
        except sk.ClosedError as error:
            assert "child" in (error.hint or ""), (error, error.hint)
        else:
            raise AssertionError("the parent's handle answered")
    following.close()
    store.close()
    assert time.monotonic() - began < 1
    with sk.EventStore.open(other) as own:
        own.append("s-1", [sk.Event("Child")])
        assert [event.type for event in own.read("s-1")] == ["Child"]

    async def main():
        async with sk.AsyncEventStore.open(other) as own:
            await own.append("s-2", [sk.Event("Child")])

    asyncio.run(main())
    del store, reading, following
    sys.exit(0)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
assert [event.type for event in reading] == ["Parent"]
assert store.append("s-1", [sk.Event("Parent")]).version == 3
assert [next(following).version for _ in range(2)] == [2, 3]
store.close()
"""

POOL = """
import multiprocessing, sys
import streamkeep as sk

def work(number):
    with sk.EventStore.open(sys.argv[1]) as store:
        store.append(f"s-{number}", [sk.Event("Child")])
    try:
        with sk.EventStore.open(sys.argv[1]) as store:
            store.append(f"s-{number}", [sk.Event("Child")], expected=0)
    except sk.ConflictError as error:
        return error

if __name__ == "__main__":
    with sk.EventStore.open("memory:") as store:
        store.append("s-1", [sk.Event("Parent")])
        with multiprocessing.get_context(sys.argv[2]).Pool(2) as pool:
            errors = pool.map(work, range(6))
            pool.close()
            pool.join()
    assert [(type(error), error.actual) for error in errors] == [(sk.ConflictError, 1)] * 6, errors
"""

EXIT = """
import asyncio, sys, threading
import streamkeep as sk

store = sk.EventStore.open(sys.argv[1])
waiting = threading.Event()
threading.Thread(target=lambda: list(store.subscribe(on_caught_up=waiting.set)), daemon=True).start()

def busy():
    while True:
        store.append("busy-1", [sk.Event("E")])

threading.Thread(target=busy, daemon=True).start()
waiting.wait()

async def main():
    other = await sk.AsyncEventStore.open(sys.argv[1])
    main.kept = other, asyncio.ensure_future(anext(other.subscribe(start="now")))
    calls = [other._handle.native.append(sk.aio._bridge(), "s-1", [sk.Event("E")._fields], "any", None) for _ in range(300)]
    main.kept += (calls,)
    tasks = [asyncio.ensure_future(other.append("s-2", [sk.Event("E")])) for _ in range(300)]
    await asyncio.sleep(0)

import warnings
warnings.simplefilter("ignore", ResourceWarning)
asyncio.run(main())
print("leaving", flush=True)
"""

INTERRUPTED = """
import asyncio, signal, sys
import streamkeep as sk

# A shell in the background starts its programs with Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def ready():
    print("waiting", flush=True)

try:
    if sys.argv[1] == "sync":
        with sk.EventStore.open("memory:") as store:
            for event in store.subscribe(on_caught_up=ready):
                pass
    else:
        async def main():
            async with sk.AsyncEventStore.open("memory:") as store:
                async for event in store.subscribe(on_caught_up=ready):
                    pass
        asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


IDS = """
import os
import streamkeep as sk

RANDOM_BITS = (1 << 62) - 1
sk.Event("Parent")
reader, writer = os.pipe()
child = os.fork()
made = str(sk.Event("Made").id.int & RANDOM_BITS)
if child == 0:
    os.write(writer, made.encode())
    os._exit(0)
os.waitpid(child, 0)
assert os.read(reader, 100).decode() != made
"""

SAME_FILE = """
import os, sys
import streamkeep as sk

url = sys.argv[1]
store = sk.EventStore.open(url)
store.append("s-1", [sk.Event("Parent")])

def in_a_child(work):
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, status

def refused():
    try:
        sk.EventStore.open(url)
    except sk.ConfigError as error:
        assert "fork" in str(error)
    else:
        raise AssertionError("the parent's file was opened in its child")

def taken():
    with sk.EventStore.open(url) as own:
        own.append("s-1", [sk.Event("Child")])

in_a_child(refused)
store.close()
in_a_child(taken)
with sk.EventStore.open(url) as store:
    assert [event.type for event in store.read("s-1")] == ["Parent", "Child"]
"""


def run(script, *arguments, timeout=60):
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=timeout)  # noqa: PLW1510
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_forked_child_finds_the_parents_handle_closed_and_can_open_its_own(backend, tmp_path):
    run(FORKED, url_of(backend, tmp_path), url_of(backend, tmp_path))


def test_a_file_open_at_the_fork_is_refused_in_the_child_and_taken_once_the_parent_has_closed_it(tmp_path):
    run(SAME_FILE, f"sqlite:{tmp_path}/events.db")


def test_a_forked_child_never_repeats_the_ids_of_its_parent():
    run(IDS)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_of_processes_work(method, durable_url, tmp_path):
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    done = subprocess.run([sys.executable, script, durable_url, method], capture_output=True, text=True, timeout=60)  # noqa: PLW1510
    assert (done.returncode, done.stderr) == (0, ""), done


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_interpreter_ends_cleanly_with_calls_in_flight(backend, tmp_path):
    url = url_of(backend, tmp_path)
    for _ in range(20):
        assert run(EXIT, url, timeout=20) == "leaving\n"


@pytest.mark.parametrize("face", ["sync", "async"])
def test_control_c_interrupts_a_wait(face):
    child = subprocess.Popen([sys.executable, "-c", INTERRUPTED, face], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "waiting\n"
        child.send_signal(signal.SIGINT)
        rest, errors = child.communicate(timeout=10)
    finally:
        child.kill()
    assert (child.returncode, rest, errors) == (0, "interrupted\n", "")


def test_the_number_of_worker_threads_can_be_set(monkeypatch):
    counting = """
import streamkeep as sk, os, time
def named():
    names = [open(f"/proc/self/task/{task}/comm").read().strip() for task in os.listdir("/proc/self/task")]
    return names.count("streamkeep")
with sk.EventStore.open("memory:") as store:
    # A thread sets its name when it starts to run, which may be after the store is open.
    patience = time.monotonic() + 10
    while named() < 3 and time.monotonic() < patience:
        time.sleep(0.01)
    print(named())
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("threads are counted in /proc, which only Linux has")
    monkeypatch.setenv("STREAMKEEP_THREADS", "3")
    assert run(counting) == "3\n"
    monkeypatch.setenv("STREAMKEEP_THREADS", "many")
    refused = "import streamkeep as sk\ntry:\n    sk.EventStore.open('memory:')\nexcept sk.ConfigError as error:\n    print(error.code)"
    assert run(refused) == "config\n"


SUBINTERPRETER = """
import importlib, sys

try:
    interpreters = importlib.import_module("_interpreters")
except ImportError:
    interpreters = importlib.import_module("_xxsubinterpreters")

def run(program):
    other = interpreters.create("legacy") if hasattr(interpreters, "new_config") else interpreters.create(isolated=False)
    try:
        failed = interpreters.run_string(other, program)
        return "" if failed is None else failed.formatted
    except Exception as error:
        return str(error)
    finally:
        interpreters.destroy(other)

before = sys.argv[1] == "before"
if before:
    import streamkeep as sk
    store = sk.EventStore.open("memory:")
told = run(f"import sys; sys.path[:] = {sys.path!r}; import streamkeep")
assert "cannot be used in a subinterpreter" in told, told
import streamkeep as sk
assert sk.EventStore.open("memory:").head() == 0
if before:
    assert store.append("s", [sk.Event("E")]).version == 1
"""


@pytest.mark.parametrize("imported", ["before", "after"])
def test_a_subinterpreter_is_refused_and_harms_no_store(imported):
    program = [sys.executable, "-W", "ignore", "-c", SUBINTERPRETER, imported]
    done = subprocess.run(program, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
