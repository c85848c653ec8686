"""What the terms of both kinds of sessions have in common: how a term is answered."""

from __future__ import annotations

from ._errors import EndedError, FencedError, StateError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ._coordha import Event, SessionBase
    from ._values import Reason


def state_error(message: str) -> StateError:
    """The error of a call that comes at the wrong time."""
    return StateError(103, "STATE", message)


def show(session: SessionBase, on_event: Callable[[Event], object], event: Event) -> None:
    """Calls ``on_event``; what it raises is logged and ends the term."""
    try:
        on_event(event)
    except Exception as error:
        from ._logging import report

        report(event.role_name, "on_event", error)
        try:
            if session.fencing_token:
                session.resign()
        except UsageError:
            pass  # it has ended meanwhile


class TermBase:
    """One term of the role: what its body knows of it."""

    _session: Any  # of the kind that the term is of

    def __init__(self, session: SessionBase, event: Event) -> None:
        """Made by ``terms()`` alone."""
        self._session = session
        self._token = event.token
        self._is_ready = False
        self._reason: Reason | None = None

    @property
    def token(self) -> int:
        """The fencing token of the term."""
        return self._token

    @property
    def held(self) -> bool:
        """Whether the role is still held in this term: may its work still act?"""
        held: bool = self._session.holds(self._token)
        return held

    @property
    def is_ending(self) -> bool:
        """Whether the term was asked to end, or is over."""
        is_ending: bool = self._session.is_ending(self._token)
        return is_ending

    @property
    def reason(self) -> Reason | None:
        """Why the term ends, once that was told."""
        return self._reason

    def ready(self) -> None:
        """Says "ready": from now on ``is_active`` is True.

        Raises :class:`FencedError` where the term was asked to end, or is over.
        """
        self._session.activation_done(self._token)
        self._is_ready = True

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__qualname__} token={self._token} ready={self._is_ready}>"

    def _tell(self, error: BaseException | None) -> None:
        """Tells the session that the body is over; with an error, it has failed by that."""
        if error is not None and not self._is_expected(error):
            from ._logging import report

            report(self._session.role_name, "the body of the term", error)
        try:
            if not self._is_ready:
                returned = "the term's body returned before it was ready"
                why = returned if error is None else f"{type(error).__name__}: {error}"
                try:
                    self._session.activation_done(self._token, failed=why)
                except StateError:  # somebody else has said ready
                    self._session.resign()
            elif not self.is_ending:
                self._session.resign()
        except UsageError as refused:
            self._check(refused)
        except FencedError:
            pass  # it has ended meanwhile

    def _leave(self) -> None:
        """Says "left": nothing of this term runs any more."""
        try:
            self._session.deactivation_done(self._token)
        except UsageError as refused:
            self._check(refused)
        except FencedError:
            pass  # the limit has passed meanwhile

    def _is_expected(self, error: BaseException) -> bool:
        """Whether the error says no more than that the term ends."""
        return isinstance(error, FencedError) and self.is_ending or not isinstance(error, Exception)

    def _check(self, refused: UsageError) -> None:
        """Raises what was refused for another reason than that the session is over."""
        if not isinstance(refused, EndedError) and not self._session.closed:
            raise refused
