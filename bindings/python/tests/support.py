"""What the tests share: stores, children, and the one way to wait for what tells of itself by no event."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable

import coordha

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "bindings/python/python/coordha"
LIMIT = 60.0
"""Seconds after which a test has failed; no test needs a tenth of it."""
NOISE = (
    coordha.EventKind.HOLDER,
    coordha.EventKind.BLOCKED,
    coordha.EventKind.DEGRADED,
    coordha.EventKind.RECOVERED,
    coordha.EventKind.JEOPARDY,
    coordha.EventKind.SAFE,
)
"""Events that come or not, as the machine is slow or quick."""
_SLOW_STORE = re.compile(
    r"^(serverName: \w+ (has trouble with the store|could not renew, still ACTIVE)|the observer has trouble).*\n", re.M
)
"""Warnings of the same kind."""

_ports = itertools.count(os.getpid() * 31)

_PREFIX = """
import logging, os, signal, sys, threading, time
import coordha, coordha.aio
store, root = sys.argv[1:3]
def keys(**more):
    usual = dict(role="queue", address="127.0.0.1:7000", store_url=store, root=root, active_standby=True)
    return {**usual, "release_timeout_ms": 20_000, **more}
"""


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """Asks again and again until `condition` gives something that is true, and gives that."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{what}: not within {LIMIT} s")


def free_port() -> int:
    """A port on loopback that nobody listens at, below those that the kernel gives to outgoing connections."""
    while True:
        port = 12000 + next(_ports) % 20000
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Store:
    """A store and a root of a test's own."""

    def __init__(self, url: str, root: str, server: int = 0, etcdctl: str | None = None) -> None:
        self.url, self.root, self.server, self._etcdctl = url, root, server, etcdctl

    def keys(self, **more: Any) -> dict[str, Any]:
        """Keyword arguments of a session of the role `queue`."""
        keys = {"role": "queue", "address": "127.0.0.1:7000", "store_url": self.url, "root": self.root}
        limits = {"activation_backoff_ms": 0, "release_timeout_ms": 20_000}
        return {**keys, **limits, "active_standby": True, **more}

    def delete(self, key: bytes, *flags: str) -> None:
        """Deletes a key behind the library's back."""
        assert self._etcdctl is not None
        endpoint = self.url.replace("etcd://", "http://")
        command = [self._etcdctl, "--endpoints", endpoint, "del", key.decode(), *flags]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "ETCDCTL_API": "3"})

    def child(self, code: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """A Python process that runs `code`, killed where it outlives this one; it has `keys()`, and all warnings on."""
        command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-X", "dev", "-W", "error", "-c", _PREFIX + code]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(
            [*command, self.url, self.root, *arguments], **{**pipes, "start_new_session": True, **options}
        )

    def run(self, code: str, *arguments: str) -> tuple[int, str, str]:
        """Runs `code` in a process of its own to its end: exit code, stdout, stderr without warnings of a slow store."""
        with self.child(code, *arguments) as process:
            try:
                out, err = process.communicate(timeout=LIMIT)
            except subprocess.TimeoutExpired:
                # Its faulthandler tells where it hangs.
                os.killpg(process.pid, signal.SIGABRT)
                out, err = process.communicate()
        return process.returncode, out, _SLOW_STORE.sub("", err)

    def prints(self, code: str, *arguments: str) -> list[str]:
        """The lines that `code` prints; it must end in order and say nothing on stderr."""
        status, out, err = self.run(code, *arguments)
        assert (status, err) == (0, ""), f"{status}\n{out}\n{err}"
        return out.split("\n")[:-1]


def fail_at_first(event: coordha.Event, reasons: Sequence[object]) -> None:
    """As `on_event` it raises in the first term, before there are any `reasons` why one has ended."""
    if event.kind == coordha.EventKind.ACTIVE and not reasons:
        raise ValueError("no room")


def header(prefix: str) -> dict[str, int]:
    """The numbers of the C header whose names begin with `prefix`, by what follows it."""
    text = (ROOT / "include/coordha.h").read_text()
    return {name: int(number) for name, number in re.findall(rf"#define {prefix}(\w+) (\d+)\n", text)}
