"""One request under way for all who want the same thing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Hashable

_Value = TypeVar("_Value")


class SingleFlight:
    """Requests under way, by what they ask for. Each outlives the one who began it: its end is not the others'."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, asyncio.Task[Any]] = {}

    async def fly(self, key: Hashable, request: Coroutine[Any, Any, _Value]) -> _Value:
        """Make *request*, or drop it and join the one for *key* that is under way."""
        if key in self._flights:
            request.close()
        else:
            self._flights[key] = asyncio.create_task(self._land(key, request))
        result: _Value = await asyncio.shield(self._flights[key])
        return result

    def close(self) -> None:
        """End what is under way, when nobody waits for it any more."""
        for flight in self._flights.values():
            flight.cancel()

    async def _land(self, key: Hashable, request: Coroutine[Any, Any, _Value]) -> _Value:
        try:
            return await request
        finally:  # at once, not by a callback: those who find an ended flight would join it again and again
            del self._flights[key]
