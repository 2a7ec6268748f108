"""The controller: one work queue, and workers that each reconcile one watch at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from backupjobwatch.clock import loop_time
from backupjobwatch.controller.watch_state import WatchState
from backupjobwatch.domain.polling import schedule
from backupjobwatch.domain.polling.observations import NEVER
from backupjobwatch.errors import KubeError
from backupjobwatch.kube.work_queue import Workers
from backupjobwatch.observability.logs import watch_fields

if TYPE_CHECKING:
    from datetime import timedelta

    from backupjobwatch.arm.poller import Poller
    from backupjobwatch.controller.backup_requester import BackupRequester
    from backupjobwatch.controller.reconciler import Reconciler
    from backupjobwatch.controller.ttl import TTLController
    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.polling.backup_plan import RequestResult
    from backupjobwatch.domain.status.notifications import DeliveryResult
    from backupjobwatch.domain.status.summary import Summary
    from backupjobwatch.kube.events import EventRecorder
    from backupjobwatch.kube.work_queue import WorkQueue
    from backupjobwatch.notify.dispatcher import NotificationDispatcher

_log = logging.getLogger(__name__)

WORKERS: Final = 32
"""Maximum number of concurrent reconciles. A reconcile waits only for the API server."""
COUNT_EVERY: Final = 10.0
"""Seconds between two counts of the watches that are polled."""
HIGH: Final = 1
"""Priority of edits, deliveries and Azure's results. New watches, of which a restart lists thousands, have priority 0."""


class Controller:
    """Keeps the state of every watch, and reconciles the watches in the order of its queue."""

    def __init__(
        self,
        queue: WorkQueue[str],
        reconciler: Reconciler,
        poller: Poller,
        recorder: EventRecorder,
        *,
        dispatcher: NotificationDispatcher,
        ttl: TTLController,
        requester: BackupRequester,
        heartbeat: timedelta,
    ) -> None:
        self.queue = queue
        self._reconciler = reconciler
        self._poller = poller
        self._recorder = recorder
        self._dispatcher = dispatcher
        self._ttl = ttl
        self._requester = requester
        self._states: dict[str, WatchState] = {}
        self._heartbeat = heartbeat
        self._polled, self._counted_at = 0, NEVER
        self._workers = Workers(self.queue, self._process, name="reconcile", count=WORKERS)
        dispatcher.on_delivered = self.record_deliveries
        requester.on_result = self.record_backup_result
        requester.snapshot = self.snapshot

    @property
    def uids(self) -> frozenset[str]:
        """The uids of all watches."""
        return frozenset(self._states)

    def summaries(self) -> list[Summary]:
        """Return summaries of all watches, for the metrics."""
        return [state.summary for state in self._states.values()]

    def start(self) -> None:
        """Start the workers."""
        self._workers.start()
        self._recorder.start()
        self._ttl.start()
        self._requester.start()

    def resume(self) -> None:
        """Enqueue every watch after kopf failed, and sync it again: kopf has cancelled all tasks, including deliveries."""
        for uid, state in self._states.items():
            state.synced_version = ""
            self.queue.add(uid)

    def snapshot(self, uid: str) -> Watch | None:
        """Return the latest snapshot of a watch; None if the watch is unknown."""
        state = self._states.get(uid)
        return None if state is None else state.watch

    def on_event(self, watch: Watch) -> timedelta | None:
        """Store a snapshot and enqueue the watch. Return its poll interval; None if it is not polled."""
        state = self._states.get(watch.uid)
        if state is None:
            state = self._add(watch)
            self.queue.add(watch.uid)
            self._reconciler.start_polls(state)  # poll even if all workers wait for the API server
        elif state.store(watch, loop_time(), is_read=not state.watch.spec):  # a resync stores no spec
            self.queue.add(watch.uid, HIGH)
        return state.interval

    def tick(self, uid: str) -> bool:
        """Poll what a watch requires, if it is due. Return False if the watch is unknown."""
        self._poller.mark_due(uid)
        return uid in self._states

    def resync(self, metadata: Watch, *, listed_since: float) -> None:
        """Enqueue a watch whose *metadata* shows a missed event. The list was requested at *listed_since*."""
        state = self._states.get(metadata.uid)
        if state is None:
            # Clear the version: this snapshot has no spec and no status, and must not count as up to date.
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
        self._requester.remove(uid)

    def record_deliveries(self, watch: Watch, deliveries: tuple[DeliveryResult, ...]) -> None:
        """Enqueue a watch to record the results of its deliveries in its status."""
        state = self._states.get(watch.uid)
        if state is not None:
            state.deliveries = deliveries
            self.queue.add(watch.uid, HIGH)

    def record_backup_result(self, uid: str, result: RequestResult) -> None:
        """Enqueue a watch to record the result of its backup request in its status."""
        state = self._states.get(uid)
        if state is not None:
            state.backup_result = result
            self.queue.add(uid, HIGH)

    async def close(self, drain_timeout: float) -> None:
        """Stop polling, and wait up to *drain_timeout* seconds for work in flight. The objects hold all other state."""
        end = loop_time() + drain_timeout
        self._poller.stop()
        self._ttl.stop()
        self._requester.stop()
        await asyncio.gather(
            self._dispatcher.close(), self._poller.close(drain_timeout), self._requester.close(drain_timeout)
        )
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.queue.drained(), max(end - loop_time(), 0.0))
        await self._workers.close()
        await self._recorder.close(max(end - loop_time(), 0.0))
        await self._ttl.close()
        for uid in self.uids:
            self.remove(uid)

    def _add(self, watch: Watch) -> WatchState:
        now = loop_time()
        state = self._states[watch.uid] = WatchState(watch=watch, stored_at=now, since=now)
        return state

    def _heartbeat_of(self, uid: str) -> timedelta:
        """Return after how long an unchanged status is written again. It grows with the number of polled watches."""
        if loop_time() >= self._counted_at + COUNT_EVERY:  # most watches have ended and do not count
            self._polled = sum(state.interval is not None for state in self._states.values())
            self._counted_at = loop_time()
        return schedule.heartbeat(self._heartbeat, self._polled, seed=uid)

    async def _process(self, uid: str) -> None:
        state = self._states.get(uid)
        if state is None:
            return
        whose, fields = f"{state.watch.namespace}/{state.watch.name}", watch_fields(state.watch)
        try:
            after = await self._reconciler.reconcile(state, heartbeat=self._heartbeat_of(uid))
        except KubeError as error:
            _log.warning("%s: failed to write the status: %s", whose, error, extra=fields)
            self.queue.add_rate_limited(uid)
        except Exception:  # noqa: BLE001 -- a defect of one watch must not stop the others
            _log.exception("%s: failed to reconcile", whose, extra=fields)
            self.queue.add_rate_limited(uid)
        else:
            self.queue.forget(uid)
            if after is not None:
                self.queue.add_after(uid, after)
        if uid not in self._states:  # It was removed meanwhile, but the reconcile required its queries again.
            self.remove(uid)
        elif state.synced_version != state.watch.resource_version and not state.is_outdated:
            state.synced_version = state.watch.resource_version
            self._dispatcher.sync(state.watch)
            self._ttl.sync(state.watch)
            self._requester.sync(state.watch, state.backup_request)
