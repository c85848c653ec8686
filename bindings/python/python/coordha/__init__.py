"""Active-standby for coordinators: processes of one role stand in an election, and one of them is active.

A program starts a :class:`Session` and runs a term body each time it is chosen::

    with coordha.Session(role="rootcoord", address="10.0.0.5:53100", active_standby=True) as session:
        signal.signal(signal.SIGTERM, lambda *_: session.request_stop())
        for term in session.terms():
            with term:
                load()
                term.ready()      # from now on session.is_active is True
                term.ending()     # waits until asked to end, or lost
                drain(term)

``coordha.aio`` has the same for asyncio. Importing this starts nothing. Time limits are in seconds, ``None`` is for ever; names
that end in ``_ms`` are in milliseconds. What the library says goes to ``logging``, logger ``coordha``.
"""

from __future__ import annotations

from ._coordha import Config, Event, Holder, KeyValue, TxnResults, __version__
from ._errors import (
    ClosedError,
    CompareFailedError,
    ConfigError,
    EndedError,
    Error,
    FencedError,
    ForkedError,
    InvalidArgumentError,
    LibraryError,
    RoleError,
    RoleHeldError,
    StoreError,
    TimeoutError,
    UnavailableError,
    UnknownOutcomeError,
    UsageError,
)
from ._observer import Observer
from ._session import Session, Term, Txn
from ._values import PENDING, Answer, EventKind, Reason, Role, Until

# Checkers know the name; `typing` would be half of the time that the import takes.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from . import aio

__all__ = [
    "PENDING",
    "Answer",
    "ClosedError",
    "CompareFailedError",
    "Config",
    "ConfigError",
    "EndedError",
    "Error",
    "Event",
    "EventKind",
    "FencedError",
    "ForkedError",
    "Holder",
    "InvalidArgumentError",
    "KeyValue",
    "LibraryError",
    "Observer",
    "Reason",
    "Role",
    "RoleError",
    "RoleHeldError",
    "Session",
    "StoreError",
    "Term",
    "TimeoutError",
    "Txn",
    "TxnResults",
    "UnavailableError",
    "UnknownOutcomeError",
    "Until",
    "UsageError",
    "__version__",
    "aio",
]


def __getattr__(name: str) -> ModuleType:
    """``coordha.aio`` is loaded when it is used: many programs have no event loop."""
    if name == "aio":
        from importlib import import_module

        return import_module(".aio", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
