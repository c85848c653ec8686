"""The pair as the chart renders it, run on loopback: pods are processes, with the arguments and variables of the manifests.

pair.py <helm> <coordha> <etcd>: a real etcd, two coordinators, and the container that moves the label in each pod. A kill -9, an
orderly stop, an etcd that has lost all; each time the other one takes over, and the label follows.
"""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import facts
import yaml
from kubernetes import Kubernetes
from label import active

HERE = pathlib.Path(__file__).parent
HELM, COORDHA, ETCD = (pathlib.Path(program).absolute() for program in sys.argv[1:4])
LIMIT_S = 60
# Pods, by their addresses.
PODS = {"a": "127.0.0.1", "b": "127.0.0.2"}
PROGRAM = [sys.executable, "-m", "http.server", "--bind", "$(POD_IP)"]


def free_ports(count):
    """Ports that are free on all addresses, below those that the system gives to whoever connects."""
    found = []
    for port in random.sample(range(28000, 32700), 1000):
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("", port))
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no free ports")


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def wait_until(what, holds):
    """Nothing here gives notice: asks again and again, within a generous limit."""
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end, f"not within {LIMIT_S} s: {what}"
        threading.Event().wait(0.02)


class Pair:
    def __init__(self, folder):
        self.folder = folder
        self.port, self.ha, self.client, self.peer = free_ports(4)
        self.processes = []
        self.kubernetes = Kubernetes(folder)
        self.deployment = self.render()

    def start(self, name, command, **variables):
        log = (self.folder / f"{name}.log").open("w")
        plain = {key: value for key, value in os.environ.items() if not key.startswith(("COORDHA_", "HA_", "ETCD_"))}
        # Nothing is left behind where this one is killed.
        tied = ["setpriv", "--pdeathsig", "KILL", "--", *command]
        process = subprocess.Popen(
            tied, env={**plain, **variables}, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
        )
        self.processes.append(process)
        return process

    def start_etcd(self):
        client, peer = f"http://127.0.0.1:{self.client}", f"http://127.0.0.1:{self.peer}"
        self.etcd = self.start(
            "etcd",
            [ETCD, "--data-dir", "etcd", "--listen-client-urls", client, "--advertise-client-urls", client]
            + [
                "--listen-peer-urls",
                peer,
                "--initial-advertise-peer-urls",
                peer,
                "--initial-cluster",
                f"default={peer}",
                "--unsafe-no-fsync",
            ],
        )
        wait_until("etcd is healthy", lambda: get(f"{client}/health") == 200)

    def render(self):
        values = {
            "image": {"repository": "example/coordinator", "tag": "1.0"},
            "coordha": {"port": self.ha},
            "etcd": {"endpoints": [f"127.0.0.1:{self.client}"]},
            "rootCoordinator": {"port": self.port, "command": [*PROGRAM, str(self.port)]},
        }
        file = self.folder / "values.yaml"
        file.write_text(yaml.safe_dump(values))
        command = [
            HELM,
            "template",
            "x",
            facts.CHART,
            "--namespace",
            "prod",
            "--kube-version",
            "1.37",
            "--values",
            file,
        ]
        manifests = yaml.safe_load_all(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return next(one for one in manifests if one["kind"] == "Deployment")

    def start_container(self, pod, name, suffix=""):
        """Does what the kubelet does with a container's arguments and variables; a pod is an address of loopback."""
        one = facts.container(self.deployment, name)
        ip = PODS[pod]
        # A pod has all of its addresses for itself; here each has one.
        words = [word.replace("$(POD_IP)", ip).replace("0.0.0.0", ip) for word in one["args"]]
        words = [word.replace("/scripts/", f"{facts.CHART}/scripts/") for word in words]
        program = facts.CHART / "scripts/follow.sh" if name == "label" else COORDHA
        variables = {name: value.replace("$(POD_IP)", ip) for name, value in facts.env(one).items()}
        own = {"POD_IP": ip, "POD_NAME": pod, "POD_NAMESPACE": "prod", "LABEL_PAUSE": "0", "FOLLOW_PAUSE": "0"}
        own["PATH"] = f"{self.folder}/bin:{os.environ['PATH']}"
        server = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.kubernetes.port)}
        account = {"SERVICE_ACCOUNT": str(self.kubernetes.account)}
        return self.start(f"{pod}-{name}{suffix}", [program, *words], **variables, **own, **server, **account)

    def ask(self, pod, path):
        return get(f"http://{PODS[pod]}:{self.ha}{path}")

    def leads(self, pod):
        """It is ready, its program serves, and it alone has the label."""
        other = next(one for one in PODS if one != pod)
        return (
            self.ask(pod, "/readyz") == 200
            and get(f"http://{PODS[pod]}:{self.port}/") == 200
            and get(f"http://{PODS[other]}:{self.port}/") is None
            and list(active(self.kubernetes)) == [pod]
        )

    def play(self):
        (self.folder / "bin").mkdir()
        (self.folder / "bin/coordha").symlink_to(COORDHA)
        labels = self.deployment["spec"]["template"]["metadata"]["labels"]
        for pod, ip in PODS.items():
            self.kubernetes.add(pod, ip, **{key: value for key, value in labels.items() if key != "coordha.dev/role"})
        # They are there before etcd is, and go on.
        watchers = [self.start_container(pod, "label") for pod in PODS]
        for pod in PODS:
            log = self.folder / f"{pod}-label.log"
            wait_until("etcd is missed", lambda log=log: log.read_text().count("Connection refused") > 1)
        self.start_etcd()
        first = self.start_container("a", "coordinator")
        wait_until("a is healthy", lambda: self.ask("a", "/healthz") == 200)
        wait_until("a leads", lambda: self.leads("a"))
        second = self.start_container("b", "coordinator")
        wait_until("b stands by, and is ready to Kubernetes", lambda: self.ask("b", "/healthz") == 200)
        assert self.ask("b", "/readyz") == 503 and self.leads("a")
        assert self.ask("b", "/role") == 200 and self.ask("b", "/metrics") == 200

        first.kill()
        wait_until("b leads after a kill -9", lambda: self.leads("b"))
        terms = [active(self.kubernetes)["b"][1]]
        again = self.start_container("a", "coordinator", "-again")
        wait_until("a stands by", lambda: self.ask("a", "/healthz") == 200)
        assert self.leads("b")

        second.send_signal(signal.SIGTERM)
        assert second.wait(LIMIT_S) == 0, f"an orderly stop ends with {second.returncode}"
        wait_until("a leads after an orderly stop", lambda: self.leads("a"))
        terms.append(active(self.kubernetes)["a"][1])
        assert int(terms[0]) < int(terms[1]), terms
        again.send_signal(signal.SIGTERM)
        assert again.wait(LIMIT_S) == 0
        wait_until("its program is gone", lambda: get(f"http://{PODS['a']}:{self.port}/") is None)

        self.lose_all()
        self.start_container("b", "coordinator", "-restored")
        wait_until("b leads after a restore of etcd", lambda: self.leads("b"))
        assert int(active(self.kubernetes)["b"][1]) < int(terms[-1]), "its token is not smaller"
        assert all(watcher.poll() is None for watcher in watchers), "one has taken its pod out of the Service"

    def lose_all(self):
        """etcd is empty, as one that was restored from an old backup: its revisions, and so the tokens, are smaller."""
        self.etcd.kill()
        self.etcd.wait(LIMIT_S)
        shutil.rmtree(self.folder / "etcd")
        self.start_etcd()

    def close(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
        self.kubernetes.close()


def main():
    with tempfile.TemporaryDirectory() as folder:
        pair = Pair(pathlib.Path(folder))
        try:
            pair.play()
        except AssertionError:
            for log in sorted(pathlib.Path(folder).glob("*.log")):
                print(f"== {log.name}\n{log.read_text()[-3000:]}", file=sys.stderr)
            raise
        finally:
            pair.close()


if __name__ == "__main__":
    main()
