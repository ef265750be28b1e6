"""What all tests share: a store of their own on each backend, and an end for each test."""

import os
import signal
import uuid
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[2]
# What names a server of each kind to test on.
SERVERS = {"postgres": "STREAMKEEP_TEST_POSTGRES_URL", "mongodb": "STREAMKEEP_TEST_MONGODB_URL"}
PATIENCE = 120

# How long one example takes says nothing on a busy machine; the whole test has its end.
hypothesis.settings.register_profile("streamkeep", deadline=None, database=None)
hypothesis.settings.load_profile("streamkeep")


class LateError(Exception):
    """A test's time is over: not a `TimeoutError`, which tests of time-outs catch."""


def server(backend):
    """The parameter of a backend that needs a server, or the reason why there is none."""
    variable = SERVERS[backend]
    missing = pytest.mark.skip(reason=f"{variable} is not set: nothing was tested on {backend}")
    return pytest.param(backend, marks=() if variable in os.environ else (missing,))


DURABLE = ["sqlite", *map(server, SERVERS)]
BACKENDS = ["memory", *DURABLE]


@pytest.fixture(autouse=True)
def _deadline():
    """Ends a test that hangs: blocking calls look for signals."""

    def late(_signal, _frame):
        raise LateError(f"the test took more than {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(PATIENCE)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def url_of(backend, folder):
    """A URL under which nothing is yet."""
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
    """On a backend that outlives its handles."""
    return url_of(request.param, tmp_path)
