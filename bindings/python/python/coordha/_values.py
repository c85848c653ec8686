"""Enumerations of the library. The numbers are those of the C header and never change."""

from __future__ import annotations

from enum import Enum, IntEnum


class EventKind(IntEnum):
    """What an event says."""

    REGISTERED = 1
    STANDBY = 2
    ACTIVATE = 10
    ACTIVE = 11
    JEOPARDY = 12
    SAFE = 13
    DEACTIVATE = 14
    TERM_ENDED = 15
    HOLDER = 20
    DEGRADED = 21
    RECOVERED = 22
    BLOCKED = 23
    FOREIGN = 24
    TXN_DONE = 30
    ENDED = 99


class Reason(IntEnum):
    """Why a term ends or has ended, or why contending is held back."""

    STOP = 1
    RESIGN = 2
    EXPIRED = 10
    SUPERSEDED = 11
    KEY_DELETED = 12
    LEASE_LOST = 13
    REGRESSED = 14
    INTERNAL = 15
    ACTIVATION_FAILED = 20
    ACTIVATION_TIMEOUT = 21
    PAUSED = 40
    CALLBACK_BUSY = 41
    BACKOFF = 42
    MILVUS_HOLDER = 43


class Role(IntEnum):
    """The state of a session."""

    STARTING = 1
    STANDBY = 2
    ACTIVATING = 3
    ACTIVE = 4
    DEACTIVATING = 5
    ENDED = 6


class Until(IntEnum):
    """What ``wait`` waits for."""

    REGISTERED = 1
    ACTIVE = 2
    TERM_ENDING = 3
    ENDED = 4


class Answer(Enum):
    """What a callback may return beside ``None``."""

    PENDING = "pending"


PENDING = Answer.PENDING
"""Returned by on_activate or on_deactivate: activation_done or deactivation_done will be called later."""
