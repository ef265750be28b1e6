#!/usr/bin/env bash
# Imports the same log through every face into every database and compares the digests with the file's. Then it moves
# the log from one database to the next and compares again.
#
#   all.sh FILE
#
# Each face's test leaves a launcher of its demo in $STREAMKEEP_CACHE/demos/FACE, and Rust's test one of move_log in
# $STREAMKEEP_CACHE/moves/rust. The Python in $STREAMKEEP_CACHE/python/tools computes the digests: the environment of
# the Python face's tests has MongoDB's driver. STREAMKEEP_TEST_POSTGRES_URL and STREAMKEEP_TEST_MONGODB_URL name
# servers; what needs a server without a URL is skipped with a message.
set -euo pipefail
file=$1
here=$(cd "$(dirname "$0")" && pwd)
cache=${STREAMKEEP_CACHE:-$HOME/.cache/streamkeep}
python=$cache/python/tools/bin/python
postgres=${STREAMKEEP_TEST_POSTGRES_URL:-}
mongodb=${STREAMKEEP_TEST_MONGODB_URL:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

for program in "$cache"/{demos/{rust,python,node,kotlin,java},moves/rust} "$python"; do
    [ -x "$program" ] || { echo "$program does not exist: run the test of its face first" >&2; exit 1; }
done

digest() { "$python" "$here/digest.py" "$@"; }

# Runs a program and shows its error output only if it fails.
quietly() { "$@" 2> "$folder/errors" || { cat "$folder/errors" >&2; exit 1; }; }

in_namespace() { case $1 in *\?*) echo "$1&namespace=$2" ;; *) echo "$1?namespace=$2" ;; esac; }

expected=$(digest file "$file")
echo "file: $expected"
wrong=0
compare() { # what, digest
    if [ "$2" = "$expected" ]; then echo "$1: equal"; else echo "$1: DIFFERS: $2"; wrong=1; fi
}

for face in rust python node kotlin java; do
    # Runs the demo twice: the second run passes over every event and changes nothing.
    for _ in first again; do quietly "$cache/demos/$face" "sqlite:$folder/$face.db" "$file" > /dev/null; done
    compare "$face, SQLite" "$(digest sqlite "$folder/$face.db" default)"
    for backend in postgres mongodb; do
        case $backend in
            postgres) name=Postgres variable=STREAMKEEP_TEST_POSTGRES_URL server=$postgres ;;
            mongodb) name=MongoDB variable=STREAMKEEP_TEST_MONGODB_URL server=$mongodb ;;
        esac
        if [ -z "$server" ]; then
            echo "$face, $name: SKIPPED: $variable is not set"
            continue
        fi
        namespace="digest_${face}_$$"
        quietly "$cache/demos/$face" "$(in_namespace "$server" "$namespace")" "$file" > /dev/null
        compare "$face, $name" "$(digest "$backend" "$server" "$namespace")"
    done
done

# Moves the log twice: the store passes over an event only if its place, id and content are the same.
move() { # from, to
    quietly "$cache/moves/rust" "$1" "$2" > "$folder/moved"
    quietly "$cache/moves/rust" "$1" "$2" > "$folder/again"
    if [ "$(cat "$folder/moved")" != "imported ${expected% *}, passed over 0" ] || [ "$(cat "$folder/again")" != "imported 0, passed over ${expected% *}" ]; then
        echo "moved into ${2%%:*}: $(cat "$folder/moved"); again: $(cat "$folder/again")"
        wrong=1
    fi
}

if [ -n "$postgres" ] && [ -n "$mongodb" ]; then
    namespace="digest_moved_$$"
    in_mongodb=$(in_namespace "$mongodb" "$namespace")
    move "sqlite:$folder/rust.db" "$in_mongodb"
    compare "moved from SQLite to MongoDB" "$(digest mongodb "$mongodb" "$namespace")"
    move "$in_mongodb" "$(in_namespace "$postgres" "$namespace")"
    compare "moved on to Postgres" "$(digest postgres "$postgres" "$namespace")"
else
    echo "moved from SQLite to MongoDB and on to Postgres: SKIPPED: STREAMKEEP_TEST_POSTGRES_URL and STREAMKEEP_TEST_MONGODB_URL are not both set"
fi
exit $wrong
