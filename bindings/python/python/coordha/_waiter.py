"""Waiting in an event loop: operations that the loop itself polls, told by a descriptor."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque

from ._coordha import Wakeups
from ._errors import ClosedError, EndedError
from ._term import state_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._coordha import Event, ObserverBase, Operation, SessionBase


class Waiter:
    """What one session or observer waits for in the running event loop."""

    def __init__(self, owner: SessionBase | ObserverBase) -> None:
        self.loop = asyncio.get_running_loop()
        self._owner = owner
        self._wakeups = Wakeups()
        self._operations: dict[int, tuple[Operation, asyncio.Future[Any]]] = {}
        self._numbers = itertools.count()
        self._unread: deque[Event] = deque()
        self._is_over = False

    def begin(self) -> None:
        """Begins to listen to the descriptor."""
        self.loop.add_reader(self._wakeups.fileno(), self._go_on)

    def end(self) -> None:
        """The owner was closed: whatever still waits ends with that."""
        self._is_over = True
        self._go_on()
        self.loop.remove_reader(self._wakeups.fileno())
        for _, future in self._operations.values():
            if not future.done():
                future.set_exception(_closed())

    async def event(self, begin: Callable[[], Operation]) -> Event:
        """The next event; cancelling it loses none."""
        if self._unread:
            return self._unread.popleft()
        event: Event = await self.run(begin(), self._unread)
        return event

    async def run(self, operation: Operation, unread: deque[Event] | None = None) -> Any:
        """The result of an operation; where that comes together with a cancel, it is put into ``unread``."""
        if asyncio.get_running_loop() is not self.loop:
            raise state_error("it belongs to another event loop")
        number = next(self._numbers)
        future: asyncio.Future[Any] = self.loop.create_future()
        self._operations[number] = (operation, future)
        try:
            done = operation.poll(self._wakeups, number)
            if done is None and self._is_over:
                # Nobody would hear of its end.
                raise _closed()
            return await future if done is None else done[0]
        except asyncio.CancelledError:
            has_result = future.done() and not future.cancelled() and future.exception() is None
            if unread is not None and has_result:
                unread.append(future.result())
            raise
        except EndedError:
            if self._owner.closed:
                raise _closed() from None
            raise
        finally:
            del self._operations[number]

    def _go_on(self) -> None:
        """Called by the event loop where operations can go on."""
        for number in self._wakeups.drain():
            operation, future = self._operations.get(number, (None, None))
            if operation is None or future is None or future.done():
                continue
            try:
                done = operation.poll(self._wakeups, number)
            except Exception as error:
                future.set_exception(error)
            else:
                if done is not None:
                    future.set_result(done[0])


def _closed() -> ClosedError:
    return ClosedError(104, "CLOSED", "it was closed")
