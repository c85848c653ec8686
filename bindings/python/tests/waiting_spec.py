"""Whatever waits lets other threads run meanwhile, and ends with Ctrl-C."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import support

# `watched(act)` makes another thread act as soon as the main one waits: in the package, or in the event loop's selector.
_WATCHED = """
import asyncio, pathlib
server = int(sys.argv[3])
package = os.path.dirname(coordha.__file__)
def watched(act):
    main = threading.main_thread().ident
    def watch():
        seen = 0
        while seen < 3:
            time.sleep(0.002)
            file = sys._current_frames()[main].f_code.co_filename
            seen = seen + 1 if file.startswith(package) or file.endswith("selectors.py") else 0
        act()
    threading.Thread(target=watch, daemon=True).start()
def activate():
    for event in session.events():
        if event.kind == coordha.EventKind.ACTIVATE:
            session.activation_done(event.token)
            return event.token
def stop_server():
    os.kill(server, signal.SIGSTOP)
    states = ""
    while set(states) != {"T"}:
        threads = pathlib.Path(f"/proc/{server}/task").iterdir()
        states = [thread.joinpath("stat").read_text().rsplit(") ", 1)[1][0] for thread in threads]
"""


@dataclass
class _Waits:
    """A call that waits."""

    keys: str
    """Keyword arguments of the session."""
    before: str
    """What comes before."""
    call: str
    until: str
    """What ends it in order; said by another thread, which so must be able to run."""
    is_async: bool = False


_PAUSED = "election_paused=True, activation_auto=True"
_CALLS = {
    "wait": _Waits(_PAUSED, "", "session.wait(coordha.Until.ACTIVE)", "session.resume()"),
    "wait with a limit": _Waits(_PAUSED, "", "session.wait(coordha.Until.ACTIVE, 60)", "session.resume()"),
    "next event": _Waits(
        _PAUSED,
        "",
        "while session.next_event().kind != coordha.EventKind.ACTIVE: pass",
        "session.resume()",
    ),
    "next event with a limit": _Waits(
        _PAUSED,
        "",
        "while session.next_event(60).kind != coordha.EventKind.ACTIVE: pass",
        "session.resume()",
    ),
    "events": _Waits(_PAUSED, "", "list(session.events())", "session.request_stop()"),
    "terms": _Waits("election_paused=True", "", "next(session.terms())", "session.resume()"),
    "the end of a term": _Waits("", "term = next(session.terms())", "term.ending()", "session.request_stop()"),
    "stop": _Waits("", "token = activate()", "session.stop()", "session.deactivation_done(token)"),
    "close": _Waits(
        "on_activate=lambda *_: None, on_deactivate=lambda *_: go_on.wait(60) and None",
        "session.wait(coordha.Until.ACTIVE, 30)",
        "session.close()",
        "go_on.set()",
    ),
    "an observer's next event": _Waits(
        _PAUSED,
        "observer = coordha.Observer(**observed)\n    observer.next_event()",
        "observer.next_event(); observer.close()",
        "session.resume()",
    ),
    "commit": _Waits(
        "activation_auto=True, lease_ttl_ms=60000",
        "session.wait(coordha.Until.ACTIVE, 30)\n    stop_server()",
        'session.txn(session.fencing_token).put("app/x", "x").commit()',
        "os.kill(server, signal.SIGCONT)",
    ),
    "await event": _Waits(_PAUSED, "", "[event async for event in session.events()]", "session.request_stop()", True),
    "await wait": _Waits(_PAUSED, "", "await session.wait(coordha.Until.ACTIVE)", "session.resume()", True),
    "await stop": _Waits(
        "",
        "term = await session.terms().__anext__()\n    term.ready()",
        "await session.stop()",
        "session.deactivation_done(term.token)",
        True,
    ),
    "await commit": _Waits(
        "activation_auto=True, lease_ttl_ms=60000",
        "await session.wait(coordha.Until.ACTIVE)\n    stop_server()",
        'await session.txn(session.fencing_token).put("app/x", "x").commit()',
        "os.kill(server, signal.SIGCONT)",
        True,
    ),
}


def _program(waits: _Waits, act: str) -> str:
    """A session that waits, until `act` is done by another thread."""
    kind, word = ("coordha.aio.Session", "async ") if waits.is_async else ("coordha.Session", "")
    return f"""{_WATCHED}
go_on = threading.Event()
observed = dict(role="queue", store_url=store, root=root)
{word}def main():
  global session
  {word}with {kind}(**keys({waits.keys})) as session:
    {waits.before}
    watched(lambda: {act})
    try:
        {waits.call}
    finally:
        if server:
            os.kill(server, signal.SIGCONT)
{"asyncio.run(main())" if waits.is_async else "main()"}
"""


@pytest.fixture(params=_CALLS)
def waits(request: pytest.FixtureRequest) -> _Waits:
    found: _Waits = _CALLS[request.param]
    return found


@pytest.fixture
def place(request: pytest.FixtureRequest, waits: _Waits) -> Iterator[support.Store]:
    """A store to wait on: one that can be stopped, where an answer of the store is what is waited for."""
    found: support.Store = request.getfixturevalue("etcd" if "SIGCONT" in waits.until else "local")
    yield found
    if found.server:
        os.kill(found.server, signal.SIGCONT)


def other_threads_run_and_end_the_call(place: support.Store, waits: _Waits) -> None:
    # They must get the chance by the call itself: a running thread is never made to give way.
    code = _program(waits, waits.until).replace("    try:", "    sys.setswitchinterval(1000)\n    try:")
    assert place.prints(code, str(place.server)) == []


def ctrl_c_ends_the_call(place: support.Store, waits: _Waits) -> None:
    code = _program(waits, "os.kill(os.getpid(), signal.SIGINT)")
    status, out, err = place.run(code, str(place.server))
    assert (status, out) == (-signal.SIGINT, "") and err.rstrip().endswith("KeyboardInterrupt"), err
