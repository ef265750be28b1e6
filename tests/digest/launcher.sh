#!/usr/bin/env bash
# Leaves a launcher of a face's demo where all.sh finds it.   launcher.sh FACE COMMAND [ARGUMENT…]
set -euo pipefail
demos=${STREAMKEEP_CACHE:-$HOME/.cache/streamkeep}/demos
face=$1
shift
mkdir -p "$demos"
{ echo '#!/usr/bin/env bash'; printf 'exec'; printf ' %q' "$@"; echo ' "$@"'; } > "$demos/$face"
chmod +x "$demos/$face"
