"""Run minutes of a whole operator's time as fast as the machine allows."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from tests.support.idleness import until_idle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.operator import Operator


class OperatorClock:
    """The operator's time: the real time plus the advanced time."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._started = time.monotonic()
        self._moved = 0.0
        self._frozen: float | None = None

    @property
    def elapsed(self) -> float:
        now = time.monotonic() if self._frozen is None else self._frozen
        return now - self._started + self._moved

    @contextlib.asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        """Let only ``advance`` move the clock, so that time does not pass on a busy machine."""
        if self._frozen is not None:
            yield
            return
        await self._in_loop(self._operator._loop.freeze)
        self._frozen = time.monotonic()
        try:
            yield
        finally:
            self._started += time.monotonic() - self._frozen
            self._frozen = None
            await self._in_loop(self._operator._loop.thaw)

    async def advance(self, seconds: float, *, rounds: int = 1) -> None:
        """Advance the clock, and stop it until the operator was idle *rounds* times."""
        async with self.frozen():
            self._operator.advance(seconds)
            self._moved += seconds
            for _ in range(rounds):
                await until_idle(self._operator._loop)

    async def advance_until(self, found: Callable[[], object], *, within: float, step: float = 1.0) -> float:
        """Advance until *found* returns something, for at most *within* seconds. Return the elapsed seconds."""
        since = self.elapsed
        while not found():
            assert self.elapsed - since < within, f"not within {within:g} s of the operator's time"
            await self.advance(step)
        return self.elapsed - since

    async def _in_loop(self, call: Callable[[], None]) -> None:
        async def run() -> None:
            call()

        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(run(), self._operator._loop))
