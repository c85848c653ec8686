"""Exceptions: a class for each code of the C header, below one for each family of codes."""

from __future__ import annotations

import builtins

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._coordha import TxnResults

_by_code: dict[int, type[Error]] = {}


class Error(Exception):
    """Whatever the library refuses or fails at; every exception of its own is one."""

    code: int
    """The number that the C header gives it."""
    name: str
    """The name that the C header gives it, without ``HA_ERR_``."""
    message: str
    """What happened, in words."""
    details: Mapping[str, str]
    """All details by name."""
    retriable: bool
    """Whether the same call may succeed later without any change."""
    fatal: bool
    """Whether a session that meets it ends."""

    def __init_subclass__(cls, code: int | None = None) -> None:
        """``code``: the one that the class is for, where it is not for a family."""
        if code is not None:
            cls.code = code
            _by_code[code] = cls

    def __init__(
        self,
        code: int,
        name: str,
        message: str,
        details: Mapping[str, str] | None = None,
        retriable: bool = False,
        fatal: bool = False,
    ) -> None:
        super().__init__(code, name, message, details, retriable, fatal)
        self.code, self.name, self.message = code, name, message
        self.details = dict(details or {})
        self.retriable, self.fatal = retriable, fatal

    @property
    def key(self) -> str | None:
        """The configuration key, or the key in the store, that it is about."""
        return self.details.get("key")

    @property
    def value(self) -> str | None:
        """The value that is not allowed; ``***`` where it is a secret."""
        return self.details.get("value")

    @property
    def allowed(self) -> str | None:
        """What is allowed, in words."""
        return self.details.get("allowed")

    def __str__(self) -> str:
        return f"{self.message} [{self.name}]"


class UsageError(Error):
    """1xx: the call itself is wrong, or comes at the wrong time."""


class NullError(UsageError, code=101):
    """101: nothing was given where something must be."""


class InvalidArgumentError(UsageError, ValueError, code=102):
    """102: an argument is not of the allowed form."""


class StateError(UsageError, code=103):
    """103: not possible in the present state."""


class ClosedError(UsageError, code=104):
    """104: used after close."""


class TimeoutError(UsageError, builtins.TimeoutError, code=105):
    """105: the time limit has passed; nothing else happened."""


class InCallbackError(UsageError, code=106):
    """106: in a callback it would wait for itself."""


class ForkedError(UsageError, code=107):
    """107: used in the child of a fork: it is the parent's."""


class UnsupportedError(UsageError, code=108):
    """108: this build or version of the library cannot do it."""


class BusyError(UsageError, code=109):
    """109: too much is waiting already."""


class EndedError(UsageError, code=110):
    """110: the session has ended, or its last event was read."""


class AlreadyStartedError(UsageError, code=111):
    """111: this process has a session with the same role and address."""


class ConfigError(Error):
    """2xx: a configuration key, a value, or several together."""


class ConfigKeyError(ConfigError, code=201):
    """201: no such key."""


class ConfigValueError(ConfigError, code=202):
    """202: the value is not allowed; ``key``, ``value`` and ``allowed`` say more."""


class ConfigMissingError(ConfigError, code=203):
    """203: a required key has no value."""


class ConfigConflictError(ConfigError, code=204):
    """204: two values contradict each other."""


class ConfigFileError(ConfigError, code=205):
    """205: a file cannot be read."""


class RoleError(Error):
    """3xx: the role, or a transaction of a term."""


class FencedError(RoleError, code=301):
    """301: the term is over, or was asked to end; nothing was written."""


class RoleHeldError(RoleError, code=302):
    """302: another session holds the role, and this one is exclusive."""


class ActivationFailedError(RoleError, code=303):
    """303: the program could not become ready."""


class NoTargetError(RoleError, code=304):
    """304: no session can take the role over."""


class CompareFailedError(RoleError, code=321):
    """321: a compare of the transaction failed; nothing was written."""

    results: TxnResults
    """The keys that were compared, as they are now."""


class UnknownOutcomeError(RoleError, code=322):
    """322: sent, and no answer: it may commit even later, though never after the term."""


class TooLargeError(RoleError, code=323):
    """323: more operations or bytes than a transaction may have."""


class StoreError(Error):
    """4xx: the store cannot be reached, or refuses."""


class UnavailableError(StoreError, code=401):
    """401: the store cannot be reached; nothing was sent."""


class AuthError(StoreError, code=402):
    """402: the store refused the user or the password."""


class PermissionError(StoreError, builtins.PermissionError, code=403):
    """403: the store's user may not do it."""


class TlsError(StoreError, code=404):
    """404: TLS could not be set up."""


class NoSpaceError(StoreError, code=405):
    """405: the store has no space left; nothing was written."""


class RegressedError(StoreError, code=406):
    """406: the store's revision went back, as after a restore from a backup."""


class CorruptError(StoreError, code=407):
    """407: a key of the library holds garbage; ``key`` names it."""


class StoreVersionError(StoreError, code=408):
    """408: the store's version cannot be used."""


class LibraryError(Error):
    """9xx: a defect of the library, caught, or no thread, descriptor or memory."""


class InternalError(LibraryError, code=901):
    """901: a defect of the library, caught; the session that met it is lost."""


class ResourcesError(LibraryError, code=902):
    """902: the system gave no thread, descriptor or memory."""


def make_error(code: int, name: str, message: str, details: Mapping[str, str], retriable: bool, fatal: bool) -> Error:
    """The exception for an error of the library."""
    return _by_code.get(code, Error)(code, name, message, details, retriable, fatal)
