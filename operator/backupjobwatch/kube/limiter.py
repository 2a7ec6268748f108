"""Turns at what is done for a few at one time only, and queues of those who do not even begin to wait for one."""

from __future__ import annotations

import asyncio
from typing import Final, Generic, Self, TypeVar

_Item = TypeVar("_Item")

CROWD: Final = 4
"""How many wait for each turn that there is before all others had better not begin."""


class Limiter:
    """A semaphore that tells whether many, or any, have a turn or wait for one."""

    def __init__(self, at_once: int) -> None:
        self._semaphore = asyncio.Semaphore(at_once)
        self._crowd = (1 + CROWD) * at_once
        self._present = 0

    @property
    def crowded(self) -> bool:
        """Whether so many wait that others had better not begin."""
        return self._present >= self._crowd

    @property
    def idle(self) -> bool:
        """Whether nobody has a turn, or waits for one."""
        return not self._present

    async def __aenter__(self) -> Self:
        self._present += 1
        try:
            await self._semaphore.acquire()
        except BaseException:
            self._present -= 1
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._present -= 1
        self._semaphore.release()


class Queue(Generic[_Item]):
    """Those who would need a turn, and do not begin while it is crowded: a task costs as much as a watch does.

    Whoever began, and has ended, is to ask for the ``next``. Who takes turns without that is to be fewer than a crowd.
    While anybody waits in the queue that comes *before* this one, they begin here only where nobody has a turn: one by
    one, so that none is forgotten.
    """

    def __init__(self, turns: Limiter, *, before: Queue[_Item] | None = None) -> None:
        self._turns = turns
        self._before = before
        self._held: dict[str, _Item] = {}

    def __contains__(self, uid: str) -> bool:
        return uid in self._held

    def __len__(self) -> int:
        return len(self._held)

    @property
    def _closed(self) -> bool:
        return self._turns.crowded or (bool(self._before) and not self._turns.idle)

    def holds(self, uid: str, item: _Item) -> bool:
        """Hold one who wants to begin, if it is crowded; tell whether it is."""
        if closed := self._closed:
            self._held.setdefault(uid, item)
        return closed

    def next(self) -> _Item | None:
        """Return who may begin now, the one who has waited longest; None where nobody may, or wants to."""
        if not self._held or self._closed:
            return None
        return self._held.pop(next(iter(self._held)))

    def drop(self, uid: str) -> None:
        """Hold one no more, who has begun or is gone."""
        self._held.pop(uid, None)

    def clear(self) -> None:
        """Hold nobody any more."""
        self._held.clear()
