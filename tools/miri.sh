#!/usr/bin/env bash
# Miri over the unit tests that do no I/O and make no thread, where there is a nightly toolchain with it.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo +nightly miri --version >/dev/null 2>&1; then
    echo "miri: SKIPPED: there is no nightly toolchain with Miri"
    exit 0
fi
cargo +nightly miri test --locked --lib --no-default-features --features capi -- \
    ffi::tests::the_numbers_and_names_are_those_of_the_rust_api record:: config::address::tests::first_unicast kv:: error::
echo "miri: ok"
