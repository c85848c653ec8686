#!/usr/bin/env bash
# Builds the fuzz targets of tests/fuzz and runs each for a while, after a known-bad one, which must be found. `make fuzz` calls
# it with the targets to run; none: all.
#
#   FUZZ_S=<seconds>   how long each runs (10); `calls` three times as long
#
# What is found on the way is kept in <target>/fuzz/corpus, and a crash in <target>/fuzz/crashes.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PATH:$PWD/.tools/cargo-fuzz/bin

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "fuzz: SKIPPED: cargo-fuzz is not installed"
    exit 0
fi
out=$(realpath -m "${CARGO_TARGET_DIR:-target}")/fuzz
seconds=${FUZZ_S:-10}
# Whole paths: `calls` goes into a folder of its own.
seeds=$PWD/tests/fuzz/seeds
# What stable lacks is the sanitizer's flag; no nightly is needed.
export RUSTC_BOOTSTRAP=1
cargo metadata --locked --format-version 1 --manifest-path tests/fuzz/Cargo.toml >/dev/null
cargo fuzz build --fuzz-dir tests/fuzz --target-dir "$out" --codegen-units 16
if (($#)); then targets=("$@"); else readarray -t targets <<<"$(cargo fuzz list --fuzz-dir tests/fuzz)"; fi

export ASAN_OPTIONS=detect_odr_violation=0:detect_leaks=1 LSAN_OPTIONS=suppressions=$PWD/tests/fuzz/leaks.txt:print_suppressions=0
# Stores and files of the targets: in memory where that can be, which is faster and spares the disk.
if [[ -w /dev/shm ]]; then TMPDIR=$(mktemp -d -p /dev/shm); else TMPDIR=$(mktemp -d); fi
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
mkdir -p "$out/crashes"
log=$out/last.log
# fuzz <target> <seconds> <corpus>...
fuzz() {
    "$out/x86_64-unknown-linux-gnu/release/$1" -max_total_time="$2" -timeout=60 -rss_limit_mb=4096 -print_final_stats=1 \
        -max_len=1024 -len_control=10 \
        -artifact_prefix="$crashes_in/$1-" "${@:3}" >"$log" 2>&1
}

planted=$TMPDIR/planted
crashes_in=$planted
mkdir -p "$planted/corpus"
if COORDHA_FUZZ_PLANT=1 fuzz record 60 "$planted/corpus" "$seeds/record" || ! grep -q "^planted" "$log"; then
    tail -n 20 "$log"
    echo "fuzz: FAILED: the planted crash was not found" >&2
    exit 1
fi
echo "  the planted crash was found after $(grep -oE '^#[0-9]+' "$log" | tail -n 1 | tr -d '#') runs"

crashes_in=$out/crashes
runs=0 crashes=0
for target in "${targets[@]}"; do
    mkdir -p "$out/corpus/$target"
    verdict=ok
    # Each of its runs starts and ends threads and a store, so it is given more time.
    if [[ $target == calls ]]; then limit=$((3 * seconds)); else limit=$seconds; fi
    fuzz "$target" "$limit" "$out/corpus/$target" "$seeds/$target" || verdict=CRASH
    executed=$(awk '/^stat::number_of_executed_units:/ { print $2 }' "$log")
    coverage=$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1 || true)
    echo "  $target runs=${executed:-0} ${coverage/: /=} $verdict"
    runs=$((runs + ${executed:-0}))
    if [[ $verdict == CRASH ]]; then
        crashes=$((crashes + 1))
        grep -vE '^(#[0-9]+|INFO:|stat::)' "$log" | tail -n 60
        echo "  again: $out/x86_64-unknown-linux-gnu/release/$target <the file that is named above>"
    fi
done
echo "fuzz targets=${#targets[@]} runs=$runs crashes=$crashes"
((crashes == 0))
