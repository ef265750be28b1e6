"""An interpreter ends, whatever its threads are doing in a store."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BACKENDS, url_of

# Opening takes long on a server, and what can hang is the same on all backends. `make torture` multiplies them.
ENDS = {"memory": 200, "sqlite": 100, "postgres": 40, "mongodb": 10}
EFFORT = int(os.environ.get("STREAMKEEP_EFFORT", "1"))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.patience(600 * EFFORT)
def test_an_interpreter_ends_at_any_moment_of_any_call(backend, tmp_path, capsys):
    seed = os.environ.get("STREAMKEEP_TEST_SEED", str(random.randrange(2**32)))
    ends = ENDS[backend] * EFFORT
    command = [sys.executable, "-I", Path(__file__).parent / "exits.py", url_of(backend, tmp_path), str(ends), seed]
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: PLW1510
    with capsys.disabled():
        print(f"\n[exits: STREAMKEEP_TEST_SEED={seed}] {done.stdout.splitlines()[-1:]}", end=" ")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{ends} ends, 0 failed\n"
