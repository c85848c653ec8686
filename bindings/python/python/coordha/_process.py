"""Forks and the interpreter's exit. Nothing here runs before the first session starts."""

from __future__ import annotations

import atexit
import os
import threading
import weakref

from . import _coordha, _logging

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

_sessions: weakref.WeakSet[_coordha.SessionBase | _coordha.ObserverBase] = weakref.WeakSet()
_prepared = False
# The threads on which callbacks run now.
_running: dict[object, int] = {}
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


class InterpreterEndsError(SystemExit):
    """Raised in a callback that still runs when the interpreter ends, after all limits: it is logged with its traceback."""


def tracked(callback: Callable[..., Any]) -> Callable[..., Any]:
    """A callback that can be ended with the interpreter."""

    def call(*arguments: object) -> Any:
        key = object()
        _running[key] = threading.get_ident()
        try:
            return callback(*arguments)
        finally:
            del _running[key]

    return call


def _interrupt() -> None:
    try:
        from ctypes import c_ulong, py_object, pythonapi
    except ImportError:  # a Python built without it
        return
    for thread in list(_running.values()):
        pythonapi.PyThreadState_SetAsyncExc(c_ulong(thread), py_object(InterpreterEndsError))


def _at_exit() -> None:
    with _lock:
        left = [session for session in list(_sessions) if not session.closed]
    try:
        # All at once, then one after another: each may take as long as its store.
        for session in left:
            session.request_stop()
        for session in left:
            session._close()
    finally:
        # Ctrl-C ends the waiting alone.
        _end_calls()
        # The last words of the library come from threads that end now.
        _coordha.settle()
        _logging.end()


def _end_calls() -> None:
    # A thread that still waits or runs a callback would be killed where it stands when it next wants the GIL, and that ends
    # the process by SIGABRT: the library's frames cannot be unwound so.
    _coordha.begin_exit()
    if not _coordha.wait_for_calls(1.0) and _running:
        _interrupt()
        _coordha.wait_for_calls(1.0)


def _in_child() -> None:
    global _lock
    _lock = threading.RLock()
    _running.clear()
    _coordha.has_forked()
    _sessions.clear()
    _logging.forget()
