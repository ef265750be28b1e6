#!/usr/bin/env bash
# Builds the tarball, runs the first program from it in an empty project, then the package's own tests against it.
#
# CARGO_TARGET_DIR                where cargo builds
# STREAMKEEP_CACHE                where tools and artifacts are kept (~/.cache/streamkeep)
# STREAMKEEP_TEST_POSTGRES_URL    a Postgres to test on; without it that part is skipped with a message
# STREAMKEEP_TEST_MONGODB_URL     a MongoDB to test on, in the same way
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd .. && pwd)
work=${STREAMKEEP_CACHE:-$HOME/.cache/streamkeep}/node
app=$work/app
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
export STREAMKEEP_ROOT=$root
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

part() {
    local began=$SECONDS what=$1
    shift
    "$@"
    echo "node: $what took $((SECONDS - began)) s"
}

# Nothing is built or fetched inside the clone: the sources are copied to the cache.
tools() {
    mkdir -p "$work"
    if ! cmp -s package-lock.json "$work/installed.json"; then
        rm -f "$work/installed.json"
        cp package.json package-lock.json .npmrc "$work/"
        (cd "$work" && npm ci --no-audit --no-fund --loglevel=error)
        cp package-lock.json "$work/installed.json"
    fi
    rm -rf "$work"/{typescript,tests,dist,native}
    cp -r package.json tsconfig.json eslint.config.mjs binding.cjs README.md typescript tests "$work/"
    cp "$root"/LICENSE-APACHE "$root"/LICENSE-MIT "$work/"
}

library() {
    case $(uname -s) in
        Darwin) echo "$1.dylib" ;;
        *) echo "$1.so" ;;
    esac
}

tarball() {
    cargo build --quiet --release --locked -p streamkeep-node --lib --example panic_probe
    mkdir -p "$work/native"
    target=$(node -p "const g = process.report.getReport().header.glibcVersionRuntime; process.platform + '-' + process.arch + (process.platform === 'linux' ? (g ? '-gnu' : '-musl') : '')")
    cp "$CARGO_TARGET_DIR/release/$(library libstreamkeep_node)" "$work/native/streamkeep.$target.node"
    # Without line tables the package has a quarter of the size.
    if [ "$(uname -s)" = Linux ]; then strip --strip-debug "$work/native/streamkeep.$target.node"; fi
    cp "$CARGO_TARGET_DIR/release/examples/$(library libpanic_probe)" "$work/panic_probe.node"
    (cd "$work" && npx --no-install tsc -p tsconfig.json && npm pack --loglevel=error --pack-destination "$folder" > /dev/null)
    tarball=$(echo "$folder"/streamkeep-*.tgz)
}

# Installs from the tarball only. The package has no dependencies, so npm uses no registry.
install_in() {
    mkdir -p "$1"
    echo '{ "private": true }' > "$1/package.json"
    (cd "$1" && npm install --offline --no-audit --no-fund --loglevel=error "$tarball" > /dev/null)
}

first_program() {
    install_in "$folder/empty"
    cp ../examples/node/first_program.* "$folder/empty/"
    for program in first_program.mjs first_program.cjs; do
        (cd "$folder/empty" && env -u STREAMKEEP_URL node "$program") | diff ../examples/first_program.txt -
        echo "node: $program prints the expected output, from the installed tarball"
    done
}

lint() {
    (cd "$work" && npx --no-install eslint typescript tests && npx --no-install publint --strict "$tarball" && npx --no-install attw "$tarball" --no-emoji --quiet)
}

# The tests run in a project that has the tarball installed.
own_tests() {
    rm -rf "$app"
    install_in "$app"
    cp -r tests ../examples ../tests/bench/faces/node/face.mjs "$app/"
    (cd "$app" && npx --no-install tsc -p tests/types/tsconfig.json && STREAMKEEP_PANIC_PROBE="$work/panic_probe.node" node --expose-gc --test --test-reporter=dot tests/*.test.mjs)
}

[ -n "${STREAMKEEP_TEST_POSTGRES_URL:-}" ] || echo "node: SKIPPED on Postgres: STREAMKEEP_TEST_POSTGRES_URL is not set"
[ -n "${STREAMKEEP_TEST_MONGODB_URL:-}" ] || echo "node: SKIPPED on MongoDB: STREAMKEEP_TEST_MONGODB_URL is not set"
part "preparing the tools" tools
part "building the tarball" tarball
part "the first program" first_program
part "the lints" lint
part "the tests" own_tests
../tests/launcher.sh demos node node "$app/examples/node/demo.mjs"
../tests/launcher.sh benches node node "$app/face.mjs"
