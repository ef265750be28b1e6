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
        (cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
        cp package-lock.json "$work/installed.json"
    fi
    rm -rf "$work"/{typescript,tests,dist,native,LICENSE*}
    cp -r package.json package.mjs tsconfig.json eslint.config.mjs ./*.cjs README.md typescript tests "$work/"
}

library() {
    case $(uname -s) in
        Darwin) echo "$1.dylib" ;;
        *) echo "$1.so" ;;
    esac
}

# npm itself builds what the package has besides its sources.
tarball() {
    cargo build --quiet --release --locked -p streamkeep-node --lib --example panic_probe
    cp "$CARGO_TARGET_DIR/release/examples/$(library libpanic_probe)" "$work/panic_probe.node"
    (cd "$work" && npm pack --loglevel=error --pack-destination "$folder" > /dev/null)
    tarball=$(echo "$folder"/streamkeep-*.tgz)
    local file files
    files=$(tar -tzf "$tarball")
    for file in package.json README.md LICENSE LICENSE-APACHE LICENSE-MIT binding.cjs builtin.cjs platform.cjs dist/index.js dist/index.mjs dist/index.d.ts dist/index.d.mts 'native/streamkeep\..*\.node'; do
        grep -q "^package/$file\$" <<< "$files" || { echo "node: the tarball has no $file"; exit 1; }
    done
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
    # Installed from its folder, the package is a link, and npm builds it there.
    rm -rf "$work"/{dist,native,LICENSE*}
    mkdir "$folder/linked"
    echo '{ "private": true }' > "$folder/linked/package.json"
    cp ../examples/node/first_program.mjs "$folder/linked/"
    (cd "$folder/linked" && npm install --offline --no-audit --no-fund --loglevel=error "$work" > /dev/null && env -u STREAMKEEP_URL node first_program.mjs) | diff ../examples/first_program.txt -
    [ -f "$work/LICENSE-MIT" ]
    echo "node: first_program.mjs prints the expected output, from the installed folder"
}

lint() {
    (cd "$work" && npm run --silent lint && npx --no-install publint --strict "$tarball" && npx --no-install attw "$tarball" --no-emoji --quiet)
}

# The tests run in a project that has the tarball installed.
own_tests() {
    rm -rf "$app"
    install_in "$app"
    cp -r tests ../examples ../tests/bench/faces/node/face.mjs "$app/"
    (cd "$app" && npx --no-install tsc -p tests/types/tsconfig.json && npx --no-install tsc -p tests/types/bare/tsconfig.json && STREAMKEEP_PANIC_PROBE="$work/panic_probe.node" node --expose-gc --test --test-reporter=dot tests/*.test.mjs)
}

# Each of them runs the tests in realms of its own.
frameworks() {
    (cd "$app" && npx --no-install jest --config tests/frameworks/jest.config.cjs)
    local pool
    for pool in vmThreads vmForks; do
        (cd "$app" && npx --no-install vitest run --config tests/frameworks/vitest.config.mjs --pool "$pool")
    done
}

[ -n "${STREAMKEEP_TEST_POSTGRES_URL:-}" ] || echo "node: SKIPPED on Postgres: STREAMKEEP_TEST_POSTGRES_URL is not set"
[ -n "${STREAMKEEP_TEST_MONGODB_URL:-}" ] || echo "node: SKIPPED on MongoDB: STREAMKEEP_TEST_MONGODB_URL is not set"
part "preparing the tools" tools
part "building the tarball" tarball
part "the first program" first_program
part "the lints" lint
part "the tests" own_tests
part "the tests under Jest and Vitest" frameworks
../tests/launcher.sh demos node node "$app/examples/node/demo.mjs"
../tests/launcher.sh benches node node "$app/face.mjs"
