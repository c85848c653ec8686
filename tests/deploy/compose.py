"""What must hold in the Compose file: what its schema cannot know."""

import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).parents[2]
FILE = ROOT / "deploy/compose/compose.yaml"


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


def main():
    services = yaml.safe_load(FILE.read_text())["services"]
    assert list(services) == ["etcd", "rootcoord", "rootcoord-1"]
    published, addresses = [], set()
    for name in ("rootcoord", "rootcoord-1"):
        service = services[name]
        assert service["environment"]["ROOT_COORD_ENABLE_ACTIVE_STANDBY"] == "true", f"{name}: no text"
        assert all(isinstance(value, str) for value in service["environment"].values())
        variables = service["environment"]
        stop = int(variables["COORDHA_DEACTIVATION_TIMEOUT_MS"]) + int(variables["COORDHA_RELEASE_TIMEOUT_MS"])
        assert seconds(service["stop_grace_period"]) * 1000 >= stop, f"{name} is killed before it has left"
        grace = next(word for word in service["command"] if word.startswith("--grace-ms="))
        assert int(grace.split("=")[1]) + 500 <= int(variables["COORDHA_DEACTIVATION_TIMEOUT_MS"])
        assert service["init"] is True and "/healthz" in service["healthcheck"]["test"][-1]
        assert service["depends_on"] == {"etcd": {"condition": "service_healthy"}}
        published += [port.rsplit(":", 1)[0] for port in service["ports"]]
        addresses.add(next(word for word in service["command"] if word.startswith("--address=")))
        assert f"--address={name}:53100" in addresses, f"{name} has another address"
        assert service["command"].index("--") < len(service["command"]) - 1
    assert len(published) == len(set(published)), f"a port twice: {published}"
    pinned = (ROOT / "tests/etcd/v3.6/go.mod").read_text()
    version = services["etcd"]["image"].rsplit(":", 1)[1]
    assert f"go.etcd.io/etcd/server/v3 {version}" in pinned, f"etcd {version} is not the one of the tests"


if __name__ == "__main__":
    main()
