"""What all that has to be closed has in common: blocks that close it, and a word where nobody does."""

from __future__ import annotations

import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Literal, Self


class Closing:
    """Has a name while it runs; dropped then, it says so as a file would."""

    @property
    def _running(self) -> str | None:
        """The role's name while it runs in this process; None before, afterwards and in a child of fork."""
        raise NotImplementedError

    def __del__(self) -> None:
        role = self._running
        if role is not None:
            message = f"unclosed {type(self).__module__}.{type(self).__qualname__} of the role {role!r}"
            warnings.warn(message, ResourceWarning, stacklevel=2, source=self)


class SyncClosing(Closing):
    """Closed at the end of a ``with`` block."""

    def close(self) -> None:
        """Ends it for good."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        self.close()
        return False


class AsyncClosing(Closing):
    """Closed at the end of an ``async with`` block."""

    async def close(self) -> None:
        """Ends it for good."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        await self.close()
        return False
