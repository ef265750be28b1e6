#!/usr/bin/env bash
# Builds the native half, writes its Kotlin side, and puts both where Maven takes them from: native.sh [BUILD FOLDER]. pom.xml runs it.
set -euo pipefail
cd "$(dirname "$0")"
target="${CARGO_TARGET_DIR:-../target}"
build="${1:-target}"
generated="$build/generated/uniffi"

case "$(uname -s)" in
    Darwin) system=darwin suffix=dylib ;;
    *) system=linux suffix=so ;;
esac
case "$(uname -m)" in
    arm64 | aarch64) machine=aarch64 ;;
    *) machine=x86-64 ;;
esac

# One after the other: together, the command line's features of UniFFI would become the library's too.
cargo build --quiet --release --package streamkeep-kotlin
cargo build --quiet --release --package streamkeep-uniffi-bindgen
library="$target/release/libstreamkeep_kotlin.$suffix"

# Nothing that is as new as the library, and as what makes it, is made again.
if [ "$generated/done" -nt "$library" ] && [ "$generated/done" -nt native.sh ] && [ "$generated/done" -nt uniffi.toml ] && [ -e "$build/classes/$system-$machine/libstreamkeep_kotlin.$suffix" ]; then
    exit 0
fi
rm -rf "$generated"
"$target/release/uniffi-bindgen" generate "$library" --language kotlin --config uniffi.toml --out-dir "$generated" --no-format
# The generated half is nobody's API: what it declares at top level is for this module alone.
find "$generated" -name '*.kt' -exec sed -E -i.orig \
    -e 's/^(public )?((abstract |open |sealed |data |enum |fun |inline )*(class|interface|object|fun|typealias|val|var) )/internal \2/' {} +
find "$generated" -name '*.orig' -delete

# By rename: writing over a library that a running JVM has mapped would end that JVM.
natives="$build/classes/$system-$machine"
mkdir -p "$natives"
cp "$library" "$natives/new"
strip -S "$natives/new"
mv "$natives/new" "$natives/libstreamkeep_kotlin.$suffix"
touch "$generated/done"
