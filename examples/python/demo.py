"""The demo: imports a log of JSON Lines, reads it back, folds it with and without a snapshot, follows it.

Results go to standard output, speeds to standard error.
"""

import argparse
import collections
import datetime as dt
import gzip
import io
import json
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from streamkeep import Event, EventStore, ImportEvent, RecordedEvent, Snapshot
from tqdm import tqdm

CALL_EVENTS = 1_000
"""The number of events in a call of `import_events`: one unit, one transaction."""
SCHEMA = "count-by-type/1"
"""The schema of the demo's snapshots."""

Fold = dict[str, int]
_decoder = json.JSONDecoder()


def main() -> None:
    """Use the store and the file of the command line."""
    parser = argparse.ArgumentParser(description="Imports a log of JSON Lines into a store and works with it.")
    parser.add_argument("url", help="memory:, sqlite:PATH, postgres://… or mongodb://…")
    parser.add_argument("file", type=Path, help="JSON Lines, plain or .gz; a line: stream, type, time, data, metadata?, tags?")
    arguments = parser.parse_args()
    with EventStore.open(arguments.url) as store:
        lengths = import_file(store, arguments.file)
        fold_longest(store, lengths)
        follow(store)


def import_file(store: EventStore, path: Path) -> dict[str, int]:
    """Import the file and return how many events each stream has."""
    started = time.perf_counter()
    lengths: dict[str, int] = {}
    imported = passed_over = 0
    bar = tqdm(total=path.stat().st_size, unit="B", unit_scale=True, desc="importing", leave=False)
    with bar, path.open("rb") as raw:
        unpacked = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        lines = io.TextIOWrapper(unpacked, encoding="utf-8", newline="\n")
        for call in batches(event_of(line, lengths) for line in lines):
            done = store.import_events(call)
            imported += done.imported
            passed_over += done.passed_over
            bar.update(raw.tell() - bar.n)
    if not lengths:
        sys.exit("the file has no events")
    print(f"imported {imported}, passed over {passed_over}, streams {len(lengths)}")
    report("import", imported + passed_over, started)
    return lengths


def batches(events: Iterable[ImportEvent]) -> Iterator[list[ImportEvent]]:
    """Divide the events into calls."""
    call = []
    for event in events:
        call.append(event)
        if len(call) == CALL_EVENTS:
            yield call
            call = []
    if call:
        yield call


def event_of(line: str, lengths: dict[str, int]) -> ImportEvent:
    """Make the event of a line. Its id depends on its stream and version, so that the same file can be imported again."""
    texts = members(line)
    stream: str = json.loads(texts["stream"])
    version = lengths[stream] = lengths.get(stream, 0) + 1
    event = Event.json(
        json.loads(texts["type"]),
        texts["data"],
        metadata=texts.get("metadata"),
        tags=json.loads(texts.get("tags", "[]")),
        id=uuid.uuid5(uuid.NAMESPACE_URL, f"streamkeep:{stream}#{version}"),
    )
    return ImportEvent(stream, event, version, dt.datetime.fromisoformat(json.loads(texts["time"])))


def members(line: str) -> dict[str, str]:
    """Cut the text of an object into the exact texts of its members."""
    texts: dict[str, str] = {}
    at = behind(line, 0, "{")
    while line[at] != "}":
        key, at = _decoder.raw_decode(line, at)
        start = behind(line, blank(line, at), ":")
        _, end = _decoder.raw_decode(line, start)
        texts[key] = line[start:end]
        at = blank(line, end)
        if line[at] != "}":
            at = behind(line, at, ",")
    return texts


def behind(line: str, at: int, mark: str) -> int:
    """Skip a mark and the white space after it."""
    if line[at] != mark:
        raise ValueError(f"{mark} is missing at character {at + 1}: {line}")
    return blank(line, at + 1)


def blank(line: str, at: int) -> int:
    """Skip white space."""
    while line[at] in " \t\r\n":
        at += 1
    return at


def fold_longest(store: EventStore, lengths: dict[str, int]) -> None:
    """Fold the longest stream from its first event and from a snapshot, with the same result."""
    stream, length = min(lengths.items(), key=lambda item: (-item[1], item[0].encode()))
    started = time.perf_counter()
    whole, events = fold(store.read(stream), {})
    report("fold from the first event", events, started)
    check(events == length, f"{stream} has {events} events instead of {length}")
    shown = json.dumps(whole, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    print(f"longest {stream} with {events} events, fold {shown}")

    early, _ = fold(store.read(stream, to_version=max(1, length * 9 // 10)), {})
    store.save_snapshot(Snapshot(stream, max(1, length * 9 // 10), SCHEMA, early))

    started = time.perf_counter()
    snapshot = store.load_snapshot(stream, SCHEMA)
    if snapshot is None:
        sys.exit("the saved snapshot is not found")
    again, tail = fold(store.read(stream, from_version=snapshot.version + 1), snapshot.data)
    report("fold from a snapshot", tail, started)
    check(again == whole, "the fold from a snapshot differs")
    print(f"the same from a snapshot at version {snapshot.version} and {tail} events")


def fold(events: Iterable[RecordedEvent], state: Fold) -> tuple[Fold, int]:
    """Count events by type."""
    counts = collections.Counter(event.type for event in events)
    total = collections.Counter(state) + counts
    return dict(total), counts.total()


def follow(store: EventStore) -> None:
    """Follow the log from its beginning until the subscription has caught up."""
    started = time.perf_counter()
    last = count = 0
    subscription = store.subscribe(on_caught_up=lambda: subscription.close())  # noqa: PLW0108 not there yet
    for event in subscription:
        check(event.position > last, f"position {event.position} came after {last}")
        last, count = event.position, count + 1
    print(f"followed {count} events in order")
    report("follow", count, started)


def check(holds: bool, otherwise: str) -> None:  # noqa: FBT001
    """End the program unless a condition holds."""
    if not holds:
        sys.exit(otherwise)


def report(what: str, events: int, started: float) -> None:
    """Print the speed."""
    seconds = time.perf_counter() - started
    print(f"{what}: {events} events in {seconds:.3f} s, {events / seconds:.0f} events/s", file=sys.stderr)


if __name__ == "__main__":
    main()
