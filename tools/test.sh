#!/usr/bin/env bash
# Runs make targets one after another, says when each began, and ends with the closing lines of all the test runners.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
for step in "$@"; do
    printf '\n== %d min %02d s: make %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$step"
    # shellcheck disable=SC2086 # a step is a target with its variables
    make --no-print-directory $step 2>&1 | tee -a "$log"
done
printf '\n== %d min %02d s: all passed\n' $((SECONDS / 60)) $((SECONDS % 60))
grep -E '^ +(Running|Doc-tests) |^test result: |^(install|install-python|go|milvus|scenarios|demo|sim|explore|loom|valgrind|sanitize|fuzz|deploy|metrics) [a-z]+=|^\[doctest\] test cases|^[0-9]+ passed|SKIPPED' "$log"
