"""A process that gevent or eventlet has patched is warned, and has ways out."""

import sys
import types
import warnings

import pytest
import streamkeep as sk
from streamkeep import greenlets
from test_processes import run

WARNED = """
import sys, warnings
from gevent import monkey
if sys.argv[1] == "patched":
    monkey.patch_all()
import asyncio
import streamkeep as sk

async def main():
    async with sk.AsyncEventStore.open("memory:"):
        pass

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    asyncio.run(main())
    assert not caught, caught
    sk.EventStore.open("memory:").close()
    sk.EventStore.open("memory:").close()
for warning in caught:
    print(warning.category.__name__, warning.filename, "gevent" in str(warning.message), "AsyncEventStore" in str(warning.message))
"""

WAYS_OUT = """
import warnings
from gevent import monkey
monkey.patch_all()
import asyncio, gevent
import streamkeep as sk

warnings.simplefilter("ignore", RuntimeWarning)
store = sk.EventStore.open("memory:greenlets")
ticks = []

def tick():
    while True:
        ticks.append(1)
        gevent.sleep(0.001)

def until_others_ran(subscription):
    before = len(ticks)
    for event in subscription:
        if len(ticks) > before + 5:
            return
        store.append("s-1", [sk.Event("E")])
    raise AssertionError("no event came")

async def on_a_loop():
    before = len(ticks)
    async with sk.AsyncEventStore.open("memory:greenlets") as other:
        async for event in other.subscribe(idle_timeout=60):
            if len(ticks) > before + 5:
                return
            await other.append("s-1", [sk.Event("E")])
    raise AssertionError("no event came")

gevent.spawn(tick)
store.append("s-1", [sk.Event("E")])
gevent.get_hub().threadpool.apply(until_others_ran, (store.subscribe(idle_timeout=60),))
asyncio.run(on_a_loop())
store.close()
"""


def test_a_process_patched_by_gevent_is_warned_once_at_the_blocking_open():
    assert run(WARNED, "patched") == "RuntimeWarning <string> True True\n"
    assert run(WARNED, "not patched") == ""


def test_in_gevents_thread_pool_and_on_a_loop_other_greenlets_go_on():
    run(WAYS_OUT)


def test_eventlet_is_noticed_in_the_same_way(monkeypatch):
    """With a module that answers as eventlet's own does, which is not installed here."""
    monkeypatch.setattr(greenlets, "_warned", set())
    patcher = types.ModuleType("eventlet.patcher")
    patcher.is_monkey_patched = lambda name: name == "thread"
    monkeypatch.setitem(sys.modules, "eventlet.patcher", patcher)
    with pytest.warns(RuntimeWarning, match="eventlet has patched this process"):
        sk.EventStore.open("memory:").close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sk.EventStore.open("memory:").close()
