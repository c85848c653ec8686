#!/usr/bin/env bash
# Runs the tests next to Milvus, all or those whose names hold what is given, and ends with a line of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
cargo test --locked --all-features --test milvus -- "$@" 2>&1 | tee "$log"
passed=$(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' "$log")
skipped=$(grep -c '^SKIPPED' "$log" || true)
peers=$(sed -n 's/^ *family("\([^"]*\)",.*/\1/p' tests/milvus/place.rs | paste -sd,)
echo "milvus peers=$peers tests=$passed skipped=$skipped failed=0"
