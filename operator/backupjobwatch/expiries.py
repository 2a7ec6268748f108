"""Deletes finished watches when their time is over (``spec.ttlSecondsAfterFinished``).

Nothing of this is kept: the times are in the objects, and those who follow them bring every object here.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from backupjobwatch.core.lifetime import describe_reprieve, expiry
from backupjobwatch.core.transitions import REPEAT_WITHIN
from backupjobwatch.errors import Conflict, ObjectGone, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from backupjobwatch.core.watch import Watch
    from backupjobwatch.step import Stepper
    from backupjobwatch.store import Store

_log = logging.getLogger(__name__)

AT_ONCE: Final = 4
"""Deletions at one time: of thousands that end together, the API server gets a few."""
RETRY: Final = 30.0
"""Seconds between two attempts."""
TOLD: Final = 2.0
"""Seconds after which it is looked again whether a watch has been told of: of one that is gone nothing is."""


class Expiries:
    """One timer for each finished watch that is not to be kept."""

    def __init__(self, store: Store, stepper: Stepper) -> None:
        self._store = store
        self._stepper = stepper
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._closed = False
        self.is_telling: Callable[[str], bool] = lambda _: False
        """Asked whether an Event of a watch, by uid, is on its way."""

    def consider(self, watch: Watch) -> None:
        """Set the timer of *watch* by what the object says now."""
        self._stop_timer(watch.uid)
        end = expiry(watch)
        if end is not None and not self._closed:
            now = datetime.now(UTC)
            if watch.owner is None or now - end <= REPEAT_WITHIN:
                self._set_timer(watch, max((end - now).total_seconds(), 0.0))

    def forget(self, uid: str) -> None:
        """Have no timer for a watch that is no more."""
        self._stop_timer(uid)
        if uid in self._tasks:
            self._tasks[uid].cancel()

    async def close(self) -> None:
        """End what is under way, and begin nothing more. Nothing is lost: see the objects."""
        self._closed = True
        for uid in [*self._timers, *self._tasks]:
            self.forget(uid)
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _stop_timer(self, uid: str) -> None:
        timer = self._timers.pop(uid, None)
        if timer is not None:
            timer.cancel()

    def _set_timer(self, watch: Watch, seconds: float) -> None:
        self._timers[watch.uid] = asyncio.get_running_loop().call_later(seconds, self._ring, watch)

    def _ring(self, watch: Watch) -> None:
        del self._timers[watch.uid]
        if watch.uid in self._tasks:  # with an earlier snapshot, of which nothing may follow for this one
            self._set_timer(watch, RETRY)
        elif watch.owner is None and self.is_telling(watch.uid):
            self._set_timer(watch, TOLD)
        else:
            task = self._tasks[watch.uid] = asyncio.create_task(self._expire(watch))
            task.add_done_callback(lambda _: self._tasks.pop(watch.uid))

    async def _expire(self, watch: Watch) -> None:
        async with self._turns:
            try:
                done = await self._spare(watch, watch.owner) if watch.owner else await self._delete(watch)
            except StoreError as error:
                _log.warning("%s/%s: not deleted yet: %s", watch.namespace, watch.name, error)
                done = False
        if not done and watch.uid not in self._timers:
            self._set_timer(watch, RETRY)

    async def _spare(self, watch: Watch, owner: str) -> bool:
        return await self._stepper.tell(watch, describe_reprieve(watch, owner))

    async def _delete(self, watch: Watch) -> bool:
        """Delete *watch* as it is known, and no other; False where that has to be tried again."""
        try:
            await self._store.delete(watch)
        except ObjectGone:
            return True
        except Conflict:  # edited, or made anew: look again
            fresh = await self._stepper.read(watch.namespace, watch.name)
            if fresh is not None and fresh.uid == watch.uid:
                self.consider(fresh)
            return True
        self._stop_timer(watch.uid)  # another snapshot of it may have come meanwhile
        _log.info("%s/%s: deleted, as spec.ttlSecondsAfterFinished has it", watch.namespace, watch.name)
        return True
