#!/usr/bin/env python3
"""The figures of every language's face compared with Rust's: `faces.py URL` prints the table.

Each round of a face runs in a new process, which first warms up with a round that is not counted. The faces take turns, and each turn
begins with another face. Each face's test leaves a launcher of its program in $STREAMKEEP_CACHE/benches; cargo builds Rust's. All faces
use one database, with their own namespaces, and read the same log, but for memory, where each process has its own.
"""

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("STREAMKEEP_CACHE") or Path.home() / ".cache" / "streamkeep")
FACES = ["rust", "python", "node", "kotlin", "java"]
ROWS = {
    "one_us": ("one event, one caller", "us"),
    "many_per_s": ("{callers} callers", "appends/s"),
    "batch_per_s": ("{batch_events} events of one stream a call", "events/s"),
    "stream_per_s": ("a stream of {long_stream_events:,}", "events/s"),
    "log_per_s": ("the log of {log_events:,}", "events/s"),
}
ROUND_SECONDS = 600
"""The time limit of a round."""
RUN = secrets.token_hex(4)
"""A part of the namespaces' names, so that runs on the same server do not meet."""
SMALL = {
    "callers": 4,
    "lone_appends": 20,
    "lone_streams": 4,
    "appends_per_caller": 5,
    "batches": 2,
    "long_stream_events": 1_200,
    "log_events": 2_500,
}

Figures = dict[str, float]
Workload = dict[str, str | int]


def main() -> None:
    """Run the measurements of the command line."""
    parser = argparse.ArgumentParser(description="Compares the faces of all languages.")
    parser.add_argument("url", help="memory:, sqlite: (in a temporary folder), postgres://… or mongodb://…")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each face; the median counts")
    parser.add_argument("--faces", default=",".join(FACES), help="which faces; the first one is the base of the ratios")
    parser.add_argument("--small", action="store_true", help="one very short round, to check that it runs; without Rust")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = {"sqlite:": f"sqlite:{folder}/bench.db", "memory:": "memory:bench"}.get(arguments.url, arguments.url)
        numbers = workload(url) | (SMALL if arguments.small else {})
        file = Path(folder) / "workload.json"
        file.write_text(json.dumps(numbers))
        if arguments.small:
            for face in FACES[1:]:
                figures = measure(face, url, file)
                print(f"{face}: {', '.join(f'{name} {figure:.0f}' for name, figure in figures.items())}")
        else:
            print_table(rounds(arguments.faces.split(","), url, arguments.rounds, file), numbers)


def workload(url: str) -> Workload:
    """Read the workload of every face, with the section of the database. Rust does the same for itself."""
    read = json.loads((HERE / "workload.json").read_text())
    read |= read["of"].get(url.partition(":")[0].partition("+")[0], {})
    return {name: value for name, value in read.items() if not isinstance(value, dict)}


def rounds(faces: list[str], url: str, count: int, file: Path) -> dict[str, list[Figures]]:
    """Measure the faces in turn."""
    measured: dict[str, list[Figures]] = {face: [] for face in faces}
    for number in range(count):
        first = number % len(faces)
        for face in faces[first:] + faces[:first]:
            measured[face].append(measure(face, url, file))
    return measured


def measure(face: str, url: str, file: Path) -> Figures:
    """Run one round of a face."""
    if face == "rust":
        target = Path(os.environ.get("CARGO_TARGET_DIR") or CACHE / "target")
        command = [str(target / "release" / "streamkeep-bench"), url, "--face", "--run", RUN]
    else:
        command = [str(CACHE / "benches" / face), url, RUN, str(file)]
    if not os.access(command[0], os.X_OK):
        sys.exit(f"{face}: its benchmark is not built: run its test first")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=ROUND_SECONDS, check=False)  # noqa: S603 our own
    if done.returncode != 0:
        sys.exit(f"{face}: its benchmark failed")
    figures: Figures = json.loads(done.stdout)
    if figures.keys() != ROWS.keys() or min(figures.values()) <= 0:
        sys.exit(f"{face}: its benchmark printed {done.stdout}")
    return {name: figures[name] for name in ROWS}


def print_table(measured: dict[str, list[Figures]], numbers: Workload) -> None:
    """Print medians with half the distance from the lowest to the highest, and their ratio to those of the first face."""
    base_face = next(iter(measured))
    print(f"median ±spread (ratio to {base_face}); a latency is better when it is lower, a rate when it is higher\n")
    print(f"| row | unit | {' | '.join(measured)} |\n|---|---|{'---|' * len(measured)}")
    for name, (row, unit) in ROWS.items():
        columns = {face: [figures[name] for figures in measured[face]] for face in measured}
        base = statistics.median(columns[base_face])
        cells = [cell(column, base) for column in columns.values()]
        print(f"| {row.format_map(numbers)} | {unit} | {' | '.join(cells)} |")


def cell(figures: list[float], base: float) -> str:
    """Format a median, its spread, and its ratio to another figure."""
    middle = statistics.median(figures)
    return f"{middle:.0f} ±{(max(figures) - min(figures)) / 2:.0f} ({middle / base:.2f})"


if __name__ == "__main__":
    main()
