"""Shared fixtures: a separate store for each test on each backend, and a time limit."""

import os
import signal
import uuid
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[2]
# The variables that name a server of each kind to test on.
SERVERS = {"postgres": "STREAMKEEP_TEST_POSTGRES_URL", "mongodb": "STREAMKEEP_TEST_MONGODB_URL"}
PATIENCE = 120

# One example may take long on a busy machine, so only the whole test has a time limit.
hypothesis.settings.register_profile("streamkeep", deadline=None, database=None)
hypothesis.settings.load_profile("streamkeep")


class LateError(Exception):
    """A test exceeded its time limit. It is not a `TimeoutError`, which tests of timeouts catch."""


def server(backend):
    """The parameter of a backend that needs a server, or the reason why there is none."""
    variable = SERVERS[backend]
    missing = pytest.mark.skip(reason=f"{variable} is not set: nothing was tested on {backend}")
    return pytest.param(backend, marks=() if variable in os.environ else (missing,))


DURABLE = ["sqlite", *map(server, SERVERS)]
BACKENDS = ["memory", *DURABLE]


@pytest.fixture(autouse=True)
def _deadline(request):
    """Ends a test that hangs, by a signal, for which blocking calls check. The mark `patience` sets another limit."""
    mark = request.node.get_closest_marker("patience")
    patience = mark.args[0] if mark else PATIENCE

    def late(_signal, _frame):
        raise LateError(f"the test took more than {patience} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(patience)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def url_of(backend, folder):
    """The URL of an empty store."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    match backend:
        case "memory":
            return f"memory:{name}"
        case "sqlite":
            return f"sqlite:{folder}/{name}.db"
        case _:
            base = os.environ[SERVERS[backend]]
            return f"{base}{'&' if '?' in base else '?'}namespace={name}"


@pytest.fixture(params=BACKENDS)
def url(request, tmp_path):
    return url_of(request.param, tmp_path)


@pytest.fixture(params=DURABLE)
def durable_url(request, tmp_path):
    """The URL of a store that outlives its handles."""
    return url_of(request.param, tmp_path)
