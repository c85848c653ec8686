"""Forks and the interpreter's exit. Nothing here runs before the first session starts."""

from __future__ import annotations

import atexit
import os
import threading
import weakref

from . import _coordha, _logging

_sessions: weakref.WeakSet[_coordha.SessionBase | _coordha.ObserverBase] = weakref.WeakSet()
_prepared = False
# A signal handler may start a session while one is started.
_lock = threading.RLock()


def prepare() -> None:
    """Before a session starts."""
    global _prepared
    with _lock:
        if not _prepared:
            _prepared = True
            atexit.register(_at_exit)
            os.register_at_fork(before=_coordha.settle, after_in_child=_in_child)
    _logging.begin()


def add(session: _coordha.SessionBase | _coordha.ObserverBase) -> None:
    """A session or observer has started: it is closed at exit, if nobody closes it before."""
    with _lock:
        _sessions.add(session)


def _at_exit() -> None:
    with _lock:
        left = [session for session in list(_sessions) if not session.closed]
    # All at once, then one after another: each may take as long as its store.
    for session in left:
        session.request_stop()
    for session in left:
        session._close()
    # A thread that still waits would be killed where it stands when it comes back.
    _coordha.begin_exit()
    _coordha.wait_for_calls(1.0)
    # The last words of the library come from threads that end now.
    _coordha.settle()
    _logging.end()


def _in_child() -> None:
    global _lock
    _lock = threading.RLock()
    _coordha.has_forked()
    _sessions.clear()
    _logging.forget()
