"""The program of `make bench-bindings` for Python. What it is told and what it says stands at the head of
benches/bindings/main.rs."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from typing import Callable

import coordha
from coordha import aio

CALLS = 20_000
LIMIT = 60.0

store, name = sys.argv[1:3]
sessions: list[coordha.Session] = []


def say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


def start(count: int) -> None:
    first = len(sessions)
    for number in range(first, count):
        sessions.append(
            coordha.Session(
                store_url=store,
                role=f"{name}_{number}",
                address=f"127.0.0.1:{number + 1}",
                active_standby=True,
                on_activate=lambda _, __: None,
                on_deactivate=lambda _, __: None,
            )
        )
    for session in sessions[first:]:
        session.wait(coordha.Until.ACTIVE, LIMIT)
    say(sessions=len(sessions))


def loop_of(question: str) -> Callable[[range, coordha.Session, int, frozenset[int]], None]:
    """A function that asks again and again: the question as a program writes it, with its names at hand."""
    scope: dict[str, Callable[[range, coordha.Session, int, frozenset[int]], None]] = {}
    exec(f"def ask(loop, session, token, nothing):\n    for _ in loop:\n        {question}", scope)
    return scope["ask"]


LOOPS = {
    "loop": loop_of("pass"),
    "is_active": loop_of("session.is_active"),
    "beside": loop_of("token.real"),
    "holds": loop_of("session.holds(token)"),
    "beside_holds": loop_of("nothing.__contains__(token)"),
}


def calls() -> None:
    """Beside each a property and a method of built-in types that do nothing. The loop itself is taken off."""
    session = sessions[0]
    token = session.fencing_token
    found = {}
    for what, ask in LOOPS.items():
        begin = time.perf_counter_ns()
        ask(range(CALLS), session, token, frozenset())
        found[what] = (time.perf_counter_ns() - begin) / CALLS
    if not (session.is_active and session.holds(token)):
        sys.exit("the session was not active all the time")
    loop = found.pop("loop")
    say(**{what: taken - loop for what, taken in found.items()})


def tell(event: coordha.Event) -> None:
    at = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    say(token=event.token, at=at)


def watch() -> None:
    for event in coordha.Observer(store_url=store, role=name).events():
        tell(event)


async def watch_async() -> None:
    async for event in aio.Observer(store_url=store, role=name).events():
        tell(event)


def main() -> None:
    say(made_by=f"Python {sys.version.split()[0]}")
    for line in sys.stdin:
        what, *number = line.split()
        if what == "start":
            start(int(number[0]))
        elif what == "calls":
            calls()
        elif what == "watch":
            threading.Thread(target=watch, daemon=True).start()
        elif what == "watch_async":
            threading.Thread(target=lambda: asyncio.run(watch_async()), daemon=True).start()
    for session in sessions:
        session.request_stop()
    for session in sessions:
        session.close()


main()
