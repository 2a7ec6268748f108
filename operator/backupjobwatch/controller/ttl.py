"""Deletes finished watches when their time to live is over (``spec.ttlSecondsAfterFinished``).

Expiry times follow from the objects, so that nothing is lost in a restart.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.status.expiry import expiry, ttl_skipped_event
from backupjobwatch.domain.status.transitions import REPEAT_WITHIN
from backupjobwatch.errors import Conflict, KubeError, ObjectNotFound
from backupjobwatch.observability.logs import watch_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from backupjobwatch.controller.reconciler import Reconciler
    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.kube.client import KubeClient

_log = logging.getLogger(__name__)

AT_ONCE: Final = 4
"""Limit of concurrent deletions."""
RETRY: Final = 30.0
"""Seconds between two attempts."""
TOLD: Final = 2.0
"""Seconds between two checks whether the Events of a watch were posted: the API server refuses them once it is gone."""
RECHECK: Final = 600.0
"""Longest timer, in seconds. Timers follow the monotonic clock, and the wall clock may be set meanwhile."""
REMEMBER: Final = 600.0
"""Seconds for which a deletion is remembered: watch events that were sent before it may arrive after it."""


class TTLController:
    """One timer for each finished watch with a time to live."""

    def __init__(self, kube: KubeClient, reconciler: Reconciler) -> None:
        self._kube = kube
        self._reconciler = reconciler
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._deleted: dict[str, float] = {}
        """When each watch was deleted, by uid, oldest first."""
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._closed = False
        self.has_pending_events: Callable[[str], bool] = lambda _: False
        """Called with a uid; returns whether an Event of that watch is about to be posted."""

    def sync(self, watch: Watch) -> None:
        """Set the timer of *watch* from its latest snapshot. Ignore late snapshots of a watch that was deleted."""
        self._stop_timer(watch.uid)
        left = self._left(watch)
        if left is None or self._closed or watch.uid in self._deleted:
            return
        if watch.owner is None or -left <= REPEAT_WITHIN:
            self._set_timer(watch, left.total_seconds())

    def remove(self, uid: str) -> None:
        """Drop the timer and the task of a watch that no longer exists."""
        self._stop_timer(uid)
        if uid in self._tasks:
            self._tasks[uid].cancel()
            self._remember(uid)

    async def close(self) -> None:
        """Cancel all timers and tasks, and start no more."""
        self._closed = True
        for uid in [*self._timers, *self._tasks]:
            self.remove(uid)
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _left(self, watch: Watch) -> timedelta | None:
        end = expiry(watch)
        return None if end is None else end - datetime.now(UTC)

    def _stop_timer(self, uid: str) -> None:
        timer = self._timers.pop(uid, None)
        if timer is not None:
            timer.cancel()

    def _set_timer(self, watch: Watch, seconds: float) -> None:
        delay = min(max(seconds, 0.0), RECHECK)
        self._timers[watch.uid] = asyncio.get_running_loop().call_later(delay, self._ring, watch)

    def _ring(self, watch: Watch) -> None:
        del self._timers[watch.uid]
        left = self._left(watch)
        if left is not None and left > timedelta():
            self._set_timer(watch, left.total_seconds())
        elif watch.uid in self._tasks:  # its snapshot is older, and says nothing about this one
            self._set_timer(watch, RETRY)
        elif watch.owner is None and self.has_pending_events(watch.uid):
            self._set_timer(watch, TOLD)
        else:
            task = self._tasks[watch.uid] = asyncio.create_task(self._expire(watch))
            task.add_done_callback(lambda _: self._tasks.pop(watch.uid))

    async def _expire(self, watch: Watch) -> None:
        async with self._turns:
            left = self._left(watch)
            if left is not None and left > timedelta():  # the clock was set while this task was queued
                self._set_timer(watch, left.total_seconds())
                return
            try:
                done = await self._spare(watch, watch.owner) if watch.owner else await self._delete(watch)
            except KubeError as error:
                _log.warning(
                    "%s/%s: not deleted yet: %s", watch.namespace, watch.name, error, extra=watch_fields(watch)
                )
                done = False
        if not done and watch.uid not in self._timers:
            self._set_timer(watch, RETRY)

    async def _spare(self, watch: Watch, owner: str) -> bool:
        return await self._reconciler.emit_event(watch, ttl_skipped_event(watch, owner))

    async def _delete(self, watch: Watch) -> bool:
        """Delete *watch* if it is unchanged. Return False if the deletion has to be retried."""
        try:
            await self._kube.delete(watch)
        except ObjectNotFound:
            self._remember(watch.uid)
            return True
        except Conflict:
            fresh = await self._reconciler.read(watch.namespace, watch.name)
            if fresh is None or fresh.uid != watch.uid:
                return True
            if fresh.resource_version == watch.resource_version:  # refused for another reason than an edit
                return False
            self.sync(fresh)
            return True
        self._remember(watch.uid)
        _log.info(
            "%s/%s: deleted after spec.ttlSecondsAfterFinished", watch.namespace, watch.name, extra=watch_fields(watch)
        )
        return True

    def _remember(self, uid: str) -> None:
        self._stop_timer(uid)
        now = asyncio.get_running_loop().time()
        while self._deleted and now - self._deleted[oldest := next(iter(self._deleted))] > REMEMBER:
            del self._deleted[oldest]
        self._deleted[uid] = now
