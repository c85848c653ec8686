#!/usr/bin/env bash
# Checks what Prometheus and Grafana get: the library's own text, the alerts with their tests, and the queries of the dashboard.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
out=$(realpath -m "$target/metrics")
alerts=deploy/prometheus/alerts.yaml
dashboard=deploy/grafana/coordha.json
mkdir -p "$out"

# What a process with a session and an observer says; and each metric named in deploy/ must be in the list.
COORDHA_METRICS_OUT=$out/metrics.txt cargo test --locked --quiet --all-features --test metrics
families=$(grep -c '^# TYPE ' "$out/metrics.txt")

if ! command -v promtool >/dev/null; then
    echo "metrics: SKIPPED promtool: not installed (Debian's package prometheus)"
    echo "metrics families=$families rules=0 dashboards=0"
    exit 0
fi

promtool check metrics <"$out/metrics.txt"
promtool check rules "$alerts" >"$out/rules.txt"
promtool test rules deploy/prometheus/alerts_test.yaml >"$out/rules_test.txt" || { cat "$out/rules_test.txt" >&2 && exit 1; }

# Every grouping tells installations apart.
mixed=$(grep -oE '\b(by|on) \([^)]*\)' "$alerts" | grep -v '(cluster, namespace, job, ' || true)
if [[ -n $mixed ]]; then
    echo "metrics: FAILED: the alerts mix installations: $mixed" >&2
    exit 1
fi

# A check that sees nothing is none: alerts with another limit, or without one of the labels, must fail their tests,
# and a metric without words be told.
mkdir -p "$out/planted"
cp deploy/prometheus/alerts_test.yaml "$out/planted/"
for change in 's/(coordha_session_active) > 1/(coordha_session_active) > 2/' \
    's/(cluster, /(/' 's/ namespace, / /' 's/ job, / /'; do
    sed "$change" "$alerts" >"$out/planted/alerts.yaml"
    if cmp --silent "$alerts" "$out/planted/alerts.yaml" ||
        promtool test rules "$out/planted/alerts_test.yaml" >/dev/null 2>&1; then
        echo "metrics: FAILED: the tests of the alerts did not see a planted change: $change" >&2
        exit 1
    fi
done
if sed '/^# HELP coordha_sessions /d' "$out/metrics.txt" | promtool check metrics >/dev/null 2>&1; then
    echo "metrics: FAILED: promtool did not see that words are missing" >&2
    exit 1
fi

# Grafana puts its variables in; here something of their kind does.
python3 - "$dashboard" >"$out/queries.yaml" <<'PYTHON'
import json, re, sys

def queries(thing):
    if isinstance(thing, dict):
        if isinstance(thing.get("expr"), str):
            yield thing["expr"]
        thing = list(thing.values())
    for part in thing if isinstance(thing, list) else []:
        yield from queries(part)

with open(sys.argv[1]) as file:
    found = list(queries(json.load(file)))
assert len(found) > 20, "the dashboard has no queries"
values = {"$__rate_interval": "1m", "$__range": "3h"}
values.update({f"${name}": ".*" for name in ("cluster", "namespace", "job", "role", "root")})
chosen = '{cluster=~"$cluster",namespace=~"$namespace",job=~"$job"'
rules = []
for number, query in enumerate(found):
    assert query.count("coordha_") == query.count(chosen), f"not of the installations chosen: {query}"
    groups = re.findall(r"\b(?:by|on) \(.*?\)", query)
    assert all("(cluster, namespace, job, " in group for group in groups), f"mixes installations: {query}"
    for name, value in values.items():
        query = query.replace(name, value)
    assert "$" not in query, query
    rules.append({"record": f"query:{number}", "expr": query})
json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, sys.stdout)
PYTHON
promtool check rules "$out/queries.yaml" >"$out/queries.txt" || { cat "$out/queries.txt" >&2 && exit 1; }

rules=$(grep -c '^ *- alert: ' "$alerts")
echo "metrics families=$families rules=$rules dashboards=1"
