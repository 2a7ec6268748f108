"""Deletes finished watches after their time to live (``spec.ttlSecondsAfterFinished``).

The expiry times are computed from the objects, so a restart loses nothing.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from backupjobwatch.clock import loop_time
from backupjobwatch.domain.status.expiry import expiry, ttl_skipped_event
from backupjobwatch.domain.status.transitions import REPEAT_WITHIN
from backupjobwatch.errors import Conflict, KubeError, ObjectNotFound
from backupjobwatch.kube.work_queue import Workers, WorkQueue
from backupjobwatch.observability.logs import watch_fields

if TYPE_CHECKING:
    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.kube.client import KubeClient
    from backupjobwatch.kube.events import EventRecorder
    from backupjobwatch.observability.metrics.instruments import Metrics

_log = logging.getLogger(__name__)

WORKERS: Final = 4
"""Maximum number of concurrent deletions."""
EVENTS_RETRY: Final = 2.0
"""Seconds between two checks for pending Events of a watch. They are written before the watch is deleted."""
RECHECK: Final = 600.0
"""Longest delay in seconds. Delays use the monotonic clock, but the wall clock may be set meanwhile."""
REMEMBER: Final = 600.0
"""Seconds for which a deletion is remembered: watch events that were sent before it may arrive after it."""


class TTLController:
    """Queues each finished watch with a time to live until it expires."""

    def __init__(self, kube: KubeClient, recorder: EventRecorder, metrics: Metrics) -> None:
        self._kube = kube
        self._recorder = recorder
        self._watches: dict[str, Watch] = {}
        self._queue: WorkQueue[str] = WorkQueue(metrics.queue("ttl"))
        self._workers = Workers(self._queue, self._process, name="ttl", count=WORKERS)
        self._deleted: dict[str, float] = {}
        """When each watch was deleted, by uid, oldest first."""

    def start(self) -> None:
        """Start the workers."""
        self._workers.start()

    def sync(self, watch: Watch) -> None:
        """Queue *watch* until its expiry. Ignore late snapshots of a watch that was deleted."""
        self.remove(watch.uid)
        left = _left(watch)
        if left is None or watch.uid in self._deleted:
            return
        # A watch with an owner gets an Event, which is not repeated later.
        if watch.owner is None or -left <= REPEAT_WITHIN.total_seconds():
            self._watches[watch.uid] = watch
            self._queue.add_after(watch.uid, min(left, RECHECK))

    def remove(self, uid: str) -> None:
        """Drop a watch that no longer exists."""
        self._queue.remove(uid)
        self._watches.pop(uid, None)

    def stop(self) -> None:
        """Start no more deletions."""
        self._queue.close()

    async def close(self) -> None:
        """Cancel the deletions in flight."""
        await self._workers.close()

    async def _process(self, uid: str) -> None:
        watch = self._watches.get(uid)
        if watch is None:
            return
        left = _left(watch)
        if left is not None and left > 0:  # the delay was bounded, or the clock was set
            self._queue.add_after(uid, min(left, RECHECK))
        elif watch.owner is not None:
            self._recorder.record(watch, (ttl_skipped_event(watch, watch.owner),))
        elif self._recorder.has_pending(uid):
            self._queue.add_after(uid, EVENTS_RETRY)
        else:
            await self._delete(watch)

    async def _delete(self, watch: Watch) -> None:
        """Delete *watch* if it is unchanged. Otherwise, ``sync`` soon gets the newer snapshot."""
        whose = f"{watch.namespace}/{watch.name}"
        try:
            await self._kube.delete(watch)
        except ObjectNotFound:
            pass
        except Conflict:
            self._queue.add_rate_limited(watch.uid)
            return
        except KubeError as error:
            _log.warning("%s: failed to delete the finished watch: %s", whose, error, extra=watch_fields(watch))
            self._queue.add_rate_limited(watch.uid)
            return
        else:
            _log.info("%s: deleted by spec.ttlSecondsAfterFinished", whose, extra=watch_fields(watch))
        self._remember(watch.uid)

    def _remember(self, uid: str) -> None:
        self.remove(uid)
        now = loop_time()
        while self._deleted and now - self._deleted[oldest := next(iter(self._deleted))] > REMEMBER:
            del self._deleted[oldest]
        self._deleted[uid] = now


def _left(watch: Watch) -> float | None:
    end = expiry(watch)
    return None if end is None else (end - datetime.now(UTC)) / timedelta(seconds=1)
