#!/usr/bin/env bash
# Checks what is in deploy/: the chart as it is linted and rendered, its manifests by the schemas of Kubernetes, values that it must
# refuse, the script that moves the label; the Compose file; the Dockerfiles; the systemd unit. Nothing is deployed: there is no
# engine here. Each checker must also refuse what is planted for it in tests/deploy/bad. One that is not installed is skipped, loudly.
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$PWD/.tools/schemas

fail() {
    echo "deploy: FAILED: $*" >&2
    exit 1
}
# have <what> <command that succeeds where it is there>
have() {
    if "${@:2}" >/dev/null 2>&1; then
        echo "deploy: $1"
    else
        echo "deploy: SKIPPED $1: not installed (tools/setup.sh test)"
        return 1
    fi
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
charts=0 renderings=0 manifests=0 pairs=0 compose=0 dockerfiles=0 refused=0
# Adds the counts of a line such as `charts=1 refused=3`.
count() {
    local pair
    for pair in $1; do
        [[ ! -v ${pair%%=*} ]] || declare -g "${pair%%=*}=$((${pair%%=*} + ${pair#*=}))"
    done
}

helm=.tools/helm/helm
schemas() { python3 -c 'import check_jsonschema, kubernetes_validate, yaml'; }
command=${CARGO_TARGET_DIR:-target}/static/coordha
if have "the chart, by helm and the schemas of Kubernetes" test -x $helm -a -d .tools/schemas; then
    schemas || fail ".tools/schemas is not whole: remove it, then tools/setup.sh test"
    commands=()
    if [[ -x $command ]]; then
        commands=("$command")
    else
        echo "deploy: SKIPPED the options that chart, Compose and unit use, by the command: it is not built (make build)"
    fi
    counts=$(python3 tests/deploy/charts.py $helm "${commands[@]}") || fail "the chart"
    count "$counts"
    etcd=.etcd/3.6/bin/etcd
    [[ -x $etcd ]] || etcd=$(command -v etcd || true)
    if [[ ! -x $command || ! -x $etcd ]]; then
        echo "deploy: SKIPPED the pair, run: no command (make build), or no etcd (tools/setup.sh test)"
    else
        echo "deploy: the pair, run on loopback as the chart renders it"
        python3 tests/deploy/pair.py $helm "$command" "$etcd" || fail "the pair"
        count pairs=1
    fi
fi

if have "the script that moves the label, against a stand-in for Kubernetes" eval 'command -v curl && command -v jq && command -v openssl'; then
    counts=$(python3 tests/deploy/label.py) || fail "the script that moves the label"
    echo "deploy: ${counts% *}"
    count "$counts"
fi
if have "the script that keeps its container" timeout --version; then
    counts=$(python3 tests/deploy/follow.py) || fail "the script that keeps the container of the label"
    echo "deploy: ${counts% *}"
    count "$counts"
fi
if have "shellcheck of what is in deploy" shellcheck --version; then
    shellcheck deploy/helm/coordha/scripts/*.sh
fi

if have "the Compose file, by its schema" schemas; then
    check() { python3 -m check_jsonschema --builtin-schema vendor.compose-spec "$1" >"$log" 2>&1; }
    check deploy/compose/compose.yaml || fail "$(cat "$log")"
    python3 tests/deploy/compose.py || fail "deploy/compose/compose.yaml"
    ! check tests/deploy/bad/compose.yaml || fail "a bad Compose file passes"
    grep -q stop_grace_periode "$log" || fail "of a bad Compose file it says: $(cat "$log")"
    count "compose=1 refused=1"
fi

hadolint=.tools/hadolint/bin/hadolint
if have "the Dockerfiles, by hadolint" $hadolint --version; then
    for file in deploy/docker/Dockerfile deploy/compose/Dockerfile; do
        $hadolint --no-color "$file" || fail "$file"
        count dockerfiles=1
    done
    ! $hadolint --no-color tests/deploy/bad/Dockerfile >"$log" 2>&1 || fail "a bad Dockerfile passes"
    grep -q DL3004 "$log" || fail "of a bad Dockerfile it says: $(cat "$log")"
    count refused=1
fi

if have "the systemd unit" systemd-analyze --version; then
    folder=$(mktemp -d)
    trap 'rm -rf "$log" "$folder"' EXIT
    # The command need not be installed for that. What is wrong is a warning to it.
    sed 's#/usr/local/bin/coordha#/bin/true#' 'deploy/systemd/coordha@.service' >"$folder/coordha@.service"
    mkdir "$folder/coordha@rootcoord.service.d"
    page=$folder/coordha@rootcoord.service.d/page.conf
    # shellcheck disable=SC2016 # no commands
    sed -n '/^```ini$/,/^```$/{/^```/!p}' docs/deploy.md >"$page"
    grep -q '^LoadCredential=' "$page" || fail "docs/deploy.md has no lines for the unit"
    check() { SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no "$folder/coordha@rootcoord.service" >"$log" 2>&1 && [[ ! -s $log ]]; }
    check || fail "deploy/systemd/coordha@.service, with the lines of docs/deploy.md: $(cat "$log")"
    sed -i 's/%d/%Z/' "$page"
    ! check || fail "a bad credential passes"
    grep -q COORDHA_STORE_ETCD_TLS_KEY "$log" || fail "of a bad credential it says: $(cat "$log")"
    rm "$page"
    # It is the unit of each role of a host, and two cannot have one port.
    has_port() { grep -Eq '^Exec.*:[0-9]+' "$folder/coordha@.service"; }
    ! has_port || fail "deploy/systemd/coordha@.service: a port stands in its command line"
    # shellcheck disable=SC2016 # systemd's variable
    sed -i.bak 's/\${LISTEN}/127.0.0.1:9480/' "$folder/coordha@.service"
    has_port || fail "a unit with a port in its command line passes"
    mv "$folder/coordha@.service.bak" "$folder/coordha@.service"
    sed -i 's/^KillMode/KilMode/' "$folder/coordha@.service"
    ! check || fail "a bad unit passes"
    grep -q KilMode "$log" || fail "of a bad unit it says: $(cat "$log")"
    count refused=3
fi

echo "deploy charts=$charts renderings=$renderings manifests=$manifests pairs=$pairs compose=$compose dockerfiles=$dockerfiles refused=$refused"
