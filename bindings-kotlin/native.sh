#!/usr/bin/env bash
# Builds the native library and puts it where Maven expects it: native.sh [BUILD FOLDER]. pom.xml runs it.
set -euo pipefail
cd "$(dirname "$0")"
target="${CARGO_TARGET_DIR:-../target}"
build="${1:-target}"

case "$(uname -s)" in
    Darwin) system=darwin suffix=dylib ;;
    *) system=linux suffix=so ;;
esac
case "$(uname -m)" in
    arm64 | aarch64) machine=aarch64 ;;
    *) machine=x86-64 ;;
esac

cargo build --quiet --release --package streamkeep-kotlin
library="$target/release/libstreamkeep_kotlin.$suffix"
natives="$build/classes/$system-$machine"
own="$natives/libstreamkeep_kotlin.$suffix"

# Nothing is to be done if its output is newer than the library and this script.
if [ "$own.sha256" -nt "$library" ] && [ "$own.sha256" -nt native.sh ] && [ -e "$own" ]; then
    exit 0
fi
# By rename, because overwriting a library that a running JVM has mapped would crash that JVM.
mkdir -p "$natives"
cp "$library" "$natives/new"
strip -S "$natives/new"
mv "$natives/new" "$own"
# What the class loaders of a process recognise the same library by.
cksum="$(command -v sha256sum >/dev/null && sha256sum "$own" || shasum -a 256 "$own")"
echo "${cksum%% *}" >"$own.sha256"
