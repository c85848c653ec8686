"""What the pages show is run as it stands there, on a store of the test's own."""

from __future__ import annotations

import re
import textwrap

import pytest

import coordha
import support

_PAGE = (support.ROOT / "docs/python.md").read_text()
_README = (support.ROOT / "bindings/python/README.md").read_text()

# What a page takes from its reader; and SIGTERM as soon as the session is active.
_READER = """
import asyncio
def load(*_): pass
drain = leave = load
def show(session, event):
    print(event.kind.name)
def ends():
    while not ("session" in globals() and session.is_active):
        time.sleep(0.002)
    print("active")
    os.kill(os.getpid(), signal.SIGTERM)
"""
_ENDS = "threading.Thread(target=ends, daemon=True).start()\n"
_LOOP = """
loop = None
async def nothing(*_): pass
load = drain = nothing
async def main():
    global loop, session
    loop = asyncio.get_running_loop()
    {code}
asyncio.run(main())
"""
_TERM = """
with coordha.Session(**keys()) as session:
    for term in session.terms():
        with term:
            term.ready()
            seen = 0
            {code}
            print(done.revision > 0)
            session.request_stop()
"""
_CONFIG = """
import pathlib, tempfile
folder = tempfile.TemporaryDirectory()
os.chdir(folder.name)
pathlib.Path("coordha.yaml").write_text("coordha: {lease.ttl_ms: 20000}")
os.environ["COORDHA_ROOT"] = root
{code}
print(config.get("lease.ttl_ms"))
session.close()
folder.cleanup()
"""
_OBSERVED = """
def observed():
    with coordha.Session(**keys(role="rootcoord", activation_auto=True)) as session:
        session.wait(coordha.Until.ACTIVE, 30)
        stop.wait(30)
stop = threading.Event()
real = print
def print(holder):
    if holder:
        real(holder.address)
        stop.set()
    elif stop.is_set():
        observer.request_stop()
threading.Thread(target=observed).start()
{code}
"""
_CALLBACKS = """
{code}
session.wait(coordha.Until.ACTIVE, 30)
session.stop(30)
"""
_SHOWN = ["REGISTERED", "STANDBY", "ACTIVE", "TERM_ENDED", "ENDED"]
_SNIPPETS = {
    "a session": (_PAGE, 0, _ENDS + "{code}", ["active"]),
    "a session in a loop": (_PAGE, 1, _ENDS + _LOOP, ["active"]),
    "callbacks": (_PAGE, 2, _CALLBACKS, _SHOWN),
    "a transaction": (_PAGE, 3, _TERM, ["True"]),
    "a configuration": (_PAGE, 4, _CONFIG, ["lease.ttl_ms = 20000 # file, coordha.yaml:1", "20000"]),
    "an observer": (_PAGE, 5, _OBSERVED, ["127.0.0.1:7000"]),
    "the package's page": (_README, 0, _ENDS + "{code}", ["active"]),
    "the package's words": (coordha.__doc__ or "", 0, _ENDS + "{code}", ["active"]),
    "the words on asyncio": (coordha.aio.__doc__ or "", 0, _ENDS + _LOOP, ["active"]),
}


def _code(page: str) -> list[str]:
    """The code that a page shows, or the words on a module."""
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL) or [
        textwrap.dedent(block) for block in re.findall(r"::\n\n((?:    .*\n|\n)+)", page)
    ]


@pytest.mark.parametrize("name", _SNIPPETS)
def what_is_shown_runs(local: support.Store, name: str) -> None:
    page, number, around, lines = _SNIPPETS[name]
    code = _code(page)[number].replace('store_url="etcd://etcd-0:2379"', "")
    code = code.replace('role="rootcoord"', 'role="rootcoord", store_url=store, root=root')
    before, _, after = around.partition("{code}")
    indent = before[before.rfind("\n") + 1 :]
    found = local.prints(_READER + before + textwrap.indent(code, indent).lstrip() + after)
    # Of a configuration that is shown, one line is enough.
    found = [" ".join(line.split()) for line in found if line and not re.match(r"(?!lease\.ttl_ms )\S+ = .*# ", line)]
    assert [line for line in found if line not in [kind.name for kind in support.NOISE]] == lines


def everything_that_is_shown_is_run() -> None:
    shown = {page: len(_code(page)) for page, *_ in _SNIPPETS.values()}
    run = {page: sum(page == other for other, *_ in _SNIPPETS.values()) for page in shown}
    assert shown == run
