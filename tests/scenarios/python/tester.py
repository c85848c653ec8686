"""The tester of the scenarios for Python: does what it is told on stdin and says what happens on stdout. The protocol stands
at the head of tests/scenarios/scenarios.toml."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Callable

import coordha

DETAILS = ("key", "value", "allowed", "holder_address", "holder_server_id", "code")
UNTILS = {
    "registered": coordha.Until.REGISTERED,
    "active": coordha.Until.ACTIVE,
    "term_ending": coordha.Until.TERM_ENDING,
    "ended": coordha.Until.ENDED,
}

sessions: dict[str, coordha.Session] = {}
observers: dict[str, coordha.Observer] = {}
lock = threading.Lock()
out = threading.Lock()


def say(line: str) -> None:
    with out:
        print(line, flush=True)


def text(value: object) -> str:
    """As all languages write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.decode() if isinstance(value, bytes) else str(value)


def say_event(name: str, event: coordha.Event) -> None:
    fields = {
        "token": event.token or None,
        "reason": None if event.reason is None else int(event.reason),
        "held": event.held if event.kind == coordha.EventKind.DEACTIVATE else None,
        "server_id": event.server_id or None,
        "address": event.address,
        "key": event.key,
        "error": event.error and event.error.name,
        "code": event.error and event.error.details.get("code"),
        "missed": event.missed or None,
    }
    there = [f" {field}={text(value)}" for field, value in fields.items() if value is not None]
    say(f"! {name} {event.kind.name}" + "".join(there))


def configuration(words: list[str]) -> coordha.Config:
    config = coordha.Config()
    for word in words:
        if not word.startswith("@"):
            key, _, value = word.partition("=")
            config.set(key, value)
    return config


def wish(words: list[str], name: str) -> str:
    values = [word.partition("=")[2] for word in words if word.startswith(f"@{name}=")]
    return values[0] if values else ""


def on_activate(name: str, what: str) -> Callable[[coordha.Session, coordha.Event], coordha.Answer | None]:
    def call(session: coordha.Session, event: coordha.Event) -> coordha.Answer | None:
        say_event(name, event)
        if what == "pending":
            return coordha.PENDING
        if what == "fail":
            session.activation_done(event.token, failed="no disk", code=10001)
            return coordha.PENDING
        if what == "throw":
            raise RuntimeError("boom")
        if what == "stop":
            session.request_stop()
        if what == "free":
            with lock:
                sessions.pop(name, None)
            session.close()
        while what == "hang" and not session.is_ending(event.token):
            time.sleep(0.001)
        return None

    return call


def start(name: str, words: list[str]) -> str:
    config = configuration(words)
    # A callback may come before the start has returned.
    with lock:
        what = wish(words, "body")
        if what or "@pull" in words:
            session = coordha.Session(config)
        else:
            leaves = wish(words, "deactivate") != "pending"

            def on_deactivate(_: coordha.Session, event: coordha.Event) -> coordha.Answer | None:
                say_event(name, event)
                return None if leaves else coordha.PENDING

            session = coordha.Session(
                config,
                on_activate=on_activate(name, wish(words, "activate")),
                on_deactivate=on_deactivate,
                on_event=lambda _, event: say_event(name, event),
            )
        sessions[name] = session
    if what:
        threading.Thread(target=body, args=(name, session, what), daemon=True).start()
    elif "@pull" in words and "@unread" not in words:
        threading.Thread(target=read, args=(name, session), daemon=True).start()
    return "ok"


def body(name: str, session: coordha.Session, what: str) -> None:
    """Runs the terms with a body that does this."""
    try:
        for term in session.terms(on_event=lambda event: say_event(name, event)):
            with term:
                serve(term, what)
    except coordha.Error:
        pass  # it was closed


def serve(term: coordha.Term, what: str) -> None:
    if what == "early":
        return
    if what == "throw":
        raise RuntimeError("boom")
    term.ready()
    if what == "return":
        return
    if what == "late":
        raise RuntimeError("boom")
    term.ending()
    if what == "drain":
        raise RuntimeError("boom")
    while what == "hang" and term.held:
        time.sleep(0.001)


def read(name: str, source: coordha.Session | coordha.Observer) -> None:
    try:
        for event in source.events():
            say_event(name, event)
    except coordha.Error:
        pass


def cycle(times: int, words: list[str]) -> str:
    for _ in range(times):
        with coordha.Session(configuration(words)) as session:
            session.stop(20)
    return "ok"


def observe(name: str, words: list[str]) -> str:
    observers[name] = coordha.Observer(configuration(words))
    threading.Thread(target=read, args=(name, observers[name]), daemon=True).start()
    return "ok"


def metrics(prefix: str) -> str:
    """The names of the metrics, and those of their lines that begin so."""
    lines = coordha.metrics_text().splitlines()
    words = [line.split(" ")[2] for line in lines if line.startswith("# TYPE ")]
    words += [line.replace(" ", "_") for line in lines if line.startswith(prefix)]
    return " ".join(["ok", *words])


def state(session: coordha.Session, token: int) -> str:
    return (
        f"ok role={int(session.role)} is_active={text(session.is_active)} holds={text(session.holds(token))}"
        f" is_ending={text(session.is_ending(token))} remaining={text(session.remaining_ms > 0)}"
        f" token={session.fencing_token} server_id={session.server_id}"
    )


def transact(session: coordha.Session, token: int, words: list[str]) -> str:
    txn = session.txn(token)
    for word in words:
        what, _, rest = word.partition(":")
        key, _, value = rest.partition(":")
        if what == "if":
            txn.if_revision(key, int(value))
        elif what == "ifv":
            txn.if_value(key, value)
        elif what == "put":
            txn.put(key, value)
        elif what == "leased":
            txn.put_leased(key, value)
        elif what == "del":
            txn.delete(key)
        else:
            txn.get(key)
    results = txn.commit(5)
    found = [f" {text(kv.key)}={text(kv.value)}" for kv in results.kvs]
    return f"ok revision={results.revision} count={len(results.kvs)}" + "".join(found)


def in_child(session: coordha.Session, token: int) -> str:
    # No other thread may be saying something: its lock would stay locked in the child.
    with out:
        child = os.fork()
    if child == 0:
        try:
            session.stop(0)
            stop = "OK"
        except coordha.Error as error:
            stop = error.name
        say(f"= ok is_active={text(session.is_active)} holds={text(session.holds(token))} stop={stop}")
        os._exit(0)
    os.waitpid(child, 0)
    return ""


def holder(session: coordha.Session) -> str:
    held = session.holder
    return "ok" if held is None else f"ok address={held.address} server_id={held.server_id}"


def command(session: coordha.Session, words: list[str]) -> str:
    """Does a command to a session."""
    what, name = words[0], words[1]
    first = int(words[2]) if len(words) > 2 and words[2].lstrip("-").isdigit() else 0
    if what == "state":
        return state(session, first)
    if what == "holder":
        return holder(session)
    if what == "txn":
        return transact(session, first, words[3:])
    if what == "fork":
        return in_child(session, first)
    if what == "next":
        say_event(name, session.next_event(first / 1000))
    elif what == "free":
        with lock:
            del sessions[name]
        session.close()
    elif what == "fail":
        session.activation_done(first, failed="no disk", code=int(words[3]))
    elif what == "wait":
        session.wait(UNTILS[words[2]], int(words[3]) / 1000)
    else:
        simple: dict[str, Callable[[], None]] = {
            "ready": lambda: session.activation_done(first),
            "left": lambda: session.deactivation_done(first),
            "request_stop": session.request_stop,
            "stop": lambda: session.stop(first / 1000),
            "resign": lambda: session.resign(first / 1000),
            "pause": session.pause,
            "resume": session.resume,
        }
        simple[what]()
    return "ok"


def answer(words: list[str]) -> str:
    what = words[0]
    if what == "start":
        return start(words[1], words[2:])
    if what == "check":
        configuration(words[1:]).check()
        return "ok"
    if what == "cycle":
        return cycle(int(words[1]), words[2:])
    if what == "observe":
        return observe(words[1], words[2:])
    if what == "metrics":
        return metrics(words[1])
    if what == "unobserve":
        observers.pop(words[1]).close()
        return "ok"
    with lock:
        session = sessions.get(words[1])
    return "error CLOSED" if session is None else command(session, words)


def main() -> None:
    for line in sys.stdin:
        words = line.split()
        if words == ["quit"]:
            break
        try:
            said = answer(words)
        except coordha.Error as error:
            there = [f" {name}={error.details[name].replace(' ', '_')}" for name in DETAILS if name in error.details]
            said = f"error {error.name}" + "".join(there)
        if said:
            say(f"= {said}")
    for session in list(sessions.values()):
        session.close()


main()
