"""Core's log lines are lines of Python's logging."""

import asyncio
import contextlib
import logging
import os
import socket
import sqlite3
import threading
import time
from urllib.parse import urlsplit, urlunsplit

import pytest
import streamkeep as sk

IGNORED = "a snapshot is ignored because it is not valid for its stream"


def damaged(path):
    """Makes a store with a snapshot whose bytes are damaged."""
    with sk.EventStore.open(f"sqlite:{path}") as store:
        store.append("s", [sk.Event("Done")])
        store.save_snapshot(sk.Snapshot("s", 1, "state/1", {"done": True}))
    with contextlib.closing(sqlite3.connect(path)) as database:
        (table,) = database.execute("select name from sqlite_master where type = 'table' and name like '%snapshots'").fetchone()
        assert database.execute(f"update {table} set data = '{{}}'").rowcount == 1
        database.commit()
    return f"sqlite:{path}"


def lines(caplog):
    return [(line.name, line.levelno, line.getMessage()) for line in caplog.records if line.name.startswith("streamkeep")]


def test_a_line_of_core_is_a_line_of_logging(tmp_path, caplog):
    began = time.time()
    with sk.EventStore.open(damaged(tmp_path / "log.db")) as store:
        assert store.load_snapshot("s", "state/1") is None
        assert lines(caplog) == [("streamkeep.snapshot", logging.WARNING, f"{IGNORED} (version: 1)")]
    assert began <= caplog.records[-1].created <= time.time()


def test_a_loop_writes_lines_too(tmp_path, caplog):
    async def loading():
        async with sk.AsyncEventStore.open(damaged(tmp_path / "log.db")) as store:
            assert await store.load_snapshot("s", "state/1") is None
            await until(lambda: lines(caplog))

    asyncio.run(loading())
    assert lines(caplog) == [("streamkeep.snapshot", logging.WARNING, f"{IGNORED} (version: 1)")]


def test_a_logger_that_is_switched_off_writes_nothing(tmp_path, caplog):
    caplog.set_level(logging.ERROR, logger="streamkeep")
    with sk.EventStore.open(damaged(tmp_path / "log.db")) as store:
        assert store.load_snapshot("s", "state/1") is None
    assert lines(caplog) == []


def test_a_handler_can_fail_or_use_the_store_and_the_call_has_its_answer(tmp_path, monkeypatch):
    reported, handled = [], []
    monkeypatch.setattr("sys.unraisablehook", reported.append)
    with sk.EventStore.open(damaged(tmp_path / "log.db")) as store:

        def fails(line):
            store.append("handled", [sk.Event("Logged", {"line": line.getMessage()})])
            handled.append(line)
            raise ValueError("a handler failed")

        logger = logging.getLogger("streamkeep.snapshot")
        logger.addFilter(fails)
        try:
            assert store.load_snapshot("s", "state/1") is None
        finally:
            logger.removeFilter(fails)
        assert len(handled) == 1
        assert [str(one.exc_value) for one in reported] == ["a handler failed"]
        assert [event.data for event in store.read("handled")] == [{"line": f"{IGNORED} (version: 1)"}]


def test_a_filter_that_fails_loses_no_other_line(tmp_path, caplog, monkeypatch):
    reported, seen = [], []
    monkeypatch.setattr("sys.unraisablehook", reported.append)

    def fails(line):
        seen.append(line)
        if len(seen) == 1:
            raise ValueError("a filter failed")
        return True

    async def loading():
        async with sk.AsyncEventStore.open(damaged(tmp_path / "log.db")) as store:
            loads = [asyncio.ensure_future(store.load_snapshot("s", "state/1")) for _ in range(6)]
            await asyncio.sleep(0)
            time.sleep(0.3)  # noqa: ASYNC251 the loop is busy, so the lines wait together
            await asyncio.gather(*loads)
            await until(lambda: len(seen) == 6)

    logger = logging.getLogger("streamkeep.snapshot")
    logger.addFilter(fails)
    try:
        asyncio.run(loading())
    finally:
        logger.removeFilter(fails)
    assert len(lines(caplog)) == 5
    assert [str(one.exc_value) for one in reported] == ["a filter failed"]


class Proxy:
    """Passes connections on to a server until it is told to cut them."""

    def __init__(self, host, port):
        self.server = (host, port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.open = True
        self.sockets = []
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def port(self):
        return self.listener.getsockname()[1]

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                if not self.open:
                    client.close()
                    continue
                server = socket.create_connection(self.server)
                self.sockets += [client, server]
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self.copy, args=(one, other), daemon=True).start()

    @staticmethod
    def copy(one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

    def cut(self):
        self.open = False
        for one in self.sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


async def until(condition):
    for _ in range(400):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it took longer than 20 s")


@pytest.mark.patience(60)
@pytest.mark.skipif("STREAMKEEP_TEST_POSTGRES_URL" not in os.environ, reason="no Postgres")
def test_a_subscription_says_that_its_database_is_lost_and_found(caplog):
    caplog.set_level(logging.INFO, logger="streamkeep")
    url = urlsplit(os.environ["STREAMKEEP_TEST_POSTGRES_URL"])
    proxy = Proxy(url.hostname or "127.0.0.1", url.port or 5432)
    user, at, _ = url.netloc.rpartition("@")
    through = urlunsplit(url._replace(netloc=f"{user}{at}127.0.0.1:{proxy.port}"))
    said = lambda words: [line for line in lines(caplog) if words in line[2]]  # noqa: E731

    async def following():
        async with sk.AsyncEventStore.open(through, namespace=f"l_{os.getpid()}", poll_interval=0.05) as store:
            await store.append("s", [sk.Event("One")])
            events = store.subscribe()
            assert (await anext(events)).type == "One"
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0.2)
            proxy.cut()
            await until(lambda: said("subscriptions cannot read the database and retry"))
            proxy.open = True
            await until(lambda: said("subscriptions can read the database again"))
            await store.append("s", [sk.Event("Two")])
            assert (await waiting).type == "Two"
            await events.aclose()

    asyncio.run(following())
    (lost,) = said("subscriptions cannot read the database and retry")
    assert lost[:2] == ("streamkeep.tail", logging.WARNING)
    assert "(error: " in lost[2]
    (found,) = said("subscriptions can read the database again")
    assert found[:2] == ("streamkeep.tail", logging.INFO)
