import asyncio
import json
import os
import signal

import pytest
import streamkeep as sk
from conftest import BACKENDS, ROOT, SERVERS
from scenario import Run

FILES = sorted((ROOT / "tests" / "scenarios").glob("*.json"))
BASES = {"memory": "memory:", "sqlite": "sqlite:", **{backend: os.environ.get(url) for backend, url in SERVERS.items()}}


def test_there_are_scenarios():
    assert len(FILES) > 20


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("face", [sk.EventStore, sk.AsyncEventStore], ids=["sync", "async"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_scenario(file, face, backend, tmp_path):
    signal.alarm(30)
    asyncio.run(Run(face, BASES[backend], tmp_path).scenario(json.loads(file.read_text())))
