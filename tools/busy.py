#!/usr/bin/env python3
"""Runs a command, tests as a rule, on a machine that is busy and stands still now and then: what takes its quickness for granted fails.

    tools/busy.py [--loops 3] [--idle 0.3] [--stop-ms 1500] [--seed N] -- COMMAND...

Beside the command run some busy loops. Of the threads that it has started, a part, chosen anew each moment, gets a core only when nobody
else wants one; and one of its processes after the other is stopped for up to --stop-ms. Ends with the status of the command. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

NORMAL, PRIORITY = os.SCHED_OTHER, os.sched_param(0)
MOMENT_S = 1.0
"""How long, at most, a thread has its turn or has none."""


def stat(pid: int) -> tuple[str, int] | None:
    """The state of a process and the PID of its parent; nothing where it has ended."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    except OSError:
        return None
    return words[0], int(words[1])


def below(root: int) -> list[int]:
    """All processes that descend from this one."""
    every = {int(name): stat(int(name)) for name in os.listdir("/proc") if name.isdigit()}
    found, new = set(), {root}
    while new:
        new = {pid for pid, known in every.items() if known and known[1] in new} - found
        found |= new
    return sorted(found)


def idle(threads: set[int], how: int) -> None:
    """Has these threads scheduled so; those that have ended are none."""
    for thread in threads:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(thread, how, PRIORITY)


def starve(root: int, share: float, dice: random.Random, done: threading.Event) -> None:
    """Chooses anew, again and again, whose turn it is to have none."""
    starved: set[int] = set()
    while not done.wait(dice.uniform(0.05, MOMENT_S)):
        idle(starved, NORMAL)
        every = set()
        for pid in below(root):
            with contextlib.suppress(OSError):
                every |= {int(thread) for thread in os.listdir(f"/proc/{pid}/task")}
        starved = {thread for thread in every if dice.random() < share}
        # Who was made by a starved one is starved as well.
        idle(every - starved, NORMAL)
        idle(starved, os.SCHED_IDLE)
    idle(starved, NORMAL)


def stop(root: int, longest_s: float, dice: random.Random, done: threading.Event) -> None:
    """What a test has stopped itself stays so."""
    while not done.wait(dice.uniform(0.0, 0.3)):
        running = [pid for pid in below(root) if (known := stat(pid)) and known[0] in "SR"]
        if not running:
            continue
        with contextlib.suppress(OSError):
            pid = dice.choice(running)
            os.kill(pid, signal.SIGSTOP)
            try:
                time.sleep(dice.uniform(0.05, longest_s))
            finally:
                os.kill(pid, signal.SIGCONT)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--loops", type=int, default=3, help="busy loops")
    parser.add_argument("--idle", type=float, default=0.3, help="the part of the threads, 0 to 1")
    parser.add_argument("--stop-ms", type=int, default=1500, help="the longest stop of a process; 0: none is stopped")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of what is chosen by chance")
    parser.add_argument("command", nargs="+", metavar="COMMAND")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    print(f"busy seed={args.seed}", flush=True)
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(args.loops)]
    command = subprocess.Popen(args.command)
    done = threading.Event()
    others = [threading.Thread(target=starve, args=(command.pid, args.idle, random.Random(args.seed), done))]
    if args.stop_ms:
        dice = random.Random(args.seed + 1)
        others.append(threading.Thread(target=stop, args=(command.pid, args.stop_ms / 1000, dice, done)))
    for other in others:
        other.start()
    try:
        status = command.wait()
    finally:
        done.set()
        for other in others:
            other.join()
        for loop in loops:
            loop.kill()
    print(f"busy seed={args.seed} status={status}")
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
