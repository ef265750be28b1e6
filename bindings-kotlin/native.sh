#!/usr/bin/env bash
# Builds the native library, generates the Kotlin half of its UniFFI functions, and puts both where Maven expects them:
# native.sh [BUILD FOLDER]. pom.xml runs it.
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
natives="$build/classes/$system-$machine"
own="$natives/libstreamkeep_kotlin.$suffix"

# Nothing is to be done if its output is newer than the library and this script.
if [ "$own.sha256" -nt "$library" ] && [ "$own.sha256" -nt native.sh ] && [ "$own.sha256" -nt uniffi.toml ] && [ -e "$own" ] && [ -e "$generated" ]; then
    exit 0
fi
rm -rf "$generated"
"$target/release/uniffi-bindgen" generate "$library" --language kotlin --config uniffi.toml --out-dir "$generated" --no-format
# The generated code is not public: its top-level declarations become internal to this module. Functions for async calls
# are left out, because there are none, and JNA would bind each of them at every first open.
find "$generated" -name '*.kt' -exec sed -E -i.orig \
    -e '/external fun ffi_streamkeep_kotlin_rust_future_/,/^    \): /d' \
    -e 's/^(public )?((abstract |open |sealed |data |enum |fun |inline )*(class|interface|object|fun|typealias|val|var) )/internal \2/' \
    -e 's/^(    @Throws\([A-Za-z:]+\) | +\*\/ )fun `/\1internal fun `/' {} +
find "$generated" -name '*.orig' -delete

# By rename, because overwriting a library that a running JVM has mapped would crash that JVM.
mkdir -p "$natives"
cp "$library" "$natives/new"
strip -S "$natives/new"
mv "$natives/new" "$own"
# What the class loaders of a process recognise the same library by.
cksum="$(command -v sha256sum >/dev/null && sha256sum "$own" || shasum -a 256 "$own")"
echo "${cksum%% *}" >"$own.sha256"
