"""Tells whether a database has the contents of a file of JSON Lines, byte for byte.

    digest.py file PATH
    digest.py sqlite PATH NAMESPACE
    digest.py postgres URL NAMESPACE
    digest.py mongodb URL NAMESPACE

prints the number of events and the SHA-256 of the lines `stream TAB version TAB type TAB data`, sorted by stream (its bytes)
and version. For a file, the version is the line's place among the lines of its stream. Equal lines mean equal contents. It needs
only Python; for Postgres also psql; for MongoDB also pymongo, which the environment of the Python face's tests has
($STREAMKEEP_CACHE/python/tools).
"""

import gzip
import hashlib
import json
import math
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Row = tuple[bytes, int, bytes, bytes]
"""Stream, version, type, data."""

_decoder = json.JSONDecoder()
_blank = re.compile(r"[ \t\r\n]*")


def rows_of_file(path: str) -> Iterator[Row]:
    """Read a file of JSON Lines, plain or gzip."""
    versions: Counter[str] = Counter()
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            texts = dict(members(line))
            stream: str = json.loads(texts["stream"])
            versions[stream] += 1
            yield stream.encode(), versions[stream], json.loads(texts["type"]).encode(), texts["data"].encode()


def members(line: str) -> Iterator[tuple[str, str]]:
    """Cut the text of an object into its keys and the exact texts of their values."""
    at = step(line, 0)
    while line[at] != "}":
        key, at = _decoder.raw_decode(line, step(line, at + 1))
        start = step(line, step(line, at) + 1)
        _, end = _decoder.raw_decode(line, start)
        yield key, line[start:end]
        at = step(line, end)


def step(line: str, at: int) -> int:
    """Skip white space."""
    blank = _blank.match(line, at)
    return blank.end() if blank else at


def rows_of_sqlite(path: str, namespace: str) -> Iterator[Row]:
    """Read a namespace's table in a SQLite file, which no store in the same process may have open."""
    connection = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)
    connection.text_factory = bytes
    table = f"streamkeep_{checked(namespace)}_events"
    try:
        yield from connection.execute(
            f"select stream, version, type, cast(coalesce(data, data_bytes) as blob) from {table} where type is not null"  # noqa: S608 checked
        )
    finally:
        connection.close()


def rows_of_postgres(url: str, namespace: str) -> Iterator[Row]:
    """Read a namespace's table on a Postgres server through psql, as hexadecimal digits, so that no character is escaped."""
    table = f"streamkeep_{checked(namespace)}.events"
    content = "coalesce(convert_to(data::text, 'UTF8'), data_bytes)"
    asked = (
        "copy (select encode(convert_to(stream, 'UTF8'), 'hex'), version, encode(convert_to(type, 'UTF8'), 'hex'), "  # noqa: S608 checked
        f"encode({content}, 'hex') from {table} where type is not null) to stdout"
    )
    command = ["psql", url, "-X", "-v", "ON_ERROR_STOP=1", "-c", asked]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as psql:  # noqa: S603 the caller's own server
        for line in psql.stdout or ():
            stream, version, kind, data = line.rstrip("\n").split("\t")
            yield bytes.fromhex(stream), int(version), bytes.fromhex(kind), bytes.fromhex(data)
    if psql.returncode:
        sys.exit("psql failed")


def rows_of_mongodb(url: str, namespace: str) -> Iterator[Row]:
    """Read a namespace's collection on a MongoDB server. The URL is that of the server, without the store's parameters."""
    try:
        from pymongo import MongoClient  # noqa: PLC0415 only needed for MongoDB
    except ImportError:
        sys.exit("pymongo is not installed for this Python: the one in $STREAMKEEP_CACHE/python/tools/bin has it")
    fields = ("stream", "version", "type", "data", "data_json", "data_bytes")
    with MongoClient[dict[str, Any]](url) as client:
        events = client.get_default_database("streamkeep")[f"streamkeep.{checked(namespace)}.events"]
        for event in events.find({}, dict.fromkeys(fields, 1)):
            yield event["stream"].encode(), event["version"], event["type"].encode(), content(event)


def content(event: dict[str, Any]) -> bytes:
    """Return the bytes of an event's data, its text if the value would lose it, or the value as text."""
    if "data_bytes" in event:
        return bytes(event["data_bytes"])
    text: str = event["data_json"] if "data_json" in event else spelled(event["data"])
    return text.encode()


def spelled(value: object) -> str:
    """Write a BSON value as the store's compact JSON text, in which every number and every string has one form."""
    match value:
        case dict():
            return "{" + ",".join(f"{spelled(key)}:{spelled(member)}" for key, member in value.items()) + "}"
        case list():
            return "[" + ",".join(map(spelled, value)) + "]"
        case str() | bool() | None:
            # A short escape where one exists, \u00xx for other control characters, every other character as it is.
            return json.dumps(value, ensure_ascii=False)
        case int():
            return format(value, "d")
        case float() if math.isfinite(value):
            # Python prints the shortest digits that give the double back; the exponent loses its plus and its leading
            # zeros.
            return re.sub(r"e([+-])0*", lambda sign: "e" + sign[1].strip("+"), repr(value))
        case _ if type(value).__name__ == "Decimal128" and re.fullmatch(r"-?[0-9.]+(E[+-][0-9]+)?", str(value)):
            return str(value)
    sys.exit(f"JSON is never stored as {type(value).__name__}")


def checked(namespace: str) -> str:
    """Refuse a name that is not a namespace, because names cannot be parameters."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", namespace):
        sys.exit("a namespace must match [a-z][a-z0-9_]{0,39}")
    return namespace


def digest(rows: Iterable[Row]) -> tuple[int, str]:
    """Count rows, and hash them in order."""
    ordered = sorted(rows)
    whole = hashlib.sha256()
    for stream, version, kind, data in ordered:
        whole.update(b"\t".join((stream, str(version).encode(), kind, data)) + b"\n")
    return len(ordered), whole.hexdigest()


def main() -> None:
    """Print the digest that the command line selects."""
    match sys.argv[1:]:
        case ["file", path]:
            rows = rows_of_file(path)
        case ["sqlite", path, namespace]:
            rows = rows_of_sqlite(path, namespace)
        case ["postgres", url, namespace]:
            rows = rows_of_postgres(url, namespace)
        case ["mongodb", url, namespace]:
            rows = rows_of_mongodb(url, namespace)
        case _:
            sys.exit(__doc__)
    print(*digest(rows))  # noqa: T201


if __name__ == "__main__":
    main()
