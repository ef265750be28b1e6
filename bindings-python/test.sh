#!/usr/bin/env bash
# Builds the wheel, runs the first program from it in an empty environment, builds a wheel from the source distribution,
# then runs the package's own tests.
#
# CARGO_TARGET_DIR                where cargo builds
# STREAMKEEP_CACHE                where environments and artifacts are kept (~/.cache/streamkeep)
# STREAMKEEP_TEST_POSTGRES_URL    a Postgres to test on; without it that part is skipped with a message
# STREAMKEEP_TEST_MONGODB_URL     a MongoDB to test on, in the same way
# PYTHON                          the interpreter (python3)
set -euo pipefail
cd "$(dirname "$0")"
cache=${STREAMKEEP_CACHE:-$HOME/.cache/streamkeep}/python
python=${PYTHON:-python3}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$(cd .. && pwd)/target}
export PYTHONDONTWRITEBYTECODE=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

part() {
    local began=$SECONDS what=$1
    shift
    "$@"
    echo "python: $what took $((SECONDS - began)) s"
}

# Installs what is missing; an environment whose list of requirements is unchanged is kept.
tools() {
    mkdir -p "$cache"
    if ! cmp -s tests/requirements.txt "$cache/requirements.txt" || ! "$cache/tools/bin/python" -c '' 2>/dev/null; then
        rm -rf "$cache/tools" "$cache/requirements.txt"
        "$python" -m venv "$cache/tools"
        "$cache/tools/bin/python" -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
        cp tests/requirements.txt "$cache/requirements.txt"
    fi
}

# The same profile and features as the workspace's own release build.
wheel() {
    "$cache/tools/bin/maturin" build --quiet --release --locked --out "$folder"
}

# An environment with only the wheel, in a folder with only the program.
first_program() {
    "$python" -m venv "$folder/empty"
    "$folder/empty/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-cache-dir "$folder"/streamkeep-*.whl
    cp ../examples/python/first_program.py "$folder/first_program.py"
    (cd "$folder" && env -u STREAMKEEP_URL empty/bin/python -W error first_program.py) | diff ../examples/first_program.txt -
    echo "python: the first program prints the expected output, from the installed wheel"
}

# What `pip install` does with a source distribution, where it finds no wheel. Only the two crates of the workspace are
# compiled again, without optimisation.
from_source() {
    local quick='--config profile.release.package.streamkeep.opt-level=0 --config profile.release.package.streamkeep-python.opt-level=0'
    "$cache/tools/bin/maturin" sdist --out "$folder/source" 2>"$folder/source.log"
    PATH="$cache/tools/bin:$PATH" MATURIN_PEP517_ARGS=$quick "$cache/tools/bin/python" -m pip wheel --quiet \
        --disable-pip-version-check --no-index --no-deps --no-build-isolation --no-cache-dir --wheel-dir "$folder/built" "$folder"/source/streamkeep-*.tar.gz
    "$folder/empty/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-cache-dir --force-reinstall "$folder"/built/streamkeep-*.whl
    "$folder/empty/bin/python" -W error -c 'import streamkeep; streamkeep.EventStore.open("memory:").close()'
    "$cache/tools/bin/python" tests/licences.py "$folder"/source/streamkeep-*.tar.gz "$folder"/streamkeep-*.whl "$folder"/built/streamkeep-*.whl
}

own_tests() {
    "$cache/tools/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-cache-dir --force-reinstall "$folder"/streamkeep-*.whl
    "$cache/tools/bin/python" -m pytest --quiet "$@"
}

[ -n "${STREAMKEEP_TEST_POSTGRES_URL:-}" ] || echo "python: SKIPPED on Postgres: STREAMKEEP_TEST_POSTGRES_URL is not set"
[ -n "${STREAMKEEP_TEST_MONGODB_URL:-}" ] || echo "python: SKIPPED on MongoDB: STREAMKEEP_TEST_MONGODB_URL is not set"
part "preparing the tools" tools
part "building the wheel" wheel
part "the first program" first_program
part "the source distribution" from_source
part "the tests" own_tests "$@"
root=$(cd .. && pwd)
../tests/launcher.sh demos python "$cache/tools/bin/python" "$root/examples/python/demo.py"
../tests/launcher.sh benches python "$cache/tools/bin/python" "$root/tests/bench/faces/python/face.py"
