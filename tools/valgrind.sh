#!/usr/bin/env bash
# Starts and stops a session a thousand times in C under valgrind, after two known-bad programs, which must be found.
# `make valgrind` calls it.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
out=$target/valgrind
prefix=$out/prefix
mkdir -p "$out"
make --no-print-directory install PREFIX="$prefix" >"$out/install.log" 2>&1 || { cat "$out/install.log" && exit 1; }
flags=(-std=c11 -O1 -g -Wall -Wextra "-I$prefix/include" "-L$prefix/lib" "-Wl,-rpath,$prefix/lib")
gcc tests/scenarios/c/tester.c -o "$out/tester" "${flags[@]}" -lcoordha -pthread
gcc tests/scenarios/c/{tester,planted}.c -o "$out/tester-bad-use" "${flags[@]}" -lcoordha -pthread
gcc -DPLANT_LEAK tests/scenarios/c/{tester,planted}.c -o "$out/tester-bad-leak" "${flags[@]}" -lcoordha -pthread

store=$(mktemp -d)
trap 'rm -rf "$store"' EXIT
# cycle <program> <times>: what the program and valgrind say goes to a log.
cycle() {
    local valgrind=(valgrind --quiet --error-exitcode=9 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite)
    echo "cycle $2 store.url=local:$store role=valgrind address=127.0.0.1:1 active_standby.enabled=true" |
        COORDHA_LOG=off "${valgrind[@]}" "$out/$1" >"$out/$1.log" 2>&1 && [[ $(cat "$out/$1.log") == '= ok' ]]
}

for bad in use leak; do
    if cycle "tester-bad-$bad" 1 || ! grep -q planted.c "$out/tester-bad-$bad.log"; then
        cat "$out/tester-bad-$bad.log"
        echo "valgrind: FAILED: a known-bad program was not found: $bad" >&2
        exit 1
    fi
    echo "valgrind: a known-bad program was found: $bad"
done
cycle tester 1000 || { cat "$out/tester.log" && exit 1; }
echo "valgrind starts=1000 errors=0 leaks=0"
