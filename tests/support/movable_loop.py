"""An event loop whose clock tests can move."""

from __future__ import annotations

import asyncio
import selectors


class MovableLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock tests can move forward, which immediately fires the due timers.

    Sockets and threads are not affected. A test can run minutes of polls without waiting for them.
    """

    _ahead = 0.0
    _frozen: float | None = None

    def __init__(self) -> None:
        self._selector_of_tests = _CountingSelector()
        super().__init__(self._selector_of_tests)

    @property
    def iterations(self) -> int:
        """How many iterations of the loop had work. A timer that is not due yet is no work."""
        return self._selector_of_tests.count

    def time(self) -> float:
        """Return the loop's clock."""
        return (super().time() if self._frozen is None else self._frozen) + self._ahead

    def freeze(self) -> None:
        """Stop the clock except for moves by tests, however busy the machine is. Timers also wait for moves."""
        if self._frozen is None:
            self._frozen = super().time()

    def thaw(self) -> None:
        """Let the clock run again from where it is."""
        if self._frozen is not None:
            self._ahead -= super().time() - self._frozen
            self._frozen = None

    def advance(self, seconds: float) -> None:
        """Move the clock, in any thread."""
        self.call_soon_threadsafe(self._advance, seconds)

    def _advance(self, seconds: float) -> None:
        self._ahead += seconds


class _CountingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(timeout)
        if events or timeout == 0:  # the loop does not wait if a callback is ready
            self.count += 1
        return events
