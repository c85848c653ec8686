#!/usr/bin/env bash
# Runs make targets one after another, says when each began, and ends with the closing lines of all the test runners. A step that
# hangs is ended after LIMIT_MIN minutes (30) with all that it started.
set -euo pipefail
cd "$(dirname "$0")/.."

limit=${LIMIT_MIN:-30}
all=$(mktemp) log=$(mktemp)
step_pid=
# Or what runs in the background would ignore SIGINT, and so would all that it starts.
set -m
# `timeout` passes a signal on to all of its step.
trap 'rm -f "$all" "$log"; [[ -z $step_pid ]] || kill "$step_pid" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM HUP

# run <arguments of make>: shows what it prints, and keeps it. By way of a file: what a failed step leaves behind could hold a
# pipe open, and the run would not end.
run() {
    # It may ask for a password, so it keeps the terminal.
    if [[ $* == setup ]]; then
        make --no-print-directory setup 2>&1 | tee -a "$all"
        return
    fi
    : >"$log"
    timeout --kill-after=30 "${limit}m" make --no-print-directory "$@" >>"$log" 2>&1 </dev/null &
    step_pid=$!
    tail -n +1 -s 0.2 -f --pid="$step_pid" "$log" &
    local shown=$! status=0
    wait "$step_pid" || status=$?
    step_pid=
    wait "$shown"
    cat "$log" >>"$all"
    if ((status == 124 || status == 137)); then
        echo "test: FAILED: 'make $*' had not ended after $limit minutes, and was ended" >&2
    fi
    return "$status"
}

for step in "$@"; do
    printf '\n== %d min %02d s: make %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$step"
    # shellcheck disable=SC2086 # a step is a target with its variables
    run $step
done
printf '\n== %d min %02d s: all passed\n' $((SECONDS / 60)) $((SECONDS % 60))
grep -E '^ +(Running|Doc-tests) |^test result: |^(install|install-python|go|milvus|scenarios|demo|sim|explore|loom|valgrind|sanitize|fuzz|deploy|metrics) [a-z]+=|^\[doctest\] test cases|^[0-9]+ passed|SKIPPED' "$all"
