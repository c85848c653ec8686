"""Sessions, terms and transactions for asyncio.

No thread waits for anything here: the event loop itself looks on, told by a descriptor. ::

    async with coordha.aio.Session(role="rootcoord", address="10.0.0.5:53100", active_standby=True) as session:
        loop.add_signal_handler(signal.SIGTERM, session.request_stop)
        async for term in session.terms():
            async with term:
                await load()
                term.ready()          # from now on session.is_active is True
                await term.ending()   # waits until asked to end; a lost term cancels the block
                await drain(term)
"""

from __future__ import annotations

import asyncio

from ._closing import AsyncClosing
from ._coordha import ObserverBase, SessionBase, TxnBase
from ._errors import ClosedError, EndedError
from ._term import TermBase, show, state_error
from ._values import EventKind, Until
from ._waiter import Waiter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType
    from typing import Any, Callable

    from typing_extensions import Self, Unpack

    from ._coordha import Config, Event, Operation, TxnResults
    from ._keys import Keys

__all__ = ["Observer", "Session", "Term", "Txn"]


class Txn(TxnBase):
    """A transaction of one term, as :class:`coordha.Txn` is; ``commit`` is a coroutine."""

    _session: Session

    async def commit(self, timeout: float | None = None) -> TxnResults:
        """As :meth:`coordha.Txn.commit`. Cancelling it does not take the transaction back: its outcome is then unknown."""
        results: TxnResults = await self._session._run(self._commit_operation(timeout))
        return results


class Term(TermBase):
    """One term of the role, as an asynchronous context manager around the body of the term.

    As :class:`coordha.Term`; a term that is lost cancels the block, as ``asyncio.timeout`` does, and that goes no further.
    """

    _session: Session

    def __init__(self, session: Session, event: Event) -> None:
        """Made by ``terms()`` alone."""
        super().__init__(session, event)
        self._told: asyncio.Future[None] = session._waiter.loop.create_future()
        self._task: asyncio.Task[Any] | None = None
        self._cancels_before = 0
        self._is_cancelled = False
        self._is_over = False

    async def ending(self) -> None:
        """Waits until the term is asked to end, or is over."""
        await asyncio.shield(self._told)

    def txn(self) -> Txn:
        """Begins a transaction of this term."""
        return self._session.txn(self._token)

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        if self._task is not None and hasattr(self._task, "cancelling"):
            self._cancels_before = self._task.cancelling()
        if self._reason is not None and not self.held:
            # Not at once: the block may leave before it waits, and then nothing would take the cancellation back.
            self._session._waiter.loop.call_soon(self._cancel)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        is_ours = self._is_cancelled and self._take_cancel_back() and isinstance(error, asyncio.CancelledError)
        self._task = None
        await self._end(None if is_ours else error)
        return is_ours or isinstance(error, Exception)

    def _take_cancel_back(self) -> bool:
        """Whether nobody else has cancelled the block as well."""
        task = self._task
        if task is None or not hasattr(task, "uncancel"):
            return True
        count: int = task.uncancel()
        return count <= self._cancels_before

    def _cancel(self) -> None:
        if self._task is not None and not self._is_cancelled:
            self._is_cancelled = True
            self._task.cancel()

    async def _end(self, error: BaseException | None) -> None:
        if not self._is_over:
            self._is_over = True
            self._tell(error)
            await self.ending()
            self._leave()

    def _on_event(self, event: Event) -> None:
        """Called for each event while this is the latest term."""
        if event.kind in (EventKind.DEACTIVATE, EventKind.TERM_ENDED):
            # A lost term has ended before it is told to leave.
            self._reason = self._reason or event.reason
        if event.kind in (EventKind.DEACTIVATE, EventKind.TERM_ENDED, EventKind.ENDED):
            self._set_told()
            if not event.held:
                self._cancel()

    def _set_told(self) -> None:
        if not self._told.done():
            self._told.set_result(None)


class _Terms:
    """Follows the events of a session, and gives its terms one after another."""

    def __init__(self, session: Session, on_event: Callable[[Event], object] | None) -> None:
        self._session = session
        self._on_event = on_event
        self._latest: Term | None = None
        self._given: Term | None = None
        self._changed = asyncio.Event()
        self._follower = session._waiter.loop.create_task(self._follow())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Term:
        if self._given is not None:
            # Where the program has not used it as a context manager.
            await self._given._end(None)
        while self._latest is self._given:
            if self._follower.done():
                self._raise_end()
            await self._changed.wait()
            self._changed.clear()
        self._given = self._latest
        assert self._given is not None
        return self._given

    def _raise_end(self) -> None:
        ended = None if self._follower.cancelled() else self._follower.result()
        if ended is not None and ended.error is not None:
            raise ended.error
        raise StopAsyncIteration

    async def _follow(self) -> Event | None:
        """Reads events up to ENDED; gives that, or None where the session was closed before."""
        try:
            while True:
                event = await self._session._event()
                if self._on_event is not None:
                    show(self._session, self._on_event, event)
                if event.kind == EventKind.ACTIVATE:
                    self._latest = Term(self._session, event)
                    self._changed.set()
                elif self._latest is not None:
                    self._latest._on_event(event)
                if event.kind == EventKind.ENDED:
                    return event
        except (ClosedError, EndedError):
            return None
        finally:
            if self._latest is not None:
                self._latest._set_told()
            self._changed.set()
            # `done()` is true only after this has returned.
            self._session._waiter.loop.call_soon(self._changed.set)


class Session(SessionBase, AsyncClosing):
    """A session in the election of one role, for asyncio. It starts at once and belongs to the running event loop.

    Takes what :class:`coordha.Session` takes, but for callbacks. A program reads :meth:`events` and answers them, or runs
    :meth:`terms`. At the end of an ``async with`` block the session is closed; so it is when the interpreter ends.
    """

    def __init__(self, config: Config | None = None, /, **keys: Unpack[Keys]) -> None:
        """As :meth:`coordha.Session.__init__`; must be called in the event loop that it will belong to."""
        from . import _process

        self._waiter = Waiter(self)
        self._terms: _Terms | None = None
        _process.prepare()
        self._start(config, keys, None)
        self._waiter.begin()
        _process.add(self)

    async def next_event(self) -> Event:
        """The next event; each goes to one caller. Cancelling it loses none.

        Raises :class:`coordha.EndedError` for ever once ENDED was read.
        """
        if self._terms is not None:
            raise state_error("terms() reads the events of this session; give it an on_event")
        return await self._event()

    async def events(self) -> AsyncIterator[Event]:
        """All events, up to ENDED. Answer ACTIVATE with ``activation_done`` and DEACTIVATE with ``deactivation_done``."""
        while True:
            event = await self.next_event()
            yield event
            if event.kind == EventKind.ENDED:
                return

    def terms(self, on_event: Callable[[Event], object] | None = None) -> AsyncIterator[Term]:
        """The terms of this session, one after another, up to its end; raises the error that ended it, if one did.

        Each is the context manager around the body of the term. ``on_event`` is called for every event, at once. One that
        raises is logged and ends the term.
        """
        if self._is_auto:
            raise state_error("with activation_auto the library answers, there is no body of a term to wait for")
        if self._terms is not None:
            raise state_error("terms() was called before: it reads the events of this session")
        self._terms = _Terms(self, on_event)
        return self._terms

    def txn(self, token: int) -> Txn:
        """Begins a transaction of the term ``token``: as :meth:`coordha.Session.txn`."""
        txn = Txn(self, token)
        txn._session = self
        return txn

    async def wait(self, until: Until = Until.ENDED, timeout: float | None = None) -> None:
        """Waits until the session is so far: as :meth:`coordha.Session.wait`."""
        await self._run(self._wait_operation(until, timeout))

    async def stop(self, timeout: float | None = None) -> None:
        """``request_stop``, then waits until all is over. Another task must go on answering events."""
        await self._run(self._stop_operation(timeout))

    async def close(self) -> None:
        """Ends the session for good: as :meth:`coordha.Session.close`."""
        operation = self._close_operation()
        if operation is None:
            return
        try:
            await self._run(operation)
        finally:
            if self._terms is not None:
                self._terms._follower.cancel()
            self._waiter.end()

    async def _event(self) -> Event:
        return await self._waiter.event(self._event_operation)

    async def _run(self, operation: Operation) -> Any:
        return await self._waiter.run(operation)


class Observer(ObserverBase, AsyncClosing):
    """Follows who is active in one role, for asyncio: as :class:`coordha.Observer`, but for the threads. All calls belong
    to the event loop in which it was made; ``request_stop`` may come from any thread."""

    def __init__(self, config: Config | None = None, /, **keys: Unpack[Keys]) -> None:
        """As :meth:`coordha.Observer.__init__`; must be called in the event loop that it will belong to."""
        from . import _process

        self._waiter = Waiter(self)
        _process.prepare()
        self._start(config, keys)
        self._waiter.begin()
        _process.add(self)

    async def next_event(self) -> Event:
        """The next change of who is active, however long it takes (``asyncio.wait_for`` limits it). Cancelling it loses none.

        Raises what :meth:`coordha.Observer.next_event` raises, but for the time-out.
        """
        return await self._waiter.event(self._event_operation)

    async def events(self) -> AsyncIterator[Event]:
        """All changes of who is active: as :meth:`coordha.Observer.events`."""
        while True:
            try:
                yield await self.next_event()
            except (ClosedError, EndedError):
                return

    async def close(self) -> None:
        """Ends it for good. Twice is harmless."""
        self._close()
        self._waiter.end()
