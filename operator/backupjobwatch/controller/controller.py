"""The controller: one work queue, and workers that reconcile one watch at a time each."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from backupjobwatch.controller.watch_state import WatchState
from backupjobwatch.domain.polling import schedule
from backupjobwatch.domain.polling.observations import NEVER
from backupjobwatch.errors import KubeError
from backupjobwatch.kube.work_queue import Workers, WorkQueue
from backupjobwatch.observability.logs import watch_fields

if TYPE_CHECKING:
    from datetime import timedelta

    from backupjobwatch.arm.poller import Poller
    from backupjobwatch.controller.reconciler import Reconciler
    from backupjobwatch.controller.ttl import TTLController
    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.status.notifications import DeliveryResult
    from backupjobwatch.domain.status.summary import Summary
    from backupjobwatch.kube.events import EventRecorder
    from backupjobwatch.kube.work_queue import QueueMetrics
    from backupjobwatch.notify.dispatcher import NotificationDispatcher

_log = logging.getLogger(__name__)

WORKERS: Final = 32
"""Reconciles at the same time. Each waits for the API server only."""
COUNT_EVERY: Final = 10.0
"""Seconds between two counts of the watches that are polled."""
HIGH: Final = 1
"""Priority of what users and Azure change, before what is only seen again after a restart or by a resync."""


class Controller:
    """Keeps the state of every watch and decides, by its queue, which one is reconciled next."""

    def __init__(
        self,
        reconciler: Reconciler,
        poller: Poller,
        recorder: EventRecorder,
        dispatcher: NotificationDispatcher,
        ttl: TTLController,
        *,
        heartbeat: timedelta,
        queue_metrics: QueueMetrics | None = None,
    ) -> None:
        self._reconciler = reconciler
        self._poller = poller
        self._recorder = recorder
        self._dispatcher = dispatcher
        self._ttl = ttl
        self._states: dict[str, WatchState] = {}
        self._heartbeat = heartbeat
        self._polled, self._counted_at = 0, NEVER
        self.queue: WorkQueue[str] = WorkQueue(queue_metrics)
        self._workers = Workers(self.queue, self._process, name="reconcile", count=WORKERS)
        poller.on_observation = partial(self.queue.add, priority=HIGH)
        dispatcher.on_delivered = self.record_deliveries

    @property
    def uids(self) -> frozenset[str]:
        """The uids of all watches."""
        return frozenset(self._states)

    @property
    def summaries(self) -> list[Summary]:
        """What metrics report of each watch."""
        return [state.summary for state in self._states.values()]

    def start(self) -> None:
        """Start the workers."""
        self._workers.start()
        self._recorder.start()
        self._ttl.start()

    def resume(self) -> None:
        """Enqueue every watch after kopf has failed: it cancels deliveries, among all other tasks."""
        for uid, state in self._states.items():
            state.handed_over = ""
            self.queue.add(uid)

    def snapshot(self, uid: str) -> Watch | None:
        """Return the latest snapshot of a watch; None for one that is not known."""
        state = self._states.get(uid)
        return None if state is None else state.watch

    def on_event(self, watch: Watch) -> timedelta | None:
        """Store an object as the cluster has it, and enqueue it. Return how often it is polled; None for not at all."""
        state = self._states.get(watch.uid)
        if state is None:
            state = self._add(watch)
            self.queue.add(watch.uid)
            self._reconciler.require(state)  # all workers may be waiting for the API server
        elif state.store(watch, _clock(), is_read=not state.watch.spec):  # which the resync knows by its metadata only
            self.queue.add(watch.uid, HIGH)
        return state.interval

    def tick(self, uid: str) -> bool:
        """Poll what a watch requires, if that is due. Return False if the watch is not known."""
        self._poller.mark_due(uid)
        return uid in self._states

    def resync(self, metadata: Watch, *, listed_since: float) -> None:
        """Compare a watch with its *metadata* in a list that was begun at that time, and make up for what was missed."""
        state = self._states.get(metadata.uid)
        if state is None:
            # Without a version, so that its missing spec and status never pass for those of the object.
            state = self._add(replace(metadata, resource_version=""))
        elif metadata.resource_version == state.watch.resource_version or state.stored_at >= listed_since:
            if self._poller.is_overdue(metadata.uid):
                self._poller.mark_due(metadata.uid)
            return
        state.is_outdated = True
        self.queue.add(metadata.uid)

    def remove(self, uid: str) -> None:
        """Drop a watch that no longer exists."""
        self._states.pop(uid, None)
        self.queue.remove(uid)
        self._poller.release(uid)
        self._recorder.remove(uid)
        self._dispatcher.remove(uid)
        self._ttl.remove(uid)

    def record_deliveries(self, watch: Watch, deliveries: tuple[DeliveryResult, ...]) -> None:
        """Enqueue a watch whose notifications were delivered, or were not, so that its status says so."""
        state = self._states.get(watch.uid)
        if state is not None:
            state.deliveries = deliveries
            self.queue.add(watch.uid, HIGH)

    async def close(self, patience: float) -> None:
        """Send no more requests to Azure, and give what is under way *patience* seconds. The objects hold the rest."""
        end = _clock() + patience
        self._poller.stop()
        self._ttl.stop()
        await asyncio.gather(self._dispatcher.close(), self._poller.close(patience))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.queue.drained(), max(end - _clock(), 0.0))
        await self._workers.close()
        await self._recorder.close(max(end - _clock(), 0.0))
        await self._ttl.close()
        for uid in self.uids:
            self.remove(uid)

    def _add(self, watch: Watch) -> WatchState:
        now = _clock()
        state = self._states[watch.uid] = WatchState(watch=watch, stored_at=now, since=now)
        return state

    def _heartbeat_of(self, uid: str) -> timedelta:
        """Return after how long an unchanged status is written again. It grows with the number of watches that are polled."""
        if _clock() >= self._counted_at + COUNT_EVERY:  # of the watches that are kept, most have ended
            self._polled = sum(state.interval is not None for state in self._states.values())
            self._counted_at = _clock()
        return schedule.heartbeat(self._heartbeat, self._polled, seed=uid)

    async def _process(self, uid: str) -> None:
        state = self._states.get(uid)
        if state is not None:
            await self._reconcile(state)
            if uid not in self._states:  # It was removed meanwhile, and the reconcile has required its queries again.
                self.remove(uid)

    async def _reconcile(self, state: WatchState) -> None:
        uid, watch = state.watch.uid, state.watch
        try:
            after = await self._reconciler.reconcile(state, heartbeat=self._heartbeat_of(uid))
        except KubeError as error:
            _log.warning(
                "%s/%s: the status was not written: %s", watch.namespace, watch.name, error, extra=watch_fields(watch)
            )
            self.queue.add_rate_limited(uid)
        except Exception:  # noqa: BLE001 -- a defect: one watch must not take the others with it
            _log.exception("%s/%s: the reconcile failed", watch.namespace, watch.name, extra=watch_fields(watch))
            self.queue.add_rate_limited(uid)
        else:
            self.queue.forget(uid)
            if after is not None:
                self.queue.add_after(uid, after)
        if uid in self._states and state.handed_over != state.watch.resource_version and not state.is_outdated:
            state.handed_over = state.watch.resource_version
            self._dispatcher.sync(state.watch)
            self._ttl.sync(state.watch)


def _clock() -> float:
    return asyncio.get_running_loop().time()
