#!/usr/bin/env bash
# Plays the scenarios with the testers of C and C++ built with gcc's AddressSanitizer, UndefinedBehaviorSanitizer and
# LeakSanitizer. First with two known-bad testers, which must be found. `make sanitize` calls it; arguments go to the runner.
#
#   LIBRARY=1   the library itself is built with AddressSanitizer too: an access after a free inside of it is seen as well
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
out=$target/sanitize
prefix=$out/prefix
mkdir -p "$out"
make --no-print-directory install PREFIX="$prefix" >"$out/install.log" 2>&1 || { cat "$out/install.log" && exit 1; }
if [[ ${LIBRARY:-} ]]; then
    echo "sanitize: builds the library with AddressSanitizer"
    # A target is named, so that build scripts are built without it. The runtime is that of the tester.
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address -Cdebug-assertions -Coverflow-checks" CARGO_PROFILE_STATIC_OPT_LEVEL=1 \
        CARGO_PROFILE_STATIC_CODEGEN_UNITS=16 cargo rustc --locked --quiet --profile static --lib --features capi \
        --target x86_64-unknown-linux-gnu --target-dir "$out/library" --crate-type cdylib -- -C link-arg=-Wl,-soname,libcoordha.so.0
    install -m 755 "$out/library/x86_64-unknown-linux-gnu/static/libcoordha.so" "$(realpath "$prefix/lib/libcoordha.so")"
fi

flags=(-O1 -g -fno-omit-frame-pointer -fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all -Wall -Wextra
    "-I$prefix/include" "-L$prefix/lib" "-Wl,-rpath,$prefix/lib")
gcc -std=c11 tests/scenarios/c/tester.c -o "$out/tester-c" "${flags[@]}" -lcoordha -pthread
g++ -std=c++17 tests/scenarios/cpp/tester.cpp -o "$out/tester-cpp" "${flags[@]}" -lcoordha -pthread
gcc -std=c11 tests/scenarios/c/{tester,planted}.c -o "$out/tester-bad-use" "${flags[@]}" -lcoordha -pthread
gcc -std=c11 -DPLANT_LEAK tests/scenarios/c/{tester,planted}.c -o "$out/tester-bad-leak" "${flags[@]}" -lcoordha -pthread

export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1
play() {
    cargo test --locked --quiet --all-features --test scenarios -- --sanitized "$@"
}
bads=(use leak)
if [[ ${LIBRARY:-} ]]; then
    gcc -std=c11 -DPLANT_IN_LIBRARY tests/scenarios/c/{tester,planted}.c -o "$out/tester-bad-library" "${flags[@]}" -lcoordha -pthread
    bads+=(library)
fi
for bad in "${bads[@]}"; do
    if play --language "c=$out/tester-bad-$bad" --only start_and_win >"$out/bad-$bad.log" 2>&1 ||
        ! grep -qE 'ERROR: (Address|Leak)Sanitizer' "$out/bad-$bad.log" || ! grep -q 'reports=[1-9]' "$out/bad-$bad.log"; then
        cat "$out/bad-$bad.log"
        echo "sanitize: FAILED: a known-bad tester was not found: $bad" >&2
        exit 1
    fi
    echo "sanitize: a known-bad tester was found: $bad"
done
play --language "c=$out/tester-c" --language "cpp=$out/tester-cpp" "$@"
