"""Import, exit, signals, forks: what a process may do around its sessions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

import coordha
import support
from coordha import Until

_ACTIVE = """
session = coordha.Session(**keys(activation_auto=True))
session.wait(coordha.Until.ACTIVE, 30)
"""


def _is_free(store: support.Store) -> None:
    """The role was released: somebody else has it long before the hold time is over."""
    keys = store.keys(address="127.0.0.1:7009", activation_auto=True, election_same_host_proof=False)
    with coordha.Session(**keys) as session:
        session.wait(Until.REGISTERED, support.LIMIT)
        assert session.holder is None or session.holder.address == "127.0.0.1:7009"
        session.wait(Until.ACTIVE, support.LIMIT)


def importing_starts_nothing_and_loads_little() -> None:
    code = """
import sys, os
before = set(sys.modules)
import coordha
loaded = set(sys.modules) - before
print(len(os.listdir("/proc/self/task")), sorted(loaded & {"asyncio", "logging", "socket", "typing"}))
print(len([fd for fd in os.listdir("/proc/self/fd")]))
coordha.aio.Session
"""
    command = [sys.executable, "-I", "-X", "dev", "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=support.LIMIT)
    assert (done.stderr, done.stdout.splitlines()[0]) == ("", "1 []")


def a_process_that_ends_without_closing_releases_its_role(store: support.Store) -> None:
    assert store.prints(_ACTIVE + "print(session.is_active)") == ["True"]
    _is_free(store)


@pytest.mark.parametrize(
    ("end", "status", "last"),
    [("sys.exit(7)", 7, ""), ("raise ValueError('no more')", 1, "ValueError: no more"), ("sys.exit('why')", 1, "why")],
)
def a_process_that_ends_by_an_exception_releases_its_role(
    store: support.Store, end: str, status: int, last: str
) -> None:
    found, _, err = store.run(_ACTIVE + end)
    assert found == status and err.rstrip().split("\n")[-1] == last
    _is_free(store)


def a_process_that_ends_at_once_is_followed_when_its_hold_is_over(store: support.Store) -> None:
    keys = "activation_auto=True, lease_ttl_ms=2000, election_hold_ms=500"
    code = f"session = coordha.Session(**keys({keys}))\nsession.wait(coordha.Until.ACTIVE, 30)\nos._exit(7)"
    status, _, err = store.run(code)
    assert (status, err) == (7, "")
    with coordha.Session(**store.keys(address="127.0.0.1:7009", activation_auto=True)) as session:
        session.wait(Until.ACTIVE, support.LIMIT)


@pytest.mark.parametrize("place", ["on_activate", "on_deactivate"])
@pytest.mark.parametrize("hang", ["while True: time.sleep(0.0005)", "while True: pass", "threading.Event().wait()"])
def a_callback_that_hangs_does_not_disturb_the_exit(local: support.Store, place: str, hang: str) -> None:
    code = f"""
called = threading.Event()
def hangs(session, event):
    called.set()
    {hang}
callbacks = dict(on_activate=lambda *_: None)
callbacks["{place}"] = hangs
# Long enough for a busy machine to begin the callback.
session = coordha.Session(**keys(**callbacks, deactivation_timeout_ms=1000, release_timeout_ms=100))
if "{place}" == "on_activate":
    called.wait(30)
else:
    session.wait(coordha.Until.ACTIVE, 30)
sys.exit(7)
"""
    status, out, err = local.run(code)
    assert (status, out) == (7, ""), err
    # One that runs is ended, and where it stood is told; one that waits outside of Python is left.
    assert err.count("Traceback") == err.count("InterpreterEndsError") == (0 if "Event" in hang else 1), err


def ctrl_c_ends_the_wait_of_the_exit_for_a_callback(local: support.Store) -> None:
    code = """
def hangs(session, event):
    os.kill(os.getpid(), signal.SIGINT)
    while True:
        time.sleep(0.0005)
session = coordha.Session(**keys(on_activate=lambda *_: None, on_deactivate=hangs, deactivation_timeout_ms=60000))
session.wait(coordha.Until.ACTIVE, 30)
"""
    status, out, err = local.run(code)
    assert (status, out) == (0, ""), err
    assert "KeyboardInterrupt" in err and err.count("InterpreterEndsError") == 1, err


@pytest.mark.parametrize("kind", ["Session", "Observer"])
def what_nobody_closed_says_so_when_it_is_dropped(local: support.Store, kind: str) -> None:
    code = f"""
import asyncio, warnings
warnings.simplefilter("always")
def dropped(kind, more):
    with warnings.catch_warnings(record=True) as seen:
        thing = kind(**more)
        del thing
    print([f"{{warning.category.__name__}}: {{warning.message}}" for warning in seen])
more = keys() if "{kind}" == "Session" else dict(role="queue", store_url=store, root=root)
dropped(coordha.{kind}, {{**more, "role": "dropped"}})
with coordha.{kind}(**more) as closed:
    pass
del closed
try:
    coordha.{kind}(rule="queue")
except TypeError:
    pass
left_for_the_exit = coordha.{kind}(**more)
with warnings.catch_warnings(record=True) as seen:
    async def main():
        coordha.aio.{kind}(**{{**more, "role": "index"}})
    asyncio.run(main())
    import gc
    gc.collect()
print([str(warning.message) for warning in seen])
"""
    module = {"Session": "coordha._session", "Observer": "coordha._observer"}[kind]
    assert local.prints(code) == [
        str([f"ResourceWarning: unclosed {module}.{kind} of the role 'dropped'"]),
        str([f"unclosed coordha.aio.{kind} of the role 'index'"]),
    ]


def no_lock_is_held_while_an_exception_is_made(local: support.Store) -> None:
    # What runs meanwhile, as a signal handler or a finalizer may, uses the same object.
    code = (
        _ACTIVE
        + """
config = coordha.Config()
txn = session.txn(session.fencing_token)
txn.commit()
observer = coordha.Observer(role="queue", store_url=store, root=root)
observer.close()
calls = [
    (lambda: config.set("no.such", "1"), lambda: config.get("priority")),
    (lambda: config.set_default("priority", "x"), lambda: repr(config)),
    (lambda: config.load_yaml("/no/such"), lambda: config.get("priority")),
    (lambda: config.check(), lambda: coordha.Observer(config, store_url=store, role="index").close()),
    (lambda: txn.put("app/x", "x"), lambda: txn.token),
    (lambda: txn.put("app/x", "x"), lambda: again(txn.commit)),
    (lambda: txn.commit(), lambda: again(lambda: txn.get("app/x"))),
    (lambda: observer.current(), lambda: observer.closed),
    (lambda: session._start(None, {}, None), lambda: session.is_active),
]
def again(call):
    try:
        call()
    except coordha.Error:
        pass
for call, other in calls:
    made = []
    def trace(frame, event, argument):
        if event == "call" and frame.f_code.co_name == "make_error" and not made:
            made.append(other)
            other()
    sys.setprofile(trace)
    try:
        call()
    except coordha.Error:
        pass
    finally:
        sys.setprofile(None)
    assert made == [other]
"""
    )
    assert local.prints(code) == []


def callbacks_are_called_to_leave_when_the_interpreter_ends(local: support.Store) -> None:
    code = """
def leave(session, event):
    session.txn(event.token).put("app/last", "word").commit()
    print("left", event.held, flush=True)
session = coordha.Session(**keys(on_activate=lambda *_: None, on_deactivate=leave))
session.wait(coordha.Until.ACTIVE, 30)
"""
    assert local.prints(code) == ["left True"]


def daemon_threads_that_wait_do_not_disturb_the_exit(store: support.Store) -> None:
    code = """
def read():
    try:
        for event in session.events():
            if event.kind == coordha.EventKind.ACTIVATE:
                active.set()
    except coordha.ClosedError:
        pass
session, active = coordha.Session(**keys()), threading.Event()
for work in (read, session.wait, lambda: session.wait(coordha.Until.TERM_ENDING)):
    def quiet(work=work):
        try:
            work()
        except coordha.Error:
            pass
    threading.Thread(target=quiet, daemon=True).start()
active.wait(30)
"""
    for _ in range(5):
        assert store.prints(code) == []


def a_loop_that_is_left_behind_does_not_disturb_the_exit(local: support.Store) -> None:
    code = """
import asyncio
async def main():
    global session
    session = coordha.aio.Session(**keys(activation_auto=True))
    await session.wait(coordha.Until.ACTIVE, 30)
asyncio.run(main())
print(session.is_active)
"""
    assert local.prints(code) == ["True"]
    _is_free(local)


def a_signal_handler_may_ask_to_stop(store: support.Store) -> None:
    code = """
with coordha.Session(**keys()) as session:
    signal.signal(signal.SIGTERM, lambda *_: session.request_stop())
    for term in session.terms():
        with term:
            term.ready()
            os.kill(os.getpid(), signal.SIGTERM)
            print(term.ending(), term.held, term.reason.name)
"""
    assert store.prints(code) == ["True True STOP"]


def a_child_of_fork_has_no_session_and_does_its_parent_no_harm(store: support.Store) -> None:
    code = (
        _ACTIVE
        + """
token = session.fencing_token
txn = session.txn(token)
child = os.fork()
if child == 0:
    assert not session.is_active and not session.holds(token) and session.fencing_token == 0
    calls = [session.wait, session.stop, session.resign, session.close, session.next_event, session.request_stop,
             lambda: session.holder, lambda: session.txn(token), txn.put("app/x", "x").commit,
             lambda: coordha.Session(**keys(role="other"))]
    for call in calls:
        try:
            call()
            os._exit(2)
        except coordha.ForkedError:
            pass
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
print(session.is_active, session.fencing_token == token)
session.txn(token).put("app/x", "x").commit()
"""
    )
    # Forking while threads run is what is tested here; Python 3.12 and newer warn of it.
    assert store.prints("import warnings; warnings.simplefilter('ignore', DeprecationWarning)" + code) == ["True True"]


_POOL = """
import multiprocessing, warnings
warnings.simplefilter("ignore", DeprecationWarning)
def work(arguments):
    store, root = arguments
    more = {"role": f"role{os.getpid()}", "activation_auto": True}
    try:
        with coordha.Session(address="127.0.0.1:7003", store_url=store, root=root, **more) as session:
            session.wait(coordha.Until.ACTIVE, 30)
            return session.is_active
    except coordha.ForkedError as error:
        return error.name
def main(method, has_session):
    global session
    # The parent's session lives on, whatever its children do.
    keys = dict(role="parent", address="127.0.0.1:7003", store_url=store, root=root, activation_auto=True)
    if has_session:
        session = coordha.Session(**keys)
        session.wait(coordha.Until.ACTIVE, 30)
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.map(work, [(store, root)] * 4, chunksize=1)
    if has_session:
        session.txn(session.fencing_token).put("app/x", "x").commit()
    return found
"""


@pytest.mark.parametrize("has_session", [False, True])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def children_of_multiprocessing_have_sessions_of_their_own(
    local: support.Store, method: str, has_session: bool, tmp_path: os.PathLike[str]
) -> None:
    # A module of its own: the children of spawn must find it.
    module = os.path.join(tmp_path, "pooled.py")
    with open(module, "w") as file:
        file.write("import os, sys, coordha\nstore, root = sys.argv[1:3]\n" + _POOL)
        file.write(f"if __name__ == '__main__':\n    print(main('{method}', {has_session}))\n")
    command = [sys.executable, "-X", "dev", "-W", "error", module, local.url, local.root]
    done = subprocess.run(command, capture_output=True, text=True, timeout=support.LIMIT)
    # Threads of a parent that has a session are not there in what it forks.
    found = "FORKED" if method == "fork" and has_session else True
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{[found] * 4}\n", "")


def a_child_logs_of_its_own_session(local: support.Store) -> None:
    code = """
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
coordha.Session(**keys()).close()
sys.stdout.flush()
child = os.fork()
if child == 0:
    coordha.Session(**keys(role="index", store_url=store + "2")).close()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    lines = local.prints("import warnings; warnings.simplefilter('ignore', DeprecationWarning)" + code)
    assert [line for line in lines if "index has ended" in line]


def a_crash_elsewhere_is_told_with_our_threads_by_faulthandler(local: support.Store) -> None:
    code = (
        _ACTIVE
        + """
import ctypes
thread = threading.Thread(target=session.wait, daemon=True)
thread.start()
ctypes.string_at(0)
"""
    )
    status, _, err = local.run(code)
    assert status == -signal.SIGSEGV and "Fatal Python error: Segmentation fault" in err and "string_at" in err
