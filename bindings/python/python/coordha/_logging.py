"""From the library's queue of log records to ``logging``, on a thread of Python's own."""

from __future__ import annotations

import logging
import threading

from . import _coordha

logger = logging.getLogger("coordha")

_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG, 5: 5}

_lock = threading.Lock()
_thread: threading.Thread | None = None
_over = False


def begin() -> None:
    """Begins to hand records over, where that was not begun yet."""
    global _thread
    refresh()
    with _lock:
        if _thread is None and not _over:
            _thread = threading.Thread(target=_run, name="coordha-logging", daemon=True)
            _thread.start()


def end() -> None:
    """Hands over what waits, and ends the thread."""
    global _over
    with _lock:
        _over = True
        thread = _thread
    if thread is not None and thread is not threading.current_thread():
        _coordha.wake_logs()
        # A handler that hangs must not hang the exit.
        thread.join(timeout=2.0)


def forget() -> None:
    """In a child of fork: the thread is the parent's."""
    global _thread, _lock, _over
    _thread, _lock, _over = None, threading.Lock(), False


def refresh() -> None:
    """Takes over the level of the logger."""
    level = logger.getEffectiveLevel()
    # Information always: a program may ask for it at any time, and there is little of it.
    _coordha.set_log_level(3 if level > logging.DEBUG else 4 if level > 5 else 5)


def report(role: str, place: str, error: BaseException) -> None:
    """Logs what the program's own code has raised, with its traceback."""
    logger.error("%s: %s raised", role, place, exc_info=error)


def _run() -> None:
    while True:
        records, dropped = _coordha.next_logs()
        for record in records:
            _hand_over(*record)
        if dropped:
            logger.warning("%d log records were dropped: the handlers are too slow", dropped)
        if _over and not records:
            return
        refresh()


def _hand_over(level: int, target: str, message: str, unix_ms: int, fields: list[tuple[str, str]]) -> None:
    named = logging.getLogger(target.replace("::", "."))
    number = _LEVELS[level]
    if not named.isEnabledFor(number):
        return
    record = named.makeRecord(named.name, number, "", 0, message, (), None, extra={"coordha": dict(fields)})
    record.created = unix_ms / 1000
    record.msecs = float(unix_ms % 1000)
    named.handle(record)
