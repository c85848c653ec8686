"""What the library says reaches `logging`."""

from __future__ import annotations

import logging
import threading

import pytest

import coordha
import support
from coordha import Until


def _end(local: support.Store) -> None:
    with coordha.Session(**local.keys(activation_auto=True)) as session:
        session.wait(Until.ACTIVE, support.LIMIT)


def records_have_logger_level_time_and_fields(local: support.Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "coordha")
    _end(local)
    support.wait_until(lambda: "has ended" in caplog.text, "the last line")
    record = next(record for record in caplog.records if "is ACTIVE, token" in record.getMessage())
    assert record.name == "coordha.session.log" and record.levelno == logging.INFO
    fields = vars(record)["coordha"]
    assert fields["event"] == "ACTIVE" and fields["role"] == "queue"
    assert abs(record.created - caplog.records[-1].created) < support.LIMIT


def a_level_that_nobody_wants_is_not_handed_over(local: support.Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "coordha")
    _end(local)
    caplog.set_level(logging.DEBUG, "coordha")
    with coordha.Session(**local.keys(role="index")):
        support.wait_until(lambda: "index" in caplog.text, "a line at the new level")
    assert "queue is ACTIVE" not in caplog.text


def without_a_handler_warnings_go_to_stderr_and_information_nowhere(local: support.Store) -> None:
    assert local.prints("coordha.Session(**keys()).close()") == []
    code = """
ended = threading.Event()
def fail(session, event):
    raise ValueError("cannot load")
def note(session, event):
    if event.kind == coordha.EventKind.TERM_ENDED:
        ended.set()
session = coordha.Session(**keys(on_activate=fail, on_event=note, activation_backoff_ms=60000))
ended.wait(20)
session.close()
"""
    status, _, err = local.run(code)
    assert status == 0 and err.count("Traceback") == 1 and err.count("ValueError: cannot load") == 1


def a_handler_that_hangs_holds_no_session_up_and_drops_are_told(local: support.Store) -> None:
    code = """
go_on, lines = threading.Event(), []
class Slow(logging.Handler):
    def emit(self, record):
        go_on.wait(40)
        lines.append(record.getMessage())
logging.getLogger("coordha").addHandler(Slow())
logging.getLogger("coordha").setLevel(logging.INFO)
sessions = [coordha.Session(**keys(role=f"role{n}", activation_auto=True)) for n in range(200)]
for session in sessions:
    session.wait(coordha.Until.ACTIVE, 20)
for session in sessions:
    session.close()
go_on.set()
import coordha._logging
coordha._logging.end()
print(len(lines) < 1300 or len(lines), [line for line in lines if "were dropped" in line] != [])
"""
    assert local.prints(code) == ["True True"]


def a_handler_may_use_sessions(local: support.Store) -> None:
    done = threading.Event()
    # The first records come before the session is known here.
    session: coordha.Session | None = None

    class Asks(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if session and session.is_active and session.holder:
                session.txn(session.fencing_token).put("app/log", record.getMessage()).commit()
                done.set()

    logger = logging.getLogger("coordha")
    handler, level = Asks(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with coordha.Session(**local.keys(activation_auto=True)) as session:
            assert done.wait(support.LIMIT)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
