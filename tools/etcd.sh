#!/usr/bin/env bash
# Builds the newer etcds that the tests use, into .etcd/<version>/bin: one Go module each, under tests/etcd. Does nothing for
# one that is there in the version its go.mod names.
set -euo pipefail
cd "$(dirname "$0")/.."

for module in tests/etcd/v*/; do
    version=$(basename "$module") && version=${version#v}
    bin=$PWD/.etcd/$version/bin
    wanted=$(awk '$1 == "go.etcd.io/etcd/server/v3" && NF > 1 { sub("v", "", $2); print $2; exit }' "$module/go.mod")
    if [[ -x $bin/etcdctl ]] && "$bin/etcd" --version 2>/dev/null | grep -x >/dev/null "etcd Version: $wanted"; then
        continue
    fi
    if ! tools/go.sh version >/dev/null; then
        echo "etcd: SKIPPED $wanted: there is no Go 1.26 here (tools/setup.sh test)" >&2
        continue
    fi
    echo "etcd: builds $wanted"
    mkdir -p "$bin"
    for program in server:etcd etcdctl:etcdctl; do
        (cd "$module" && ../../../tools/go.sh build -trimpath -ldflags='-s -w' \
            -o "$bin/${program#*:}" "go.etcd.io/etcd/${program%:*}/v3")
    done
done
