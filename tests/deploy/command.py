"""The command, and what the chart, the Compose file and the unit ask of it."""

import json
import os
import re
import subprocess

import facts
import yaml


def compare(command, manifests):
    """Each option that is used is one of the command's, and it reads the configuration as it was meant."""
    pods = [
        one
        for deployment in facts.of_kind(manifests, "Deployment")
        for one in deployment["spec"]["template"]["spec"]["containers"]
    ]
    compose = yaml.safe_load((facts.ROOT / "deploy/compose/compose.yaml").read_text())["services"]
    pair = [compose[name] for name in ("rootcoord", "rootcoord-1")]
    unit = (facts.ROOT / "deploy/systemd/coordha@.service").read_text()
    calls = [one["args"] for one in pods] + [one["command"] for one in pair]
    calls.append(re.search(r"^ExecStart=\S+ (.*)$", unit, re.MULTILINE)[1].split())
    for call in calls:
        check_options(command, call)
    for one in pods:
        check_values(command, one)
    for one in pair:
        check_switch(command, one)


def check_options(command, call):
    subcommand, options = call[0], call[1 : call.index("--")] if "--" in call else call[1:]
    told = subprocess.run([command, subcommand, "--help"], capture_output=True, text=True, check=False)
    assert told.returncode == 0, f"{subcommand}: {told.stderr}"
    for option in (option.split("=")[0] for option in options):
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", told.stdout), f"coordha {subcommand} has no {option}"


def effective(command, role, variables):
    """The value of each key, as the command reads it from these variables."""
    ours = ("COORDHA_", "HA_", "ETCD_", "ROOT_COORD_")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(
        [command, "config", f"--role={role}", "--json"],
        env={**plain, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"coordha config: {done.stderr}"
    return {row["key"]: row["value"] for row in json.loads(done.stdout)}


def check_values(command, one):
    """Of a pod, each variable comes to be the value of its key."""
    given = {
        name: value.replace("$(POD_IP)", "fd00::1" if "[" in value else "10.0.0.1")
        for name, value in facts.env(one).items()
    }
    for variable in one["env"]:
        if "secretKeyRef" in variable.get("valueFrom", {}):
            given[variable["name"]] = "a-secret"
    read = effective(command, facts.flag(one, "role"), given)
    for key, value in read.items():
        wanted = given.get("COORDHA_" + key.replace(".", "_").upper())
        assert wanted is None or value in (wanted, "***"), f"{key} is {value}, not {wanted}"
    assert "store.etcd.password" not in read or read["store.etcd.password"] != "a-secret"


def check_switch(command, service):
    """Milvus's own names work in the Compose file."""
    read = effective(command, "rootcoord", {**service["environment"], "COORDHA_ADDRESS": "x:1"})
    assert read["active_standby.enabled"] == "true" and read["store.url"] == "etcd://etcd:2379", read
