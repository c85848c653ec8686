#!/usr/bin/env bash
# Tests the Go package as its users have it: installed into a fresh folder and found by pkg-config. Format, vet, staticcheck; all
# tests with the race detector, on the embedded store and a real etcd; the archive; what a build without cgo says; a user's project.
set -euo pipefail
cd "$(dirname "$0")/.."

go() { "$go" "$@"; }
fail() {
    echo "go: FAILED: $*" >&2
    exit 1
}

go=$PWD/tools/go.sh
"$go" version >/dev/null || fail "there is no Go 1.26 here (tools/setup.sh test)"
prefix=$PWD/${CARGO_TARGET_DIR:-target}/go/prefix
log=$(mktemp)
user=$(mktemp -d)
trap 'rm -rf "$log" "$user"' EXIT

rm -rf "$prefix"
make --no-print-directory install PREFIX="$prefix" >"$log" 2>&1 || fail "$(cat "$log")"
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig PKG_CONFIG_LIBDIR='' LD_LIBRARY_PATH=$prefix/lib
# What may go wrong goes wrong loudly: pointers are checked, and a crash leaves the stacks of all threads.
export CGO_ENABLED=1 GODEBUG=cgocheck=1 GOTRACEBACK=crash

echo "go: format"
unformatted=$("$(go env GOROOT)/bin/gofmt" -l bindings/go examples/go)
[[ -z $unformatted ]] || fail "gofmt would change $unformatted"
staticcheck=$PWD/.tools/staticcheck/staticcheck
[[ -x $staticcheck ]] || echo "go: SKIPPED staticcheck: not installed (tools/setup.sh test)"
for module in bindings/go examples/go; do
    echo "go: vet and staticcheck of $module"
    go -C $module vet ./...
    [[ ! -x $staticcheck ]] || (cd $module && PATH=$(dirname "$(go env GOROOT)/bin/go"):$PATH "$staticcheck" ./...)
done

etcd=$PWD/.etcd/3.6/bin/etcd
[[ -x $etcd ]] || etcd=$(command -v etcd) || fail "there is no etcd here (tools/setup.sh test)"
# run <what> <module> <arguments of go test>: says what failed, counts what passed.
passed=0
run() {
    echo "go: $1"
    COORDHA_GO_TEST_ETCD=$etcd go -C "$2" test -count=1 -v "${@:3}" >"$log" 2>&1 || {
        cat "$log"
        fail "$1"
    }
    ! grep -E '^ *--- SKIP' "$log" || fail "$1: left out"
    grep -E 'threads before|^ok ' "$log" || true
    passed=$((passed + $(grep -cE '^ *--- PASS' "$log")))
}
run "tests, with the race detector" bindings/go -race ./...
run "tests, linked with the archive" bindings/go -tags coordha_static -run 'Example|InOrder|Profile' ./...
run "the example" examples/go ./...

echo "go: a build without cgo says what is missing"
! CGO_ENABLED=0 "$go" -C bindings/go build . 2>"$log" || fail "a build without cgo passes"
[[ $(grep -c '^\./' "$log") == 1 ]] || fail "a build without cgo says more than what is missing: $(cat "$log")"
grep -q 'undefined: coordha_needs_cgo__set_CGO_ENABLED_1_and_install_a_C_compiler' "$log" || fail "it says $(cat "$log")"

echo "go: a user's project of two files, against what was installed"
cp tests/install/go/*.go "$user"
(
    cd "$user"
    "$go" mod init user
    "$go" mod edit -require coordha.test/coordha@v0.1.0 -replace "coordha.test/coordha=$prefix/share/gocode/src/coordha.test/coordha"
) 2>"$log" || fail "$(cat "$log")"
for tags in "" coordha_static; do
    go -C "$user" build -tags "$tags" -o program .
    ! ldd "$user/program" | grep libcoordha >/dev/null || [[ -z $tags ]] || fail "the archive is not linked"
    timeout --foreground 5m "$user/program" "local:$user/store$tags" || fail "the user's program fails ($tags)"
    passed=$((passed + 1))
done

echo "go passed=$passed failed=0"
