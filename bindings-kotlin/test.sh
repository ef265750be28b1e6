#!/usr/bin/env bash
# Builds the jar, installs it, runs the first program from it in empty projects, and the tests of the Kotlin and Java classes.
# STREAMKEEP_CACHE keeps what is built and fetched; STREAMKEEP_TEST_POSTGRES_URL and STREAMKEEP_TEST_MONGODB_URL add these servers to the tests.
set -euo pipefail
cd "$(dirname "$0")"
root="$(cd .. && pwd)"
cache="${STREAMKEEP_CACHE:-$HOME/.cache/streamkeep}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir -p "$cache/jvm"

maven() {
    # First without the network: with a warm cache nothing has to be fetched.
    local log="$work/maven.log"
    if ! mvn --offline -B -q -ntp "-Dmaven.repo.local=$cache/jvm/m2" "$@" >"$log" 2>&1; then
        if grep -qE 'offline|has not been downloaded|Missing:|No plugin found' "$log"; then
            mvn -B -q -ntp "-Dmaven.repo.local=$cache/jvm/m2" "$@"
        else
            cat "$log" >&2
            return 1
        fi
    fi
    grep -E 'SKIPPED|STREAMKEEP_TEST_SEED|acknowledged' "$log" || true
}

part() {
    local what="$1" start=$SECONDS
    shift
    "$@"
    echo "jvm, $what: $((SECONDS - start)) s"
}

# Makes a project outside the clone with only the sources. Arguments: its name and the folder of the sources.
project() {
    cp -r "$root/$2" "$work/$1"
    maven -f "$work/$1/pom.xml" "-Doutput.folder=$cache/jvm/$1" compile org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath "-Dmdep.outputFile=$cache/jvm/$1/classpath"
}

class_path() {
    echo "$cache/jvm/$1/classes:$(cat "$cache/jvm/$1/classpath")"
}

program() {
    local language="$1" class="$2"
    shift 2
    java -cp "$(class_path "$language")" "$class" "$@"
}

same() {
    diff -u "$1" "$2" || { echo "jvm: $3 printed other output" >&2; exit 1; }
}

examples() {
    local language="$1" first="$2" orders="$3" demo="$4"
    project "$language" "examples/$language"
    (unset STREAMKEEP_URL && program "$language" "$first") >"$work/first"
    same "$root/examples/first_program.txt" "$work/first" "the first program in $language"
    STREAMKEEP_URL=memory: program "$language" "$orders" >"$work/orders"
    same "$root/examples/$language/orders.txt" "$work/orders" "orders in $language"
    program "$language" "$demo" "sqlite:$work/$language.db" "$root/examples/data/parcels.jsonl" >"$work/demo" 2>"$work/demo.err" || { cat "$work/demo.err" >&2; exit 1; }
    program "$language" "$demo" "sqlite:$work/$language.db" "$root/examples/data/parcels.jsonl" >"$work/again" 2>"$work/demo.err" || { cat "$work/demo.err" >&2; exit 1; }
    sed -E 's/^imported ([0-9]+), passed over 0,/imported 0, passed over \1,/' "$work/demo" >"$work/expected"
    same "$work/expected" "$work/again" "the demo in $language, run again,"
    "$root/tests/launcher.sh" demos "$language" java -cp "$(class_path "$language")" "$demo"
}

benches() {
    project bench tests/bench/faces/jvm
    "$root/tests/launcher.sh" benches kotlin java -cp "$(class_path bench)" KotlinFaceKt
    "$root/tests/launcher.sh" benches java java -cp "$(class_path bench)" JavaFace
}

[ -n "${STREAMKEEP_TEST_POSTGRES_URL:-}" ] || echo "jvm: SKIPPED on Postgres: STREAMKEEP_TEST_POSTGRES_URL is not set"
[ -n "${STREAMKEEP_TEST_MONGODB_URL:-}" ] || echo "jvm: SKIPPED on MongoDB: STREAMKEEP_TEST_MONGODB_URL is not set"
mkdir "$work/tests"
part "build, tests and installing" maven install "-Doutput.folder=$cache/jvm/streamkeep" "-Dtests.folder=$work/tests"
left="$(find "$work/tests" -mindepth 1 -maxdepth 1 ! -name 'hsperfdata_*')"
[ -z "$left" ] || { echo "jvm: the tests left in their temporary folder: $left" >&2; exit 1; }
in_jar="$(jar tf "$cache"/jvm/streamkeep/streamkeep-[0-9]*[0-9].jar)"
for licence in LICENSE LICENSE-MIT LICENSE-APACHE; do
    grep -qx "META-INF/$licence" <<<"$in_jar" || { echo "jvm: the jar has no $licence" >&2; exit 1; }
done
part "Kotlin's examples from the installed jar" examples kotlin FirstProgramKt orders.OrdersKt demo.DemoKt
part "Java's examples from the installed jar" examples java FirstProgram Orders Demo
part "the benches" benches
