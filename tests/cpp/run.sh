#!/usr/bin/env bash
# Tests include/coordha.hpp: each part compiles alone and twice, by every compiler, standard and form; then the tests, built
# against a fresh installation with gcc's sanitizers. `make cpp-test` calls it; arguments go to the tests.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")/cpp
prefix=$target/prefix
etcd=$PWD/.etcd/3.6/bin
# Debian's etcd is older, but here it does as well.
[[ -x $etcd/etcd ]] || etcd=$(dirname "$(command -v etcd)")

mkdir -p "$target"
make --no-print-directory install PREFIX="$prefix" >"$target/install.log" 2>&1 || { cat "$target/install.log" && exit 1; }

# alone <headers> <compiler and flags>
alone() {
    local header
    for header in $1; do
        printf '#include <%s>\n#include <%s>\nint main() {}\n' "$header" "$header" >"$target/alone.cpp"
        "${@:2}" -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -fsyntax-only -I"$prefix/include" "$target/alone.cpp"
    done
    echo "cpp: ok: ${*:2}"
}

parts=$(cd include && echo coordha/*.hpp)
for compiler in g++ clang++; do
    alone "$parts coordha.hpp" $compiler -std=c++17
    alone coordha.hpp $compiler -std=c++17 -fno-exceptions -fno-rtti
    alone coordha.hpp $compiler -std=c++20
    alone coordha.hpp $compiler -std=c++20 -fno-exceptions -fno-rtti
done

cmake -S tests/cpp -B "$target/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER=g++ -DETCD="$etcd" \
    --no-warn-unused-cli --log-level=WARNING >/dev/null
cmake --build "$target/build" -- --no-print-directory

# Nothing of a sanitizer may be left unseen; the leak check comes at the end of each program.
export LD_LIBRARY_PATH=$prefix/lib ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1
store=$(mktemp -d)
trap 'rm -rf "$store"' EXIT
# One that hangs is ended, and the tests then say which it was.
limited=(timeout --foreground --kill-after=30 10m)
"${limited[@]}" "$target/build/no_exceptions" "local:$store"
"${limited[@]}" "$target/build/cpp_tests" "$@"
