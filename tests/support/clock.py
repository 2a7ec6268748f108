"""Minutes of a whole operator, as fast as the machine can follow."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator


class OperatorClock:
    """The operator's time: the wall's, and what it was moved."""

    def __init__(self, operator: Operator, api: KubernetesApi, sim: AzureSimulator) -> None:
        self._operator = operator
        self._api = api
        self._sim = sim
        self._started = time.monotonic()
        self._moved = 0.0

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._started + self._moved

    async def advance(self, seconds: float) -> None:
        """Move it, and let the operator come to rest: what it does then must not seem to take it minutes."""
        self._operator.advance(seconds)
        self._moved += seconds
        before = -1
        while before != (now := len(self._sim.requests) + self._api.objects.version):
            before = now
            turn = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._operator._loop)
            await asyncio.wrap_future(turn)
            await asyncio.sleep(0.02)
