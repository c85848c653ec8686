"""What must hold in every rendering of the chart, whatever the values: what the schemas of Kubernetes cannot know."""

import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/coordha"
ACTIVE = "coordha.dev/active"
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


def keys():
    """All configuration keys, as variables."""
    rows = re.findall(r"^\| `([a-z_.]+)` \|", (ROOT / "docs/CONFIGURATION.md").read_text(), re.MULTILINE)
    assert "role" in rows and "store.etcd.tls.min_version" in rows, rows
    return {"COORDHA_" + key.replace(".", "_").upper() for key in rows} | {"COORDHA_LOG"}


def of_kind(manifests, kind):
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def selects(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


def containers(deployment):
    """Its containers, those that run before the others first."""
    spec = deployment["spec"]["template"]["spec"]
    return spec.get("initContainers", []) + spec["containers"]


def container(deployment, name):
    return next((one for one in containers(deployment) if one["name"] == name), None)


def env(one):
    """The variables with a plain value."""
    return {variable["name"]: variable["value"] for variable in one.get("env", []) if "value" in variable}


def flag(one, name):
    prefix = f"--{name}="
    return next(arg.removeprefix(prefix) for arg in one["args"] if arg.startswith(prefix))


def check(manifests):
    """Fails with what is wrong."""
    deployments = of_kind(manifests, "Deployment")
    assert deployments, "no Deployment"
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
    assert len(names) == len(set(names)), f"a name twice: {names}"
    for deployment in deployments:
        check_selection(deployment, deployments, manifests)
        check_pod(deployment)
        check_security(deployment)
        check_configuration(deployment)
    check_rights(manifests)


def check_selection(deployment, deployments, manifests):
    """Each is selected by its own, and nobody else by them."""
    name = deployment["metadata"]["name"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selector = deployment["spec"]["selector"]["matchLabels"]
    taken = [other for other in deployments if selects(selector, other["spec"]["template"]["metadata"]["labels"])]
    assert taken == [deployment], f"{name} selects pods of others"
    assert ACTIVE not in labels, f"{name}: its pods are born active"
    services = {service["metadata"]["name"]: service["spec"] for service in of_kind(manifests, "Service")}
    everyone = services[f"{name}-all"]
    assert everyone["selector"] == selector and everyone["clusterIP"] == "None"
    follows = container(deployment, "label") is not None
    assert (name in services) == follows, f"{name}: a Service that follows nobody, or a watcher without one"
    if follows:
        assert services[name]["selector"] == {**selector, ACTIVE: "true"}
        assert services[name]["ports"][0]["targetPort"] == "coordinator"
    for budget in of_kind(manifests, "PodDisruptionBudget"):
        if budget["metadata"]["name"] == name:
            assert budget["spec"]["selector"]["matchLabels"] == selector
            assert budget["spec"]["maxUnavailable"] < deployment["spec"]["replicas"]
    for monitor in of_kind(manifests, "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"]
        seen = [service for service in of_kind(manifests, "Service") if selects(wanted, service["metadata"]["labels"])]
        assert len(seen) == len(deployments) and all(one["spec"].get("clusterIP") == "None" for one in seen)


def check_pod(deployment):
    """It is ready while it stands by, and has time to leave in order."""
    name = deployment["metadata"]["name"]
    spec = deployment["spec"]["template"]["spec"]
    coordinator = container(deployment, "coordinator")
    ports = {port["name"]: port["containerPort"] for port in coordinator["ports"]}
    for probe, path in (("readinessProbe", "/healthz"), ("livenessProbe", "/role")):
        if probe in coordinator:
            assert coordinator[probe]["httpGet"] == {"path": path, "port": "ha"}, f"{name}: {probe}"
    assert int(flag(coordinator, "listen").rsplit(":", 1)[1]) == ports["ha"]
    variables = env(coordinator)
    assert variables["COORDHA_ADDRESS"] in (f"$(POD_IP):{ports['coordinator']}", f"[$(POD_IP)]:{ports['coordinator']}")
    stop = int(variables["COORDHA_DEACTIVATION_TIMEOUT_MS"]) + int(variables["COORDHA_RELEASE_TIMEOUT_MS"])
    assert spec["terminationGracePeriodSeconds"] * 1000 >= stop, f"{name} is killed before it has left"
    assert int(flag(coordinator, "grace-ms")) + 500 <= int(variables["COORDHA_DEACTIVATION_TIMEOUT_MS"])
    assert int(variables["COORDHA_LEASE_TTL_MS"]) >= 2 * int(variables["COORDHA_ELECTION_HOLD_MS"])
    standby = variables["COORDHA_ACTIVE_STANDBY_ENABLED"] == "true"
    assert standby or deployment["spec"]["replicas"] == 1, f"{name}: two of them, without a standby"
    assert standby or deployment["spec"]["strategy"] == {"type": "Recreate"}, f"{name}: a roll would start a second one"
    required = spec.get("affinity", {}).get("podAntiAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    surge = deployment["spec"]["strategy"].get("rollingUpdate", {}).get("maxSurge")
    assert not (required and surge), f"{name}: a roll would wait for one more host"
    volumes = {volume["name"] for volume in spec["volumes"]}
    mounts = {mount["name"] for one in containers(deployment) for mount in one["volumeMounts"]}
    assert mounts == volumes, f"{name}: mounted {mounts}, there are {volumes}"


def check_security(deployment):
    name = deployment["metadata"]["name"]
    spec = deployment["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] > 0
    assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False
    for one in containers(deployment):
        context = one["securityContext"]
        assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"], f"{name}: {one['name']}"
        assert context["capabilities"] == {"drop": ["ALL"]}, f"{name}: {one['name']}"
        has_token = any(mount["mountPath"] == TOKEN_PATH for mount in one["volumeMounts"])
        assert has_token == (one["name"] == "label"), f"{name}: {one['name']} and its access to Kubernetes"


def check_configuration(deployment):
    """Each variable is a key, a secret is taken from a Secret, and both containers look at the same election."""
    known = keys()
    for one in containers(deployment):
        given = [variable["name"] for variable in one.get("env", [])]
        assert len(given) == len(set(given)), f"given twice: {given}"
        unknown = [name for name in given if name.startswith("COORDHA_") and name not in known]
        assert not unknown, f"no keys: {unknown}"
        for variable in one.get("env", []):
            if variable["name"].endswith(("_PASSWORD", "_USER")):
                assert "secretKeyRef" in variable["valueFrom"], f"{variable['name']} stands there for all to read"
    coordinator, label = container(deployment, "coordinator"), container(deployment, "label")
    role = deployment["spec"]["template"]["metadata"]["labels"]["coordha.dev/role"]
    assert flag(coordinator, "role") == role
    assert coordinator["args"][0] == "run" and coordinator["args"][coordinator["args"].index("--") + 1 :]
    if label:
        assert flag(label, "role") == role and label["args"][0] == "observe"
        # One that ends where etcd is away takes its pod out of the Service.
        assert label["command"] == ["/scripts/follow.sh"] and "livenessProbe" not in label
        store = [variable for variable in label["env"] if variable["name"].startswith("COORDHA_")]
        assert all(variable in coordinator["env"] for variable in store)


def check_rights(manifests):
    """The account may do what the script does, and no more; and the scripts are those that are tested."""
    account = [one["metadata"]["name"] for one in of_kind(manifests, "ServiceAccount")]
    scripts = of_kind(manifests, "ConfigMap")
    assert bool(scripts) == any(container(one, "label") for one in of_kind(manifests, "Deployment"))
    roles, bindings = of_kind(manifests, "Role"), of_kind(manifests, "RoleBinding")
    assert len(scripts) == len(roles) == len(bindings)
    for script, role, binding in zip(scripts, roles, bindings, strict=True):
        files = {file.name: file.read_text().rstrip() for file in (CHART / "scripts").iterdir()}
        assert {name: text.rstrip() for name, text in script["data"].items()} == files
        assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "patch"]}]
        assert binding["roleRef"]["name"] == role["metadata"]["name"]
        assert [subject["name"] for subject in binding["subjects"]] == account
    for deployment in of_kind(manifests, "Deployment"):
        assert deployment["spec"]["template"]["spec"]["serviceAccountName"] in account
