"""Turns at what is done for a few at one time only, and queues of those who do not even begin to wait for one."""

from __future__ import annotations

import asyncio
from typing import Final, Self

CROWD: Final = 4
"""How many wait for each turn that there is before all others had better not begin."""


class Turns:
    """A semaphore that tells when too many wait for it."""

    def __init__(self, at_once: int) -> None:
        self._semaphore = asyncio.Semaphore(at_once)
        self._crowd = CROWD * at_once
        self._waiting = 0

    @property
    def crowded(self) -> bool:
        """Whether so many wait that others had better not begin."""
        return self._waiting >= self._crowd

    async def __aenter__(self) -> Self:
        self._waiting += 1
        try:
            await self._semaphore.acquire()
        finally:
            self._waiting -= 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self._semaphore.release()


class Queue:
    """Those who would need a turn, and do not begin while it is crowded: a task costs as much as a watch does.

    Whoever ends something that he had a turn for is to ask for the ``next``, so that it is never empty of those who ask.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._held: dict[str, None] = {}

    def __contains__(self, uid: str) -> bool:
        return uid in self._held

    def holds(self, uid: str) -> bool:
        """Hold one who wants to begin, if it is crowded; tell whether it is."""
        if self._turns.crowded:
            self._held.setdefault(uid)
        return self._turns.crowded

    def next(self) -> str | None:
        """Return who may begin now, the one who has waited longest; None where nobody may, or wants to."""
        if self._turns.crowded or not self._held:
            return None
        uid = next(iter(self._held))
        del self._held[uid]
        return uid
