"""On MongoDB: events are documents, which MongoDB's own driver reads."""

import importlib.util
import os
import textwrap
import uuid
from urllib.parse import urlsplit

import pytest
import streamkeep as sk
from conftest import ROOT, SERVERS
from pymongo import MongoClient
from test_examples import run
from test_vectors import VECTORS, text_of

VARIABLE = SERVERS["mongodb"]
PAGE = (ROOT / "docs" / "mongodb.md").read_text()


@pytest.fixture
def database():
    """The URL of a database that does not exist yet."""
    if VARIABLE not in os.environ:
        pytest.skip(f"{VARIABLE} is not set: nothing was tested on mongodb")
    url = urlsplit(os.environ[VARIABLE])
    name = f"streamkeep_test_{uuid.uuid4().hex[:12]}"
    yield url._replace(path=f"/{name}").geturl()
    with MongoClient(url.geturl()) as client:
        client.drop_database(name)


def digest():
    spec = importlib.util.spec_from_file_location("digest", ROOT / "tests" / "digest" / "digest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_queries_and_pipelines_read_the_events(database):
    assert run("mongodb_queries.py", url=database) == "order-2 1 250\norder-3 1 199.99\nbo 1 250\namy 2 212.49\n"


def test_the_page_on_mongodb_quotes_the_queries():
    program = (ROOT / "examples" / "python" / "mongodb_queries.py").read_text()
    quoted = program.partition('the contents of their events."""\n')[2].partition("\n\n\nif __name__")[0]
    assert f"```python\n{textwrap.dedent(quoted)}\n```" in PAGE


def test_the_digest_reads_every_value_as_the_store_gives_it_back(database):
    texts = [text_of(case) for case in VECTORS["accepted"]]
    texts += [case[side] for section in ("same", "different") for case in VECTORS[section] for side in "ab"]
    numbers = (1.0, -0.0, 12.5, 1e16, 1.5e-7, 1e-5, 0.0001, 5e-324, 2**31, 2**63 - 1, -(2**63))
    with sk.EventStore.open(database) as store:
        store.append("values-1", [sk.Event.json("Value", text) for text in texts])
        store.append("values-2", [sk.Event("Value", value) for value in (*numbers, "\x1f\x7f/é", [None, True, {}], b"\x00\xff")])
        expected = [(e.stream.encode(), e.version, e.type.encode(), bytes(e.data_bytes)) for e in store.read_all()]
    assert sorted(digest().rows_of_mongodb(database, "default")) == expected


def test_documents_have_the_fields_that_the_page_names(database):
    event = sk.Event.json("Named", '{"rate": 1.50}', metadata='{"by": 1}', tags=["a"], schema="named/1")
    with sk.EventStore.open(database) as store:
        store.import_events([sk.ImportEvent("order-1", event)])
        store.append("order-1", [sk.Event("Bytes", b"1")])
    with MongoClient(database, uuidRepresentation="standard") as client:
        named, plain = client.get_default_database()["streamkeep.default.events"].find().sort("position")
    assert (named["_id"], named["data"], named["data_json"]) == (event.id, {"rate": 1.5}, '{"rate": 1.50}')
    assert (plain["data_bytes"], "data" in plain) == (b"1", False)
    for field in named.keys() | plain.keys():
        assert f"`{field}`" in PAGE, f"docs/mongodb.md does not name {field}"
