"""An event loop whose clock tests can move."""

from __future__ import annotations

import asyncio


class MovableLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock tests can move forward, which immediately fires the due timers.

    Sockets and threads are not affected. A test can run minutes of polls without waiting for them.
    """

    _ahead = 0.0
    _frozen: float | None = None

    def time(self) -> float:
        """Return the loop's clock."""
        return (super().time() if self._frozen is None else self._frozen) + self._ahead

    def freeze(self) -> None:
        """Stop the clock except for moves by tests, however busy the machine is. Timers also wait for moves."""
        self._frozen = super().time()

    def thaw(self) -> None:
        """Let the clock run again."""
        self._frozen = None

    def advance(self, seconds: float) -> None:
        """Move the clock, in any thread."""
        self.call_soon_threadsafe(self._advance, seconds)

    def _advance(self, seconds: float) -> None:
        self._ahead += seconds
