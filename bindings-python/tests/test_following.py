import asyncio
import contextvars
import gc
import threading
import weakref
from pathlib import Path

import pytest
import streamkeep as sk


def test_a_subscription_tells_the_end_of_catching_up_and_goes_on_live(url):
    with sk.EventStore.open(url) as store:
        store.append("s-1", [sk.Event("A")])

        def caught_up():
            store.append("s-1", [sk.Event("B")])

        seen = []
        for event in store.subscribe(on_caught_up=caught_up):
            seen.append(event.type)
            if event.type == "B":
                break
    assert seen == ["A", "B"]


def test_a_subscription_can_be_closed_from_another_thread(url):
    with sk.EventStore.open(url) as store:
        waiting = threading.Event()
        subscription = store.subscribe(on_caught_up=waiting.set)
        seen = []
        reader = threading.Thread(target=lambda: seen.extend(subscription))
        reader.start()
        assert waiting.wait(10)
        subscription.close()
        reader.join(10)
        assert not reader.is_alive()
        assert seen == []
        assert list(subscription) == []


def test_a_store_closed_from_another_thread_ends_its_subscriptions(url):
    store = sk.EventStore.open(url)
    waiting, ended = threading.Event(), []

    def read():
        try:
            list(store.subscribe(on_caught_up=waiting.set))
        except sk.ClosedError as error:
            ended.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    assert waiting.wait(10)
    store.close()
    reader.join(10)
    assert len(ended) == 1


def test_a_timeout_ends_an_iteration_that_can_go_on(url):
    with sk.EventStore.open(url) as store, store.subscribe(idle_timeout=0.05) as subscription:
        assert list(subscription) == []
        store.append("s-1", [sk.Event("A"), sk.Event("B")])
        assert [event.type for event in subscription] == ["A", "B"]


def test_reading_gives_way_to_other_threads():
    with sk.EventStore.open("memory:") as store:
        waiting = threading.Event()
        reader = threading.Thread(target=lambda: next(store.subscribe(on_caught_up=waiting.set)))
        reader.start()
        assert waiting.wait(10)
        store.append("s-1", [sk.Event("E")])
        reader.join(10)
        assert not reader.is_alive()


def test_a_dropped_iterator_frees_what_it_held():
    store = sk.EventStore.open("memory:")
    store.append("s-1", [sk.Event("E") for _ in range(2500)])
    subscription = store.subscribe()
    for reading in (store.read("s-1"), store.read_all(), subscription):
        next(iter(reading))
    gone = weakref.ref(store._handle)
    store.close()
    del store, reading, subscription
    gc.collect()
    assert gone() is None


def test_reads_have_bounds_direction_and_limit(url):
    with sk.EventStore.open(url) as store:
        store.append("s-1", [sk.Event(f"E{number}") for number in range(1, 2501)])
        assert [event.version for event in store.read("s-1")] == list(range(1, 2501))
        assert [event.version for event in store.read("s-1", from_version=3, to_version=5, direction="backward")] == [5, 4, 3]
        assert [event.version for event in store.read_all(query=sk.Query(types=["E7", "E9"]))] == [7, 9]
        page = store.read_page(limit=10)
        assert (len(page.events), page.caught_up) == (10, False)
        assert [event.version for event in store.read_page(after=page.reached, limit=1).events] == [11]


def run(url, main):
    async def with_store():
        async with sk.AsyncEventStore.open(url) as store:
            return await main(store)

    return asyncio.run(with_store())


def test_open_can_be_awaited(url):
    async def main():
        store = await sk.AsyncEventStore.open(url)
        try:
            assert (await store.append("s-1", [sk.Event("E")])).version == 1
        finally:
            await store.close()
        with pytest.raises(sk.ClosedError):
            await store.head()

    asyncio.run(main())


def test_a_cancelled_wait_loses_no_event(url):
    async def main(store):
        subscription = store.subscribe()
        seen = []
        writing = asyncio.create_task(write(store, 50))
        while len(seen) < 50:
            try:
                async with asyncio.timeout(0.001):
                    seen.append((await anext(subscription)).version)
            except TimeoutError:
                continue
        await writing
        assert seen == list(range(1, 51))

    async def write(store, count):
        for _ in range(count):
            await store.append("s-1", [sk.Event("E")])
            await asyncio.sleep(0)

    run(url, main)


def test_an_async_subscription_ends_by_aclose_from_another_task(url):
    async def main(store):
        caught_up = asyncio.Event()

        async def tell():
            caught_up.set()

        subscription = store.subscribe(on_caught_up=tell)

        async def read():
            return [event async for event in subscription]

        reading = asyncio.create_task(read())
        await caught_up.wait()
        with pytest.raises(RuntimeError):
            while True:
                await asyncio.sleep(0)
                await anext(subscription)
        await subscription.aclose()
        assert await reading == []

    run(url, main)


def test_many_calls_at_once_get_each_its_own_answer(url):
    async def main(store):
        answers = await asyncio.gather(*(store.append(f"s-{number}", [sk.Event("E")], expected=sk.NO_STREAM) for number in range(500)))
        assert {answer.version for answer in answers} == {1}
        conflicts = await asyncio.gather(
            *(store.append(f"s-{number}", [sk.Event("E")], expected=sk.NO_STREAM) for number in range(100)), return_exceptions=True
        )
        assert [(type(error), error.stream) for error in conflicts] == [(sk.ConflictError, f"s-{number}") for number in range(100)]
        assert len([event async for event in store.read_all()]) == 500

    run(url, main)


def test_a_store_serves_several_loops():
    store = sk.EventStore.open("memory:loops")

    def on_a_loop():
        run("memory:loops", lambda store: store.append("s-1", [sk.Event("E")]))

    threads = [threading.Thread(target=on_a_loop) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [event.version for event in store.read("s-1")] == list(range(1, 9))
    store.close()


class Interrupted(asyncio.Future):
    """A future whose result is set and then interrupted, as by a signal's handler, if its loop says so."""

    def set_result(self, result):
        super().set_result(result)
        if self.get_loop().armed:
            self.get_loop().armed = False
            raise ArithmeticError("interrupted")


class InterruptedLoop(asyncio.SelectorEventLoop):
    armed = False

    def create_future(self):
        return Interrupted(loop=self)


def test_an_answer_whose_delivery_is_interrupted_takes_no_other_one_with_it():
    count = 50
    loop, raised = InterruptedLoop(), []
    loop.set_exception_handler(lambda _loop, context: raised.append(context["exception"]))
    with sk.EventStore.open("memory:interrupted") as own:
        native = own._handle.native

        async def main():
            bridge = sk.aio._bridge()
            calls = [native.append(bridge, f"s-{number}", [sk.Event("E")._fields], "any", None) for number in range(count)]
            # The loop stands still meanwhile, so most answers wait for it together.
            while own.head() < count:
                pass
            loop.armed = True
            await asyncio.wait_for(asyncio.gather(*(call.future for call in calls)), 30)

        try:
            loop.run_until_complete(main())
        finally:
            loop.close()
    assert [type(error) for error in raised] == [ArithmeticError]


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted in /proc, which only Linux has")
def test_loops_that_were_closed_leave_no_socket_behind():
    """Even if they are closed while a call waits, and kept."""
    kept = []
    with sk.EventStore.open("memory:sockets"):

        async def use():
            store = await sk.AsyncEventStore.open("memory:sockets")
            kept.append(sk.aio._bridge())
            kept.append(store._handle.native.subscribe([], "now", None).next(kept.pop()))
            await store.close()

        def used():
            loop = asyncio.new_event_loop()
            loop.run_until_complete(use())
            loop.close()
            kept.append(loop)

        used()
        before = open_files()
        for _ in range(50):
            used()
        assert open_files() <= before + 2


class Deaf(asyncio.SelectorEventLoop):
    """A loop that cannot watch sockets, like the default one of Windows. It watches its own before it is ready."""

    ready = False

    def add_reader(self, *_arguments):
        if self.ready:
            raise NotImplementedError
        super().add_reader(*_arguments)


def test_a_loop_that_cannot_watch_sockets_is_refused():
    loop = Deaf()
    loop.ready = True

    async def main():
        with pytest.raises(sk.ConfigError) as caught:
            await sk.AsyncEventStore.open("memory:")
        assert "SelectorEventLoop" in caught.value.hint

    loop.run_until_complete(main())
    loop.close()


def test_a_loop_keeps_nothing_of_the_task_that_came_first():
    class Value:
        pass

    variable = contextvars.ContextVar("variable")

    async def first():
        value = Value()
        variable.set(value)
        await (await sk.AsyncEventStore.open("memory:first")).close()
        return weakref.ref(value)

    async def main():
        value = await asyncio.create_task(first())
        # The end of the task is told to this one in its context.
        await asyncio.sleep(0)
        gc.collect()
        assert value() is None
        async with sk.AsyncEventStore.open("memory:first") as store:
            assert await store.head() == 0

    asyncio.run(main())


def test_calls_go_on_while_the_loop_has_other_work(url):
    """Each call needs the loop several times. One that never waits must not starve it, and is not starved."""

    async def main(store):
        done = asyncio.Event()
        turns = 0

        async def busy():
            nonlocal turns
            while not done.is_set():
                turns += 1
                await asyncio.sleep(0)

        working = asyncio.create_task(busy())
        for version in range(20):
            at = await store.append("s-1", [sk.Event("E")], expected=version)
            await store.save_snapshot(sk.Snapshot("s-1", at.version, "s/1", {}))
            assert (await store.load_snapshot("s-1", "s/1")).version == at.version
        done.set()
        await working
        assert turns > 20

    run(url, main)
