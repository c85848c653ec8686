"""Who is active, for programs with threads that stand in no election."""

from __future__ import annotations

from ._closing import SyncClosing
from ._coordha import ObserverBase
from ._errors import ClosedError, EndedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Unpack

    from ._coordha import Config, Event
    from ._keys import Keys


class Observer(ObserverBase, SyncClosing):
    """Follows who is active in one role, without standing in its election: nothing is registered, no address is needed.

    Its events are of the kind HOLDER; ``event.holder`` is the active one, None while nobody is. Those that name a holder
    come by growing token. Only the newest waits to be read: ``event.missed`` says how many it has replaced.
    """

    def __init__(self, config: Config | None = None, /, **keys: Unpack[Keys]) -> None:
        """Starts it, without waiting for the network. Takes the keyword arguments of :class:`coordha.Session`, and uses the
        role, the root and the store."""
        from . import _process

        _process.prepare()
        self._start(config, keys)
        _process.add(self)

    def next_event(self, timeout: float | None = None) -> Event:
        """The next change of who is active, or who is at all, if that was not read yet. Each goes to one caller.

        Raises :class:`TimeoutError`; :class:`EndedError` for ever after ``request_stop``; :class:`StoreError` where the
        store was restored from a backup, so that tokens would not grow.
        """
        return self._next_event(timeout)

    def events(self) -> Iterator[Event]:
        """All changes of who is active, until it is stopped or closed."""
        while True:
            try:
                yield self._next_event(None)
            except (ClosedError, EndedError):
                return

    def close(self) -> None:
        """Ends it for good. Twice is harmless."""
        self._close()
