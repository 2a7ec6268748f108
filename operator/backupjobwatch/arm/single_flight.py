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

    def __contains__(self, key: Hashable) -> bool:
        """Tell whether *key* is being asked for."""
        return key in self._flights

    def __len__(self) -> int:
        """Count what is being asked for."""
        return len(self._flights)

    async def join(self, key: Hashable) -> Any:
        """Return, or raise, what becomes of the request for *key* that is under way; KeyError where none is."""
        return await asyncio.shield(self._flights[key])

    async def fly(self, key: Hashable, request: Coroutine[Any, Any, _Value]) -> _Value:
        """Make *request*, or drop it and join the one for *key* that is under way."""
        if key in self._flights:
            request.close()
        else:
            self._flights[key] = asyncio.create_task(self._land(key, request))
        result: _Value = await self.join(key)
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
