"""Exceptions: one class for each family of codes, and one for each code that programs tell apart."""

from __future__ import annotations

import builtins

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._coordha import TxnResults


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


class InvalidArgumentError(UsageError, ValueError):
    """102: an argument is not of the allowed form."""


class ClosedError(UsageError):
    """104: used after close."""


class TimeoutError(UsageError, builtins.TimeoutError):
    """105: the time limit has passed."""


class ForkedError(UsageError):
    """107: used in the child of a fork."""


class EndedError(UsageError):
    """110: the session has ended."""


class ConfigError(Error):
    """2xx: a configuration key, a value, or several together."""


class RoleError(Error):
    """3xx: the role, or a transaction of a term."""


class FencedError(RoleError):
    """301: the term is over, or was asked to end; nothing was written."""


class RoleHeldError(RoleError):
    """302: another session holds the role, and this one is exclusive."""


class CompareFailedError(RoleError):
    """321: a compare of the transaction failed; nothing was written."""

    results: TxnResults
    """The keys that were compared, as they are now."""


class UnknownOutcomeError(RoleError):
    """322: sent, and no answer: it may commit even later, though never after the term."""


class StoreError(Error):
    """4xx: the store cannot be reached, or refuses."""


class UnavailableError(StoreError):
    """401: the store cannot be reached; nothing was sent."""


class LibraryError(Error):
    """9xx: a defect of the library, caught, or no thread, descriptor or memory."""


_BY_FAMILY = {1: UsageError, 2: ConfigError, 3: RoleError, 4: StoreError}
_BY_CODE = {
    102: InvalidArgumentError,
    104: ClosedError,
    105: TimeoutError,
    107: ForkedError,
    110: EndedError,
    301: FencedError,
    302: RoleHeldError,
    321: CompareFailedError,
    322: UnknownOutcomeError,
    401: UnavailableError,
}


def make_error(code: int, name: str, message: str, details: Mapping[str, str], retriable: bool, fatal: bool) -> Error:
    """The exception for an error of the library."""
    kind = _BY_CODE.get(code) or _BY_FAMILY.get(code // 100, LibraryError)
    return kind(code, name, message, details, retriable, fatal)
