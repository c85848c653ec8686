"""The stores that tests run on: a directory, and an etcd that is started here and always ended."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import support

_numbers = itertools.count()


def _tool(name: str) -> str:
    built = support.ROOT / ".etcd/3.6/bin" / name
    found = str(built) if built.exists() else shutil.which(name)
    assert found is not None, f"no {name}: make etcd"
    return found


def _start(folder: Path, client: int, peer: int) -> subprocess.Popen[bytes]:
    urls = {
        "--listen-client-urls": f"http://127.0.0.1:{client}",
        "--advertise-client-urls": f"http://127.0.0.1:{client}",
        "--listen-peer-urls": f"http://127.0.0.1:{peer}",
        "--initial-advertise-peer-urls": f"http://127.0.0.1:{peer}",
        "--initial-cluster": f"default=http://127.0.0.1:{peer}",
        "--data-dir": str(folder / f"etcd-{client}"),
    }
    flags = [word for flag in urls.items() for word in flag]
    with open(folder / f"etcd-{client}.log", "wb") as log:
        command = ["setpriv", "--pdeathsig", "KILL", _tool("etcd"), "--unsafe-no-fsync", *flags]
        return subprocess.Popen(command, stdout=log, stderr=log)


def _is_healthy(process: subprocess.Popen[bytes], port: int) -> bool:
    command = [_tool("etcdctl"), "--endpoints", f"http://127.0.0.1:{port}", "endpoint", "health"]
    environment = {"ETCDCTL_API": "3"}
    return subprocess.run(command, capture_output=True, env=environment).returncode == 0 or process.poll() is not None


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A real etcd of this run's own: its URL and its process."""
    folder = tmp_path_factory.mktemp("etcd")
    while True:
        port = support.free_port()
        process = _start(folder, port, support.free_port())
        try:
            support.wait_until(lambda: _is_healthy(process, port), "etcd is healthy")
            if process.poll() is None:
                yield f"etcd://127.0.0.1:{port}", process.pid
                return
            # Somebody took a port before it did.
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def local(tmp_path: Path) -> support.Store:
    """A store in a directory."""
    return support.Store(f"local:{tmp_path}/store", "tests")


@pytest.fixture
def etcd(server: tuple[str, int]) -> support.Store:
    """A root of the test's own in the etcd."""
    url, process = server
    found = support.Store(url, f"tests/{next(_numbers)}", process, _tool("etcdctl"))
    # What tests themselves write.
    found.delete(b"app/", "--prefix")
    return found


@pytest.fixture(params=["local", "etcd"])
def store(request: pytest.FixtureRequest) -> support.Store:
    """Each kind of store."""
    found: support.Store = request.getfixturevalue(request.param)
    return found
