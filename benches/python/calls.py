"""What the Python package costs: import, the call that a coordinator makes all the time, a commit, an event.

Each beside an empty one of its kind, in turns, in one run. Prints a table; asserts nothing.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import coordha
from coordha import EventKind, Until, aio

ROUNDS = 15


def keys(store: str, **more: object) -> coordha.Config:
    config = coordha.Config(role="bench", address="127.0.0.1:7000", store_url=store)
    for key, value in more.items():
        config.set(key.replace("__", "."), str(value))
    return config


def row(what: str, measured: str, beside: str = "", ratio: str = "") -> None:
    print(f"| {what} | {measured} | {beside} | {ratio} |")


def import_time(code: str) -> float:
    """Milliseconds from before to after `code`, in a new interpreter."""
    timed = f"import time; begin = time.perf_counter(); {code}; print(time.perf_counter() - begin)"
    out = subprocess.run([sys.executable, "-I", "-c", timed], check=True, capture_output=True, text=True).stdout
    return float(out) * 1000


def imports() -> None:
    times: dict[str, list[float]] = {"import coordha": [], "import coordha, coordha.aio": [], "import json": []}
    for _ in range(ROUNDS):
        for code, found in times.items():
            found.append(import_time(code))
    beside = statistics.median(times["import json"])
    for code in list(times)[:2]:
        middle = statistics.median(times[code])
        row(f"`{code}`", f"{middle:.1f} ms", f"`import json` {beside:.1f} ms", f"{middle / beside:.1f}")


def per_loop(code: str, names: dict[str, object]) -> float:
    """Nanoseconds of one `code`, without the loop around it."""
    count = 200_000
    program = compile(f"for _ in loop:\n    {code}", "bench", "exec")
    begin = time.perf_counter_ns()
    exec(program, {**names, "loop": range(count)})
    return (time.perf_counter_ns() - begin) / count


class Empty:
    """A property that does nothing, written in Python."""

    @property
    def is_active(self) -> bool:
        return True


def calls(store: str) -> None:
    with coordha.Session(keys(store, activation__auto="true")) as session:
        session.wait(Until.ACTIVE, 30)
        token = session.fencing_token
        empty = Empty()
        names = {"session": session, "token": token, "empty": empty, "number": 7}
        measured = {
            "session.is_active": "session.is_active",
            "session.holds(token)": "session.holds(token)",
            "session.fencing_token": "session.fencing_token",
        }
        beside = {
            "number.real": "number.real",
            "number.__index__()": "number.__index__()",
            "empty.is_active": "empty.is_active",
        }
        found: dict[str, list[float]] = {name: [] for name in [*measured, *beside, "pass"]}
        for _ in range(ROUNDS):
            for name in found:
                found[name].append(per_loop(name, names))
        base = statistics.median(found["pass"])
        cost = {name: statistics.median(times) - base for name, times in found.items()}
        getter, method, python = (cost[name] for name in beside)
        row(
            "`session.is_active`",
            f"{cost['session.is_active']:.0f} ns",
            f"a property of `int` {getter:.0f} ns",
            f"{cost['session.is_active'] / getter:.2f}",
        )
        row("", "", f"a property written in Python {python:.0f} ns", f"{cost['session.is_active'] / python:.2f}")
        row(
            "`session.holds(token)`",
            f"{cost['session.holds(token)']:.0f} ns",
            f"a method of `int` {method:.0f} ns",
            f"{cost['session.holds(token)'] / method:.2f}",
        )
        row("`session.fencing_token`", f"{cost['session.fencing_token']:.0f} ns")
        times = []
        for number in range(300):
            begin = time.perf_counter()
            session.txn(token).put("app/bench", str(number)).commit()
            times.append((time.perf_counter() - begin) * 1000)
        row("commit, threads, `local:`", f"p50 {statistics.median(times):.2f} ms")


async def loops(store: str) -> None:
    async with aio.Session(keys(store, activation__auto="true")) as session:
        await session.wait(Until.ACTIVE, 30)
        times = []
        for number in range(300):
            begin = time.perf_counter()
            await session.txn(session.fencing_token).put("app/bench", str(number)).commit()
            times.append((time.perf_counter() - begin) * 1000)
        row("commit, asyncio, `local:`", f"p50 {statistics.median(times):.2f} ms")


def boottime_ms() -> float:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) / 1e6


def events(store: str) -> None:
    """From the instant that an event names (whole ms) to the program, for threads and for asyncio."""
    late: list[float] = []
    with coordha.Session(keys(store, election__paused="false", activation__backoff_ms=0)) as session:
        for event in session.events():
            late.append(boottime_ms() - event.at_ms)
            if event.kind == EventKind.ACTIVATE:
                session.activation_done(event.token)
            elif event.kind == EventKind.ACTIVE:
                session.resign(0.001) if len(late) < 300 else session.request_stop()
            elif event.kind == EventKind.DEACTIVATE:
                session.deactivation_done(event.token)
    row("event to the program, threads", f"p50 {statistics.median(late):.2f} ms (to 1 ms)")
    late = []

    async def follow() -> None:
        async with aio.Session(keys(store, activation__backoff_ms=0)) as session:
            async for event in session.events():
                late.append(boottime_ms() - event.at_ms)
                if event.kind == EventKind.ACTIVATE:
                    session.activation_done(event.token)
                elif event.kind == EventKind.ACTIVE:
                    session.resign(0.001) if len(late) < 300 else session.request_stop()
                elif event.kind == EventKind.DEACTIVATE:
                    session.deactivation_done(event.token)

    asyncio.run(follow())
    row("event to the program, asyncio", f"p50 {statistics.median(late):.2f} ms (to 1 ms)")


def resident_kb() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def sizes(store: str) -> None:
    (extension,) = Path(coordha.__file__).parent.glob("_coordha*.so")
    row("the extension", f"{extension.stat().st_size / 1e6:.2f} MB")
    before, threads = resident_kb(), len(os.listdir("/proc/self/task"))
    sessions = [coordha.Session(keys(store), role=f"role{number}") for number in range(200)]
    for session in sessions:
        session.wait(Until.REGISTERED, 60)
    kb = (resident_kb() - before) / len(sessions)
    more = len(os.listdir("/proc/self/task")) - threads
    row("an idle session, of 200", f"{kb:.0f} kB, {more} threads more in all")
    for session in sessions:
        session.close()


def main() -> None:
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| What | Measured | Beside | Ratio |\n|---|---|---|---|")
    imports()
    with tempfile.TemporaryDirectory() as folder:
        calls(f"local:{folder}/calls")
        asyncio.run(loops(f"local:{folder}/loops"))
        events(f"local:{folder}/events")
        sizes(f"local:{folder}/sizes")


if __name__ == "__main__":
    main()
