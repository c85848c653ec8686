#!/usr/bin/env bash
# The gate of the C ABI: compares the shared library with tests/ffi/coordha.abi, the one that programs were built for. Whatever
# was removed or changed fails; additions pass. COORDHA_BLESS=1 writes that file anew (for a release, or before the first).
# A structure that grew at its end is told as a change too: bless it if the header says that it may grow.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
library=$target/abi/libcoordha.so
baseline=tests/ffi/coordha.abi
changed=4 # a bit of abidiff's exit code

if ! command -v abidiff >/dev/null || [[ $(uname -m) != x86_64 ]]; then
    echo "abi: SKIPPED: it needs abidiff and an x86-64 machine" >&2
    exit 0
fi

# Types stand in full debug information only.
cargo rustc --locked --quiet --lib --features capi --crate-type cdylib --config profile.dev.debug=2 -- \
    -C link-arg=-Wl,-soname,libcoordha.so.0
mkdir -p "$target/abi"
cp "$target/debug/libcoordha.so" "$library"

if [[ -n ${COORDHA_BLESS:-} ]]; then
    # The paths in it are those of one machine.
    abidw --no-show-locs --no-corpus-path --no-comp-dir-path --type-id-style hash "$library" |
        awk '/<abi-instr/ { sub(/ path=\x27[^\x27]*\x27/, " path=\x27" ++unit "\x27") } { print }' >"$baseline"
    echo "abi: wrote $baseline"
    exit 0
fi

compare() { abidiff --no-added-syms "$1" "$library"; }

compare "$baseline" || {
    echo "abi: FAILED: programs built for $baseline break; a new need gets a new name" >&2
    exit 1
}

# A gate that sees nothing is none: a symbol that is gone, and a parameter more, must be told.
planted=$target/abi/planted.abi
for change in 's/ha_version_string/ha_version_gone/' "/<parameter .* name='until'/d"; do
    sed "$change" "$baseline" >"$planted"
    code=0
    compare "$planted" >/dev/null || code=$?
    if ((code & changed && code < 16)); then
        continue
    fi
    echo "abi: FAILED: the gate did not see the planted change $change (exit code $code)" >&2
    exit 1
done
echo "abi: nothing removed, nothing changed"
