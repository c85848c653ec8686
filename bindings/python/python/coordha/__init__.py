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

from ._coordha import Config, Event, Holder, KeyValue, TxnResults, __version__, metrics_text
from ._errors import (
    ActivationFailedError,
    AlreadyStartedError,
    AuthError,
    BusyError,
    ClosedError,
    CompareFailedError,
    ConfigConflictError,
    ConfigError,
    ConfigFileError,
    ConfigKeyError,
    ConfigMissingError,
    ConfigValueError,
    CorruptError,
    EndedError,
    Error,
    FencedError,
    ForkedError,
    InCallbackError,
    InternalError,
    InvalidArgumentError,
    LibraryError,
    NoSpaceError,
    NoTargetError,
    NullError,
    PermissionError,
    RegressedError,
    ResourcesError,
    RoleError,
    RoleHeldError,
    StateError,
    StoreError,
    StoreVersionError,
    TimeoutError,
    TlsError,
    TooLargeError,
    UnavailableError,
    UnknownOutcomeError,
    UnsupportedError,
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
    "ActivationFailedError",
    "AlreadyStartedError",
    "Answer",
    "AuthError",
    "BusyError",
    "ClosedError",
    "CompareFailedError",
    "Config",
    "ConfigConflictError",
    "ConfigError",
    "ConfigFileError",
    "ConfigKeyError",
    "ConfigMissingError",
    "ConfigValueError",
    "CorruptError",
    "EndedError",
    "Error",
    "Event",
    "EventKind",
    "FencedError",
    "ForkedError",
    "Holder",
    "InCallbackError",
    "InternalError",
    "InvalidArgumentError",
    "KeyValue",
    "LibraryError",
    "NoSpaceError",
    "NoTargetError",
    "NullError",
    "Observer",
    "PermissionError",
    "Reason",
    "RegressedError",
    "ResourcesError",
    "Role",
    "RoleError",
    "RoleHeldError",
    "Session",
    "StateError",
    "StoreError",
    "StoreVersionError",
    "Term",
    "TimeoutError",
    "TlsError",
    "TooLargeError",
    "Txn",
    "TxnResults",
    "UnavailableError",
    "UnknownOutcomeError",
    "UnsupportedError",
    "Until",
    "UsageError",
    "__version__",
    "aio",
    "metrics_text",
]


def __getattr__(name: str) -> ModuleType:
    """``coordha.aio`` is loaded when it is used: many programs have no event loop."""
    if name == "aio":
        from importlib import import_module

        return import_module(".aio", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
