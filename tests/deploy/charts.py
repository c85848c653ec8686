"""Renders the chart with each file of values, checks what comes out, and what must be refused.

charts.py <helm> [<coordha>]: needs kubernetes-validate and what it brings. With the command, its options are compared too.
"""

import functools
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

import command
import facts
import jsonschema
import kubernetes_validate.utils
import yaml

HERE = pathlib.Path(__file__).parent
VERSIONS = kubernetes_validate.utils.all_versions()
OLDEST, NEWEST = VERSIONS[0], VERSIONS[-1]
PAIR = HERE / "values/pair.yaml"

# What each file of values is about: replicas, and how a new version comes, of each Deployment.
SURGE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
IN_PLACE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
RECREATE = {"type": "Recreate"}
EXPECTED = {
    "pair": {"x-coordha-rootcoord": (2, SURGE)},
    "exclusive": {"x-coordha-rootcoord": (1, RECREATE)},
    "mixcoord": {"x-coordha-mixcoord": (2, IN_PLACE)},
    "secure": {"x-coordha-rootcoord": (2, SURGE)},
    "everything": {
        "ha-rootcoord": (3, SURGE),
        "ha-querycoord": (2, IN_PLACE),
        "ha-datacoord": (2, {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": "50%"}}),
        "ha-id-allocator": (2, SURGE),
        "ha-once": (1, RECREATE),
    },
}
# What is there by wish only, and how often.
WISHED = {
    "everything": {
        "ServiceMonitor": 1,
        "PrometheusRule": 1,
        "NetworkPolicy": 5,
        "PodDisruptionBudget": 3,
        "Service": 10,
    },
    "pair": {"ServiceMonitor": 0, "PrometheusRule": 0, "NetworkPolicy": 0, "PodDisruptionBudget": 1, "Service": 2},
    "mixcoord": {"Service": 1, "ConfigMap": 0, "Role": 0},
    "exclusive": {"PodDisruptionBudget": 0, "Service": 2},
}


def helm(*arguments):
    return subprocess.run([sys.argv[1], *arguments], capture_output=True, text=True, check=False)


def template(version, *values, chart=facts.CHART):
    files = [word for file in values for word in ("--values", str(file))]
    return helm("template", "x", str(chart), "--namespace", "prod", "--kube-version", version, *files)


@functools.cache
def operator_schema():
    return json.loads((HERE / "operator.schema.json").read_text())


def validate(manifest, version):
    """Fails where a schema does not allow it. Kubernetes itself has none for the kinds of others."""
    if manifest["apiVersion"].startswith("monitoring.coreos.com/"):
        jsonschema.validate(manifest, operator_schema())
    else:
        kubernetes_validate.validate(manifest, version, strict=True)


def read(done):
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def render(file, version):
    """Renders one file of values, checks the manifests, and gives them."""
    manifests = read(template(version, file))
    for manifest in manifests:
        validate(manifest, version)
    facts.check(manifests)
    found = {
        one["metadata"]["name"]: (one["spec"]["replicas"], one["spec"]["strategy"])
        for one in facts.of_kind(manifests, "Deployment")
    }
    assert found == EXPECTED[file.stem], f"{file.name}: {found}"
    for kind, count in WISHED.get(file.stem, {}).items():
        assert len(facts.of_kind(manifests, kind)) == count, f"{file.name}: not {count} of the kind {kind}"
    return manifests


def alerts():
    """The alerts of this tree, where it has some, are taken as they are."""
    file = facts.ROOT / "deploy/prometheus/alerts.yaml"
    if file.exists():
        files = [
            "--values",
            str(PAIR),
            "--set",
            "prometheusRule.enabled=true",
            "--set-file",
            f"prometheusRule.rules={file}",
        ]
        manifests = read(helm("template", "x", str(facts.CHART), "--kube-version", NEWEST, *files))
        (rule,) = facts.of_kind(manifests, "PrometheusRule")
        validate(rule, NEWEST)
        assert rule["spec"] == yaml.safe_load(file.read_text())


def lint(file):
    done = helm("lint", "--strict", str(facts.CHART), "--values", str(file))
    assert done.returncode == 0 and "[WARNING]" not in done.stdout, f"{file.name}: {done.stdout}{done.stderr}"


def refused_values():
    cases = yaml.safe_load((HERE / "refused.yaml").read_text())
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            file = pathlib.Path(folder) / "values.yaml"
            file.write_text(yaml.safe_dump(case["set"]))
            done = template(NEWEST, PAIR, file)
            assert done.returncode != 0, f"not refused: {case['set']}"
            assert case["says"] in done.stderr, f"{case['set']}: it says {done.stderr}"
    return len(cases)


def refused_manifests():
    """The schemas find what is planted: without this, one that finds nothing would pass."""
    planted = list(yaml.safe_load_all((HERE / "bad/manifests.yaml").read_text()))
    for manifest in planted:
        try:
            validate(manifest, NEWEST)
        except (
            jsonschema.ValidationError,
            kubernetes_validate.ValidationError,
            kubernetes_validate.SchemaNotFoundError,
        ):
            continue
        raise AssertionError(f"not refused: {manifest}")
    return len(planted)


# Charts that Kubernetes would take, and that are wrong: where, what, what stands there instead.
WRONG = [
    ("deployment.yaml", "httpGet: {path: /healthz", "httpGet: {path: /readyz"),
    ("deployment.yaml", "add 5 (div", "sub 9 (div"),
    ("deployment.yaml", "automountServiceAccountToken: false", "automountServiceAccountToken: true"),
    ("deployment.yaml", "command: [/scripts/follow.sh]", "command: [coordha]"),
    ("deployment.yaml", "COORDHA_ELECTION_HOLD_MS", "COORDHA_ELECTION_HOLD"),
    ("service.yaml", 'coordha.dev/active: "true"', 'coordha.dev/role: "true"'),
    ("scripts.yaml", "verbs: [list, patch]", "verbs: [list, patch, delete]"),
    ("_helpers.tpl", "coordha.dev/role: {{ . }}", "coordha.dev/any: {{ . }}"),
    ("_helpers.tpl", "type: Recreate", "type: RollingUpdate"),
]


def refused_charts():
    """The facts find what is planted."""
    for name, right, wrong in WRONG:
        with tempfile.TemporaryDirectory() as folder:
            chart = pathlib.Path(shutil.copytree(facts.CHART, pathlib.Path(folder) / "coordha"))
            file = chart / "templates" / name
            assert right in file.read_text(), f"{name} has no {right}"
            file.write_text(file.read_text().replace(right, wrong))
            manifests = read(template(NEWEST, HERE / "values/everything.yaml", chart=chart))
        try:
            facts.check(manifests)
        except (AssertionError, KeyError):
            continue
        raise AssertionError(f"not found: {wrong} in {name}")
    return len(WRONG)


def versions_agree():
    """The chart is of the library's version, and the schema knows each value that there is by default."""
    chart = yaml.safe_load((facts.CHART / "Chart.yaml").read_text())
    manifest = (facts.ROOT / "Cargo.toml").read_text()
    version = re.search(r'^version = "(.*)"$', manifest, re.MULTILINE)[1]
    assert chart["appVersion"] == version, f"Chart.yaml: {chart['appVersion']}, Cargo.toml: {version}"
    for file in ("deploy/compose/Dockerfile", "deploy/compose/compose.yaml", "deploy/docker/Dockerfile"):
        named = set(re.findall(r"coordha:(\d+\.\d+\.\d+)", (facts.ROOT / file).read_text()))
        assert named == {version}, f"{file} names {named}"
    rust = re.search(r'^rust-version = "(.*)"$', manifest, re.MULTILINE)[1]
    assert f"ARG RUST={rust}\n" in (facts.ROOT / "deploy/docker/Dockerfile").read_text()
    values = yaml.safe_load((facts.CHART / "values.yaml").read_text())
    schema = json.loads((facts.CHART / "values.schema.json").read_text())
    assert set(values) == set(schema["properties"]) - {"global"}
    page = (facts.CHART / "README.md").read_text()
    untold = [key for key in values if f"`{key}" not in page]
    assert not untold, f"the chart's README.md does not tell {untold}"


def commands_of_the_pages():
    """What a reader copies is taken by the chart."""
    pages = [facts.ROOT / "docs/deploy.md", facts.CHART / "README.md"]
    for page in pages:
        shown = re.findall(r"^helm install ((?:.*\\\n)*.*)$", page.read_text(), re.MULTILINE)
        assert shown, f"{page} shows no helm install"
        for arguments in shown:
            words = shlex.split(arguments.replace("\\\n", " "))
            assert words[1] == str(facts.CHART.relative_to(facts.ROOT)), words
            done = helm("template", words[0], str(facts.CHART), "--kube-version", NEWEST, *words[2:])
            assert done.returncode == 0, f"{page}: helm install {arguments}: {done.stderr}"
            for manifest in read(done):
                validate(manifest, NEWEST)


def main():
    versions_agree()
    alerts()
    commands_of_the_pages()
    files = sorted((HERE / "values").glob("*.yaml"))
    assert {file.stem for file in files} == set(EXPECTED), "EXPECTED names other files than there are"
    renderings = checked = 0
    everything = []
    for file in files:
        lint(file)
        for version in (OLDEST, NEWEST):
            manifests = render(file, version)
            renderings, checked = renderings + 1, checked + len(manifests)
        everything += manifests
    if len(sys.argv) > 2:
        command.compare(sys.argv[2], everything)
    refused = refused_values() + refused_manifests() + refused_charts()
    print(f"charts=1 renderings={renderings} manifests={checked} refused={refused}")


if __name__ == "__main__":
    main()
