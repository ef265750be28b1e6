"""Ends many interpreters while their threads are inside calls of the store. `test_exits.py` runs it.

Each end is a forked child, which saves the start of an interpreter. The parent opens no store, so a child has a runtime
of its own, and leaves as every program does: its main thread returns, and Python ends around the daemon threads.
"""

import asyncio
import contextlib
import faulthandler
import os
import random
import select
import signal
import sys
import threading
import time

import streamkeep as sk

# An interpreter that takes this long to end hangs. The hook for its end waits 3 s at most.
PATIENCE = 20
THREADS = 4
NOTHING = "memory:nothing"


def opened(url):
    sk.EventStore.open(url).close()


def forgotten(url):
    sk.EventStore.open(url)


def appended(url):
    with sk.EventStore.open(url) as store:
        store.append("s-1", [sk.Event("E")])


def imported(url):
    with sk.EventStore.open(url) as store:
        store.import_events([sk.ImportEvent("i-1", sk.Event("E"))])


def read(url):
    with sk.EventStore.open(url) as store:
        next(store.read("s-1"), None)
        next(store.read_all(), None)
        store.read_page(limit=1)
        store.head()


def followed(url):
    with sk.EventStore.open(url) as store:
        list(store.subscribe(start="now", idle_timeout=0.001))


def waiting(url):
    with sk.EventStore.open(url) as store, store.subscribe(start="now", on_caught_up=lambda: following.close()) as following:
        list(following)


def snapshotted(url):
    with sk.EventStore.open(url) as store:
        at = store.append("s-2", [sk.Event("E")])
        store.save_snapshot(sk.Snapshot("s-2", at.version, "s/1", {}))
        store.load_snapshot("s-2", "s/1")


def refused(url):
    with contextlib.suppress(sk.ConfigError):
        sk.EventStore.open("nowhere:")
    with sk.EventStore.open(url) as store, contextlib.suppress(sk.ConflictError, sk.InvalidArgumentError):
        store.append("s-1", [sk.Event("E")], expected=sk.NO_STREAM)
        store.append("", [sk.Event("E")])


def on_a_loop(url):
    async def job():
        async with sk.AsyncEventStore.open(url) as store:
            await store.append("s-3", [sk.Event("E")])
            async for _ in store.read("s-3", limit=2):
                pass

    asyncio.run(job())


def many_on_a_loop(url):
    async def job():
        async with sk.AsyncEventStore.open(url) as store:
            calls = [store.append(f"s-{number}", [sk.Event("E")], expected=sk.NO_STREAM) for number in range(20)]
            await asyncio.gather(*calls, store.head(), store.read_page(), store.load_snapshot("s-2", "s/1"), return_exceptions=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.001):
                    await anext(store.subscribe(start="now"))

    asyncio.run(job())


def abandoned_on_a_loop(url):
    async def job():
        store = await sk.AsyncEventStore.open(url)
        appending = asyncio.ensure_future(store.append("s-4", [sk.Event("E")]))
        await asyncio.sleep(0)
        assert not appending.cancelled()

    asyncio.run(job())


JOBS = [
    opened, forgotten, appended, imported, read, followed, waiting, snapshotted, refused, on_a_loop, many_on_a_loop, abandoned_on_a_loop,
]  # fmt: skip


class Leftover:
    """Uses stores when the interpreter frees it, at its very end."""

    def __init__(self, store):
        self.store = store
        self.following = store.subscribe()

    def __del__(self):
        for late in (self.store.head, lambda: next(self.following), lambda: sk.EventStore.open("memory:"), self.store.close):
            with contextlib.suppress(sk.ClosedError):
                late()


def leave(url, chance):
    """Starts threads that work for ever, waits until all of them do, and for a moment more, and returns."""
    begun = threading.Barrier(THREADS + 1)
    jobs = [chance.choice(JOBS) for _ in range(THREADS)]
    moment = chance.random() * 0.03
    print(f"{[job.__name__ for job in jobs]} for {moment:.4f} s", file=sys.stderr, flush=True)

    def work(job):
        job(url)
        begun.wait()
        while True:
            job(url)

    for job in jobs:
        threading.Thread(target=work, args=(job,), daemon=True).start()
    begun.wait()
    time.sleep(moment)  # the moment of the end is what varies


def told(pipe, until):
    """Reads what a child writes until it has ended, or until it is too late."""
    text = b""
    while select.select([pipe], [], [], max(0.0, until - time.monotonic()))[0]:
        more = os.read(pipe, 65536)
        if not more:
            return True, text.decode(errors="replace")
        text += more
    return False, text.decode(errors="replace")


def main():
    url, ends, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    failed = 0
    for number in range(ends):
        chance = random.Random(f"{seed}.{number}")
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(writer, 2)
            os.closerange(3, writer + 1)
            faulthandler.dump_traceback_later(PATIENCE / 2, exit=True)
            main.leftover = Leftover(sk.EventStore.open(url)) if chance.random() < 0.5 else None
            leave(url, chance)
            return
        os.close(writer)
        ended, text = told(reader, time.monotonic() + PATIENCE)
        if not ended:
            os.kill(child, signal.SIGKILL)
        os.close(reader)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if not ended or status != 0 or text.count("\n") != 1:
            failed += 1
            print(f"end {number}: ended {ended}, status {status}: {text}", flush=True)
    print(f"{ends} ends, {failed} failed", flush=True)


main()
