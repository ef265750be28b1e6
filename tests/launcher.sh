#!/usr/bin/env bash
# Writes a launcher of a face's program for the comparisons of all faces: demos and moves are for digest/all.sh, benches
# for bench/faces.py.
#
#   launcher.sh demos|moves|benches FACE COMMAND [ARGUMENT…]
set -euo pipefail
folder=${STREAMKEEP_CACHE:-$HOME/.cache/streamkeep}/$1
face=$2
shift 2
mkdir -p "$folder"
{ echo '#!/usr/bin/env bash'; printf 'exec'; printf ' %q' "$@"; echo ' "$@"'; } > "$folder/$face"
chmod +x "$folder/$face"
