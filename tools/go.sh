#!/usr/bin/env bash
# Runs a Go new enough for the go.mod files of this tree: the one on PATH, else the one that tools/setup.sh put into .tools/.
# Exits 127, without a word, where there is none.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
export GOTOOLCHAIN=local GOFLAGS="-mod=readonly -buildvcs=false" CGO_ENABLED=${CGO_ENABLED:-0}
for go in "$(command -v go || true)" "$root/.tools/go/go/bin/go"; do
    if [[ -x $go ]]; then
        have=$("$go" env GOVERSION)
        if [[ $(printf '%s\ngo1.26\n' "$have" | sort -V | head -n 1) == go1.26 ]]; then
            exec "$go" "$@"
        fi
    fi
done
exit 127
