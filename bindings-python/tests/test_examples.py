import os
import re
import subprocess
import sys

import pytest
from conftest import DURABLE, ROOT, url_of

EXAMPLES = ROOT / "examples" / "python"
FIRST = (ROOT / "examples" / "first_program.txt").read_text()
ORDERS = """\
1 OrderPlaced {'total': 12.5} {}
2 OrderShipped {} {'createdBy': 'amy'}
customer-7 Registered {"rate": 1.0}
order-42 OrderShipped {}
order-42 is at version 2 by now
1 OrderPlaced
2 OrderShipped
3 OrderPaid
paid
"""
FOLLOW = """\
parcel-1 ParcelRegistered
parcel-2 ParcelRegistered
parcel-3 ParcelRegistered
parcel-3 ParcelLost
closed
"""


def run(program, *arguments, url=None):
    environment = {name: value for name, value in os.environ.items() if name != "STREAMKEEP_URL"}
    if url:
        environment["STREAMKEEP_URL"] = url
    command = [sys.executable, "-W", "error", str(EXAMPLES / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)  # noqa: PLW1510
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("program", "output"), [("first_program.py", FIRST), ("orders.py", ORDERS), ("follow.py", FOLLOW)])
def test_an_example_prints_what_it_should(program, output, url):
    assert run(program) == output
    if not (program == "orders.py" and url.startswith("memory:")):  # its two halves are two handles: a memory store ends between them
        assert run(program, url=url) == output


def test_the_demo_imports_folds_follows_and_can_be_repeated(durable_url, tmp_path):
    file = ROOT / "examples" / "data" / "parcels.jsonl"
    first = run("demo.py", durable_url, str(file)).splitlines()
    again = run("demo.py", durable_url, str(file)).splitlines()
    assert first[0].startswith("imported 600, passed over 0, streams ")
    assert again[0].startswith("imported 0, passed over 600, streams ")
    assert first[1:] == again[1:]
    assert first[-1] == "followed 600 events in order"


@pytest.mark.parametrize("backend", DURABLE)
def test_the_database_holds_the_file_to_the_byte(backend, tmp_path):
    file = ROOT / "examples" / "data" / "parcels.jsonl"
    url = url_of(backend, tmp_path)
    run("demo.py", url, str(file))
    digest = [sys.executable, str(ROOT / "tests" / "digest" / "digest.py")]
    of_file = subprocess.check_output([*digest, "file", str(file)], text=True)
    place = [url.removeprefix("sqlite:"), "default"] if backend == "sqlite" else re.split("[?&]namespace=", url)
    assert subprocess.check_output([*digest, backend, *place], text=True) == of_file
    assert of_file.startswith("600 ")
