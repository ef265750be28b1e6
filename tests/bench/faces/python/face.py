"""The rounds of `streamkeep-bench --face` in Python: face.py URL RUN WORKLOAD prints one round as JSON.

The many callers are tasks of the async face; the rest is the sync face. Data and metadata are given as JSON text, and each event read gives
its data's bytes.
"""

import asyncio
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from streamkeep import NO_STREAM, AsyncEventStore, Event, EventStore, ImportEvent, RecordedEvent

CALL_EVENTS = 1_000
"""The number of events in a call of `import_events`: one unit, one transaction."""


@dataclass(frozen=True)
class Workload:
    """The contents of `workload.json`, with the same names."""

    type: str
    data: str
    metadata: str
    callers: int
    lone_appends: int
    lone_streams: int
    appends_per_caller: int
    batch_events: int
    batches: int
    long_stream_events: int
    log_events: int


class Face:
    """The rows of the table, on a store to append to (in both faces) and on one with the log that is read."""

    def __init__(self, stores: tuple[EventStore, AsyncEventStore, EventStore], loop: asyncio.Runner, workload: Workload) -> None:
        """Use open stores."""
        self.store, self.aio, self.log = stores
        self.loop = loop
        self.workload = workload

    def round(self, number: int) -> dict[str, float]:
        """Measure every row once."""
        return {
            "one_us": self.one(number),
            "many_per_s": self.loop.run(self.many(number)),
            "batch_per_s": self.batches(number),
            "stream_per_s": self.read(self.log.read("long"), self.workload.long_stream_events),
            "log_per_s": self.read(self.log.read_all(), self.workload.log_events),
        }

    def event(self) -> Event:
        """Make an event to append."""
        return Event.json(self.workload.type, self.workload.data, metadata=self.workload.metadata)

    def one(self, number: int) -> float:
        """Append one event per call, from one caller: the median latency in microseconds."""
        latencies = []
        for n in range(self.workload.lone_appends):
            version, stream = divmod(n, self.workload.lone_streams)
            event = self.event()
            started = time.perf_counter()
            self.store.append(f"lone{number}-{stream}", [event], expected=version)
            latencies.append(time.perf_counter() - started)
        return statistics.median_high(latencies) * 1e6

    async def many(self, number: int) -> float:
        """Append from many tasks, each to its own stream: appends per second."""

        async def call(caller: int) -> None:
            for version in range(self.workload.appends_per_caller):
                await self.aio.append(f"many{number}-{caller}", [self.event()], expected=version)

        started = time.perf_counter()
        await asyncio.gather(*(call(caller) for caller in range(self.workload.callers)))
        return self.workload.callers * self.workload.appends_per_caller / (time.perf_counter() - started)

    def batches(self, number: int) -> float:
        """Append a hundred events of one stream per call: events per second."""
        started = time.perf_counter()
        for n in range(self.workload.batches):
            self.store.append(f"batch{number}-{n}", [self.event() for _ in range(self.workload.batch_events)], expected=NO_STREAM)
        return self.workload.batches * self.workload.batch_events / (time.perf_counter() - started)

    def fill(self) -> None:
        """Write the log that is read: one long stream first, the rest in streams of a hundred."""
        numbers = range(self.workload.log_events)
        streams = ("long" if n < self.workload.long_stream_events else f"short-{n // 100}" for n in numbers)
        events = (ImportEvent(stream, self.event()) for stream in streams)
        while call := list(itertools.islice(events, CALL_EVENTS)):
            self.log.import_events(call)

    def read(self, events: Iterable[RecordedEvent], expected: int) -> float:
        """Read events and their data: events per second."""
        started = time.perf_counter()
        count = length = 0
        for event in events:
            count += 1
            length += len(event.data_bytes)
        seconds = time.perf_counter() - started
        if count != expected or length != expected * len(self.workload.data):
            sys.exit(f"{count} events with {length} bytes read")
        return count / seconds


async def opened(url: str, namespace: str) -> AsyncEventStore:
    """Open the asynchronous face."""
    return await AsyncEventStore.open(url, namespace=namespace)


def main() -> None:
    """Print the second of two rounds, because the first warms up."""
    url, run, workload = sys.argv[1:]
    numbers = Workload(**json.loads(Path(workload).read_text()))
    own = f"bench_{run}_{os.getpid()}"
    with asyncio.Runner() as loop, EventStore.open(url, namespace=f"bench_{run}_log") as log, EventStore.open(url, namespace=own) as store:
        aio = loop.run(opened(url, own))
        face = Face((store, aio, log), loop, numbers)
        if log.head() == 0:
            face.fill()
        face.round(0)
        print(json.dumps(face.round(1)))
        loop.run(aio.close())


if __name__ == "__main__":
    main()
