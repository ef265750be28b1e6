#!/usr/bin/env bash
# Builds the native library, generates its Kotlin bindings, and puts both where Maven expects them: native.sh [BUILD FOLDER]. pom.xml runs it.
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

# Two separate builds: in one build the library would get the UniFFI features of the command line tool.
cargo build --quiet --release --package streamkeep-kotlin
cargo build --quiet --release --package streamkeep-uniffi-bindgen
library="$target/release/libstreamkeep_kotlin.$suffix"

# Skips the generation if its output is newer than the library and this script.
if [ "$generated/done" -nt "$library" ] && [ "$generated/done" -nt native.sh ] && [ "$generated/done" -nt uniffi.toml ] && [ -e "$build/classes/$system-$machine/libstreamkeep_kotlin.$suffix" ]; then
    exit 0
fi
rm -rf "$generated"
"$target/release/uniffi-bindgen" generate "$library" --language kotlin --config uniffi.toml --out-dir "$generated" --no-format
# The generated code is not public: its top-level declarations become internal to this module.
find "$generated" -name '*.kt' -exec sed -E -i.orig \
    -e 's/^(public )?((abstract |open |sealed |data |enum |fun |inline )*(class|interface|object|fun|typealias|val|var) )/internal \2/' {} +
find "$generated" -name '*.orig' -delete

# By rename, because overwriting a library that a running JVM has mapped would crash that JVM.
natives="$build/classes/$system-$machine"
mkdir -p "$natives"
cp "$library" "$natives/new"
strip -S "$natives/new"
mv "$natives/new" "$natives/libstreamkeep_kotlin.$suffix"
touch "$generated/done"
