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

    Its events are of the kind HOLDER; ``event.holder`` is the active one, None while nobody is. The first one comes as soon
    as the store has answered. Those that name a holder come by growing token. Only the newest waits to be read:
    ``event.missed`` says how many it has replaced, so a slow reader misses what is past, never what is.

    It says what the store says, a moment ago. An active one that is cut off from the store is named until another one has
    taken over, so let servers refuse a request with a token lower than the highest they have seen. A store that cannot be
    reached is tried again for ever; what was known last stays :meth:`current`. A watch that is lost is made up for by
    reading anew; every ``election.reread_ms`` the key is read anyhow. Where the store was restored from a backup, tokens
    would not grow: then the observer ends with :class:`RegressedError` (a damaged local database: :class:`CorruptError`),
    and it is for you to start a new one.

    Everything here may be called from many threads at once, also after :meth:`close`. In a child of ``fork`` calls raise
    :class:`ForkedError`; ``request_stop`` and ``close`` leave the parent's observer as it is.

    At the end of a ``with`` block it is closed; so it is when the interpreter ends.
    """

    def __init__(self, config: Config | None = None, /, **keys: Unpack[Keys]) -> None:
        """Starts it, without waiting for the network. Takes the keyword arguments of :class:`coordha.Session`, and uses the
        role, the root, the store and ``election_reread_ms``.

        Raises ``TypeError`` for an unknown keyword argument or a value of a wrong type; :class:`ConfigError` for what is
        missing or contradicts, for a value that is not allowed, and for a file or directory that cannot be used;
        :class:`StoreError` where what lies in the local store's directory is damaged or of another version, its disk is full,
        or it stayed locked; :class:`UnsupportedError`, :class:`ResourcesError`, :class:`ForkedError`.
        """
        from . import _process

        _process.prepare()
        self._start(config, keys)
        _process.add(self)

    def next_event(self, timeout: float | None = None) -> Event:
        """The next change of who is active, or who is at all, if that was not read yet. From any threads; each goes to one
        of them. ``timeout``: how many seconds to wait for it; 0: not at all, None: until one comes.

        Raises :class:`TimeoutError`; for ever :class:`EndedError` after ``request_stop``, :class:`RegressedError` where the
        store was restored from a backup, :class:`CorruptError` where a local one is damaged, or :class:`ClosedError` after
        ``close``; :class:`InvalidArgumentError` where ``timeout`` is negative; :class:`ForkedError`.
        """
        return self._next_event(timeout)

    def events(self) -> Iterator[Event]:
        """All changes of who is active, until it is stopped or closed. Where it ends otherwise, the error of
        :meth:`next_event` is raised: :class:`RegressedError`, :class:`CorruptError`."""
        while True:
            try:
                yield self._next_event(None)
            except (ClosedError, EndedError):
                return

    def close(self) -> None:
        """Ends it for good: whoever waits is woken, and every call but ``request_stop`` and ``close`` raises
        :class:`ClosedError`. Waits for nothing that the store does; events that it gave stay yours. Twice is harmless. From
        any thread."""
        self._close()
