"""The example: two coordinators in one election, the active one is killed, and no ID comes twice."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import ExitStack

import support

_PROGRAM = support.ROOT / "examples/python/coordinator.py"


def _start(children: ExitStack, store: support.Store, port: int) -> subprocess.Popen[str]:
    keys = [f"store.url={store.url}", f"root={store.root}", "role=ids", f"address=127.0.0.1:{port}"]
    command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-X", "dev", str(_PROGRAM), *keys]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    children.enter_context(process)
    # Else the end of a test that has failed would wait for it without a limit.
    children.callback(process.kill)
    return process


def _get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=support.LIMIT) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()
    except OSError:
        return 0, ""


def ids_are_unique_through_a_kill_and_an_orderly_stop(store: support.Store) -> None:
    ports = [support.free_port(), support.free_port()]
    ids: list[int] = []

    def take(port: int) -> None:
        status, body = support.wait_until(lambda: (_get(port, "/next")[0] == 200) and _get(port, "/next"), "an ID")
        assert status == 200
        ids.append(int(body))

    with ExitStack() as children:
        first = _start(children, store, ports[0])
        take(ports[0])
        second = _start(children, store, ports[1])
        holder = f"127.0.0.1:{ports[0]}\n"
        support.wait_until(lambda: _get(ports[1], "/next") == (503, holder), "the standby names the active one")
        assert "active=false token=0" in _get(ports[1], "/status")[1]
        for _ in range(20):
            take(ports[0])
        first.kill()
        for _ in range(20):
            take(ports[1])
        assert "active=true" in _get(ports[1], "/status")[1]
        second.terminate()
        out, _ = second.communicate(timeout=support.LIMIT)
        assert second.returncode == 0
        kinds = [line.split(" kind=")[1].split(" ")[0] for line in out.splitlines()]
        assert kinds[:1] == ["REGISTERED"] and kinds[-1] == "ENDED"
        assert {"STANDBY", "ACTIVATE", "ACTIVE", "DEACTIVATE", "TERM_ENDED"} <= set(kinds)
    assert len(set(ids)) == len(ids) and ids == sorted(ids)


def wrong_keys_and_values_end_it_with_words(local: support.Store) -> None:
    for arguments, words in (
        (["rule=x"], "rule"),
        (["role=Queue", "address=127.0.0.1:1"], "role"),
        (["--help"], "--help"),
    ):
        command = [sys.executable, str(_PROGRAM), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=support.LIMIT)
        assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr
