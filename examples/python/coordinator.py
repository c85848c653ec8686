#!/usr/bin/env python3
"""An ID allocator, as a root coordinator has one: the active one hands out IDs over HTTP, each taken by a fenced write.

coordinator.py KEY=VALUE...    keys of the configuration: role=rootcoord address=127.0.0.1:53100 store.url=local:/tmp/ids

- GET /next: 200 and the next ID; 503 and the address of the active one (empty: unknown) where this one is not active.
- GET /status: at_ms=... active=... token=... server_id=...; at_ms (CLOCK_BOOTTIME) is read before "active" is asked.
- Each event is a line on stdout: event at_ms=... kind=... token=... server_id=... text=...
- SIGTERM and SIGINT: finishes what it has begun, leaves the role to a standby, ends.
"""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import coordha


class Allocator:
    """Takes IDs. The last one is the value of a key."""

    def __init__(self, session: coordha.Session, key: str) -> None:
        self.session, self.key = session, key
        self.lock = threading.Lock()  # held while an ID is taken
        self.last: tuple[int, int] | None = None  # the last ID and the revision that wrote it; None: to be read

    def next(self) -> int | None:
        """The next ID; None where this one is not active. An ID whose write was not confirmed is never handed out."""
        with self.lock:
            token = self.session.fencing_token
            while self.session.is_active:
                txn, last, self.last = self.session.txn(token), self.last, None
                try:
                    if last is None:
                        found = txn.get(self.key).commit().kvs
                        self.last = (int(found[0].value), found[0].mod_revision) if found else (0, 0)
                        continue
                    done = txn.if_revision(self.key, last[1]).put(self.key, str(last[0] + 1)).commit()
                except coordha.FencedError:
                    break
                except (coordha.CompareFailedError, coordha.UnknownOutcomeError):
                    continue  # Reads again; should a write of unknown outcome commit after that, the next compare fails.
                self.last = (last[0] + 1, done.revision)
                return self.last[0]
        return None


class Handler(BaseHTTPRequestHandler):
    """Answers one request, on a thread of its own."""

    allocator: Allocator

    def do_GET(self) -> None:
        session = self.allocator.session
        if self.path == "/status":
            at_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
            active, token = str(session.is_active).lower(), session.fencing_token
            return self.answer(200, f"at_ms={at_ms} active={active} token={token} server_id={session.server_id}")
        if self.path != "/next":
            return self.answer(404, "")
        try:
            taken = self.allocator.next()
            holder = session.holder
        except coordha.Error as error:
            return self.answer(500, str(error))
        address = holder.address if holder and holder.server_id != session.server_id else ""
        self.answer(503 if taken is None else 200, address if taken is None else str(taken))

    def refuse(self) -> None:
        self.close_connection = True  # what it sent is not read
        self.answer(405, "")

    do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = refuse

    def answer(self, status: int, body: str) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(body) + 1))
        self.end_headers()
        self.wfile.write(f"{body}\n".encode())


def show(event: coordha.Event) -> None:
    numbers = f"at_ms={event.at_ms} kind={event.kind.name} token={event.token} server_id={event.server_id}"
    print(f"event {numbers} text={event.text}", flush=True)


def configuration() -> coordha.Config:
    config = coordha.Config(active_standby=True)
    for argument in sys.argv[1:]:
        key, equals, value = argument.partition("=")
        if not equals:
            sys.exit(f"coordinator: {argument}: no KEY=VALUE")
        config.set(key, value)
    config.check()
    return config


def main() -> None:
    logging.basicConfig(level=logging.INFO)  # on stderr
    config = configuration()
    host, port = str(config.get("address")).rsplit(":", 1)
    ThreadingHTTPServer.address_family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    with ThreadingHTTPServer((host.strip("[]"), int(port)), Handler) as http, coordha.Session(config) as session:
        allocator = Handler.allocator = Allocator(session, f"{config.get('root')}/ids/{config.get('role')}")

        def stop(*_: object) -> None:
            session.request_stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        threading.Thread(target=http.serve_forever, daemon=True).start()
        for term in session.terms(on_event=show):
            with term:
                term.ready()  # nothing to load: the store knows the last ID
                term.ending()
                with allocator.lock:  # nothing is being taken any more
                    pass
        http.shutdown()


if __name__ == "__main__":
    try:
        main()
    except coordha.Error as failed:
        sys.exit(f"coordinator: {failed}")
