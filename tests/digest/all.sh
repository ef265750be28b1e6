#!/usr/bin/env bash
# The same log through every face into every database: the digest of each database is the file's.
#
#   all.sh FILE
#
# Each face's test leaves a launcher of its demo in $STREAMKEEP_CACHE/demos/FACE. STREAMKEEP_TEST_POSTGRES_URL names a server; without it that half is
# skipped, and says so.
set -euo pipefail
file=$1
here=$(cd "$(dirname "$0")" && pwd)
demos=${STREAMKEEP_CACHE:-$HOME/.cache/streamkeep}/demos
postgres=${STREAMKEEP_TEST_POSTGRES_URL:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

digest() { python3 "$here/digest.py" "$@"; }

expected=$(digest file "$file")
echo "file: $expected"
wrong=0
compare() { # what, digest
    if [ "$2" = "$expected" ]; then echo "$1: equal"; else echo "$1: DIFFERS: $2"; wrong=1; fi
}

for face in rust python node kotlin java; do
    [ -x "$demos/$face" ] || { echo "$face: its demo is not built: run its test first" >&2; exit 1; }
    # The demo twice: what is there already is passed over, and nothing changes.
    for _ in first again; do "$demos/$face" "sqlite:$folder/$face.db" "$file" > "$folder/$face.txt" 2> "$folder/$face.err" || { cat "$folder/$face.err" >&2; exit 1; }; done
    compare "$face, SQLite" "$(digest sqlite "$folder/$face.db" default)"
    if [ -n "$postgres" ]; then
        namespace="digest_${face}_$$"
        case $postgres in *\?*) sign='&' ;; *) sign='?' ;; esac
        "$demos/$face" "$postgres${sign}namespace=$namespace" "$file" > /dev/null 2> "$folder/$face.err" || { cat "$folder/$face.err" >&2; exit 1; }
        compare "$face, Postgres" "$(digest postgres "$postgres" "$namespace")"
    else
        echo "$face, Postgres: SKIPPED: STREAMKEEP_TEST_POSTGRES_URL is not set"
    fi
done
exit $wrong
