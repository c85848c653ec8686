"""Sessions, terms and transactions for programs with threads."""

from __future__ import annotations

import threading
import time

from ._closing import SyncClosing
from ._coordha import SessionBase, TxnBase
from ._errors import EndedError, TimeoutError
from ._term import TermBase, show, state_error
from ._values import EventKind, Until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Callable

    from typing_extensions import Self, Unpack

    from ._coordha import Config, Event, TxnResults
    from ._keys import Keys
    from ._values import Answer


class Txn(TxnBase):
    """A transaction of one term: it commits while that term lasts, and never after.

    Made by ``session.txn(token)`` or ``term.txn()``. Keys and values are bytes, or text that stands for its UTF-8. Each call
    gives the transaction back; the first wrong key or value is the error of :meth:`commit`. Single use.
    """

    def commit(self, timeout: float | None = None) -> TxnResults:
        """Sends it and waits for the answer, at most ``timeout`` seconds and never longer than ``store_request_timeout_ms``.

        Raises :class:`FencedError` (nothing was written), :class:`CompareFailedError` (its ``results`` has the present
        values), :class:`UnavailableError` (never sent), :class:`UnknownOutcomeError` (sent, no answer: it may commit even
        later, though never after the term). So let it compare a key that it also writes, and send it again.
        """
        return self._commit(timeout)


class Term(TermBase):
    """One term of the role, as a context manager around the body of the term.

    The end of the block says "left": nothing of this term runs any more. An exception in the block is logged with its
    traceback and ends the term in order: before :meth:`ready` as a failed activation, after it by resigning. It goes no
    further, so that the session can contend again; ``KeyboardInterrupt`` and ``SystemExit`` do.
    """

    _session: Session

    def __init__(self, session: Session, event: Event, on_event: Callable[[Event], object] | None) -> None:
        """Made by ``terms()`` alone."""
        super().__init__(session, event)
        self._on_event = on_event
        self._thread = threading.get_ident()
        self._is_told = False
        self._is_over = False

    def ending(self, timeout: float | None = None) -> bool:
        """Waits until the term is asked to end, or lost; False where ``timeout`` seconds have passed before."""
        try:
            if threading.get_ident() != self._thread:
                if not self.is_ending:
                    self._session.wait(Until.TERM_ENDING, timeout)
                return True
            self._follow(timeout)
        except TimeoutError:
            return False
        except EndedError:
            pass
        return True

    def txn(self) -> Txn:
        """Begins a transaction of this term."""
        return self._session.txn(self._token)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not self._is_over:
            self._is_over = True
            self._tell(error)
            self.ending()
            self._leave()
        return isinstance(error, Exception)

    def _follow(self, timeout: float | None) -> None:
        """Reads events until this term is told to end."""
        end = None if timeout is None else time.monotonic() + timeout
        while not self._is_told:
            left = timeout if end is None else max(0.0, end - time.monotonic())
            event = self._session._read(self._on_event, left)
            if event.kind == EventKind.DEACTIVATE and event.token == self._token:
                self._is_told = True
                self._reason = event.reason
            elif event.kind == EventKind.ENDED:
                self._session._ended = event
                return


class Session(SessionBase, SyncClosing):
    """A session in the election of one role, for programs with threads. It starts at once; everything may be called
    from many threads.

    Takes the configuration keys as keyword arguments, dots as underscores, without ``.enabled``: ``lease_ttl_ms=60000`` is
    ``lease.ttl_ms``, ``active_standby=True`` is ``active_standby.enabled``. ``config`` may bring others.

    A program reads :meth:`events` and answers them, or runs :meth:`terms`, or gives callbacks: ``on_activate(session,
    event)`` returns once the program is ready, ``on_deactivate(session, event)`` once nothing of the term runs any more;
    either may return :data:`PENDING` and have it said later. ``on_event(session, event)`` gets all other events. They
    run in order on a thread of the library's. One that raises is logged with its traceback and ends the activation.

    At the end of a ``with`` block the session is closed; so it is when the interpreter ends.
    """

    def __init__(
        self,
        config: Config | None = None,
        /,
        *,
        on_activate: Callable[[Session, Event], Answer | None] | None = None,
        on_deactivate: Callable[[Session, Event], Answer | None] | None = None,
        on_event: Callable[[Session, Event], object] | None = None,
        **keys: Unpack[Keys],
    ) -> None:
        """Starts it, without waiting for the network: an unreachable store is an event, and is tried again.

        Raises ``TypeError`` for an unknown keyword argument or a value of a wrong type, :class:`ConfigError` for a value
        that is not allowed, :class:`UsageError` where the same role was started with the same address before.
        """
        from . import _process

        self._ended: Event | None = None
        callbacks = {"on_activate": on_activate, "on_deactivate": on_deactivate, "on_event": on_event}
        for name, callback in callbacks.items():
            if callback is not None and not callable(callback):
                raise TypeError(f"{name} must be callable, not {type(callback).__name__}")
        tracked = [None if callback is None else _process.tracked(callback) for callback in callbacks.values()]
        _process.prepare()
        self._start(config, keys, tracked if any(tracked) else None)
        _process.add(self)

    def next_event(self, timeout: float | None = None) -> Event:
        """The next event; each goes to one caller.

        Raises :class:`TimeoutError`, and :class:`EndedError` for ever once ENDED was read.
        """
        return self._next_event(timeout)

    def events(self) -> Iterator[Event]:
        """All events, up to ENDED. Answer ACTIVATE with ``activation_done`` and DEACTIVATE with ``deactivation_done``."""
        while True:
            event = self._next_event(None)
            yield event
            if event.kind == EventKind.ENDED:
                return

    def terms(self, on_event: Callable[[Event], object] | None = None) -> Iterator[Term]:
        """The terms of this session, one after another, up to its end; raises the error that ended it, if one did.

        Each is the context manager around the body of the term. ``on_event`` is called for every event, on this thread:
        while a term is waited for, and in ``term.ending()``. One that raises is logged and ends the term.
        """
        if self._is_auto:
            raise state_error("with activation_auto the library answers, there is no body of a term to wait for")
        while True:
            event = self._ended or self._read(on_event, None)
            if event.kind == EventKind.ENDED:
                if event.error is not None:
                    raise event.error
                return
            if event.kind == EventKind.ACTIVATE:
                term = Term(self, event, on_event)
                yield term
                # Where the program has not used it as a context manager.
                term.__exit__(None, None, None)

    def txn(self, token: int) -> Txn:
        """Begins a transaction of the term ``token``. Take the token when the work begins, not when it writes, or work
        begun in an old term writes with the right of a new one."""
        return Txn(self, token)

    def wait(self, until: Until = Until.ENDED, timeout: float | None = None) -> None:
        """Waits until the session is so far.

        Raises :class:`TimeoutError`, the error that ended the session, or :class:`EndedError` where it ended in order and
        something else was waited for.
        """
        self._wait(until, timeout)

    def stop(self, timeout: float | None = None) -> None:
        """``request_stop``, then waits until all is over. Without callbacks another thread must go on answering events.

        Raises :class:`UnavailableError` where the store did not confirm the release, :class:`TimeoutError` where it goes on.
        """
        self._stop(timeout)

    def close(self) -> None:
        """Ends the session for good, and waits at most ``deactivation_timeout_ms + release_timeout_ms``. Twice is harmless.

        Without callbacks the role is released at once: call it when nothing of a term runs any more.
        """
        self._close()

    def _read(self, on_event: Callable[[Event], object] | None, timeout: float | None) -> Event:
        """The next event, which ``on_event`` has seen."""
        event = self._next_event(timeout)
        if on_event is not None:
            show(self, on_event, event)
        return event
