"""Calls that are cancelled at random moments, on a pool of one connection."""

import asyncio
import collections
import os
import random
import shutil
import subprocess

import pytest
import streamkeep as sk

ROUNDS = 200


@pytest.fixture
def seed(capsys):
    seed = int(os.environ.get("STREAMKEEP_TEST_SEED", random.randrange(2**32)))
    with capsys.disabled():
        print(f"\n[cancellation: STREAMKEEP_TEST_SEED={seed}]", end=" ")
    return seed


async def storm(store, chance):
    """Starts appends in groups, cancels one of each group after a moment, and returns the acknowledged ones."""
    acknowledged, cancelled = set(), set()
    for number in range(ROUNDS):
        bunch = {}
        for place in range(3):
            mark = f"{number}.{place}"
            pair = [sk.Event("Half", {"pair": mark, "half": half}) for half in (1, 2)]
            bunch[mark] = asyncio.create_task(store.append(f"storm-{place}", pair))
        victim = chance.choice(list(bunch))
        read = asyncio.create_task(store.read_page(limit=10))
        await moment(chance)
        bunch[victim].cancel()
        if chance.random() < 0.3:
            read.cancel()
        answers = await asyncio.gather(*bunch.values(), return_exceptions=True)
        await asyncio.gather(read, return_exceptions=True)
        for mark, answer in zip(bunch, answers, strict=True):
            if isinstance(answer, sk.AppendResult):
                acknowledged.add(mark)
            else:
                assert (mark, type(answer)) == (victim, asyncio.CancelledError)
                cancelled.add(mark)
    return acknowledged, cancelled


async def moment(chance):
    """Yields to the loop not at all, a few times, or for up to 3 ms."""
    kind = chance.random()
    if kind < 0.2:
        return
    if kind < 0.5:
        for _ in range(chance.randrange(1, 6)):
            await asyncio.sleep(0)
    else:
        await asyncio.sleep(chance.random() * 0.003)


def idle_in_transaction(url):
    """The number of server sessions that are idle in a transaction."""
    psql = shutil.which("psql")
    assert psql, "psql is needed to see stale transactions"
    asked = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'"
    base = url.replace(url[url.index("namespace=") - 1 :], "")
    return int(subprocess.run([psql, base, "-Atc", asked], check=True, capture_output=True, text=True).stdout)


def test_an_append_cancelled_at_any_instant_is_whole_or_absent(durable_url, seed, capsys):
    async def main():
        async with sk.AsyncEventStore.open(durable_url, max_connections=1, timeout=20) as store:
            acknowledged, cancelled = await storm(store, random.Random(seed))
            assert cancelled
            assert acknowledged
            await store.append("after-1", [sk.Event("Still")])
            assert [event.type async for event in store.read("after-1")] == ["Still"]
        if durable_url.startswith("postgres"):
            assert idle_in_transaction(durable_url) == 0
        return acknowledged, cancelled

    acknowledged, cancelled = asyncio.run(main())
    with sk.EventStore.open(durable_url, max_connections=1) as store:
        halves = collections.Counter(
            (event.data["pair"], event.data["half"]) for event in store.read_all(query=sk.Query(categories=["storm"]))
        )
        assert [event.type for event in store.read("after-1")] == ["Still"]
    assert set(halves.values()) == {1}
    stored = {pair for pair, _ in halves}
    assert {(pair, half) for pair in stored for half in (1, 2)} == set(halves)
    assert acknowledged <= stored <= acknowledged | cancelled
    with capsys.disabled():
        print(f"{len(acknowledged)} acknowledged, {len(cancelled)} cancelled, of which {len(stored - acknowledged)} stand", end=" ")


def test_a_cancelled_append_can_be_repeated(durable_url):
    async def main():
        async with sk.AsyncEventStore.open(durable_url) as store:
            for turns in range(20):
                event = sk.Event("E")
                task = asyncio.create_task(store.append("s-1", [event]))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await store.append("s-1", [event])
            assert len([event async for event in store.read("s-1")]) == 20

    asyncio.run(main())
