"""The controller: keeps the state of every watch and runs one reconcile per watch at a time.

Timers, watch events and the resync all end here. None of them is essential: what one misses, another brings.
"""

from __future__ import annotations

import asyncio
import logging
import random
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from backupjobwatch.controller.heartbeat import Heartbeats
from backupjobwatch.controller.job_index import JobIndex
from backupjobwatch.controller.watch_state import WatchState
from backupjobwatch.controller.work import Work
from backupjobwatch.domain.jobs.observations import is_from_request
from backupjobwatch.domain.status.transitions import describe, events_to_replay
from backupjobwatch.errors import PollDeferred
from backupjobwatch.observability.logs import watch_fields

if TYPE_CHECKING:
    from backupjobwatch.controller.reconciler import Reconciler, ReconcileResult
    from backupjobwatch.controller.ttl import TTLController
    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.jobs.resource_ids import JobId
    from backupjobwatch.domain.status.notifications import DeliveryResult
    from backupjobwatch.domain.status.summary import Summary
    from backupjobwatch.notify.dispatcher import NotificationDispatcher
    from backupjobwatch.observability.metrics.instruments import Metrics

_log = logging.getLogger(__name__)

BUSY: Final = 1.0
"""Seconds after which a turn that came during a step comes again."""
REQUEST_EVERY: Final = 10.0
"""Seconds between two requests, by annotation, that are granted: it is anybody's who may edit the object."""


class Controller:
    """All watches that are followed."""

    def __init__(
        self,
        reconciler: Reconciler,
        dispatcher: NotificationDispatcher,
        ttl: TTLController,
        metrics: Metrics,
        *,
        heartbeat: timedelta,
    ) -> None:
        self._metrics = metrics
        self._reconciler = reconciler
        self._dispatcher = dispatcher
        self._ttl = ttl
        dispatcher.on_delivered = self.record_deliveries
        self._states: dict[str, WatchState] = {}
        self._heartbeats = Heartbeats(heartbeat, self._states)
        self._job_index = JobIndex()
        self._work = Work(reconciler, self._do)
        ttl.has_pending_events = lambda uid: uid in self._states and self._work.has_pending_events(self._states[uid])
        self._closed = False

    @property
    def uids(self) -> frozenset[str]:
        """The uids of all watches that are followed."""
        return frozenset(self._states)

    @property
    def summaries(self) -> list[Summary]:
        """What there is to tell of each watch."""
        return [state.summary for state in self._states.values()]

    @property
    def overdue(self) -> float:
        """For how many seconds the most overdue poll should have been made by now."""
        now = _clock()
        return max((now - state.due for state in self._states.values() if state.due < now), default=0.0)

    def snapshot(self, uid: str) -> Watch | None:
        """Return the latest snapshot of a watch; None for one that is not followed."""
        state = self._states.get(uid)
        return None if state is None else state.watch

    def on_event(self, watch: Watch) -> timedelta | None:
        """Take note of an object as the cluster has it, and reconcile it at once if it asks for something new.

        Returns how often it wants to be reconciled; None for not at all.
        """
        state = self._states.get(watch.uid)
        if state is None:
            tick = _clock()
            state = self._states[watch.uid] = WatchState(watch=watch, since=tick, last_reconcile=tick)
            state.presume_asked(now := datetime.now(UTC))
            state.remember(events_to_replay(watch, now=now))
        self._take_note(state, watch)
        if watch.deleting:
            return None
        if state.write_outcome_unknown and watch.observed:
            # That it is told now is counted, unlike what is only repeated: of two by one name, the later is kept.
            state.remember((*events_to_replay(watch, now=datetime.now(UTC)), describe(watch, watch.status)))
            state.write_outcome_unknown = False
        if state.wants(watch):
            self._want(state, watch)
        elif state.pending_events:
            self._work.begin(state)
        return state.interval

    def tick(self, uid: str) -> bool:
        """Reconcile a watch because its time has come. False where no such watch is followed any more."""
        state = self._states.get(uid)
        if state is None:
            return False
        now = _clock()
        half = (state.interval or timedelta()).total_seconds() / 2
        # An event may have brought a poll just now.
        if state.task is None and now >= state.not_before and now - state.last_poll >= half:
            self._reconcile_from(state, state.watch)
        return True

    def on_jobs_changed(self, news: frozenset[JobId]) -> None:
        """Reconcile the watches of jobs that are known to have changed, rather than with their next ticks."""
        for uid in self._job_index.watches_of(news):
            state = self._states.get(uid)
            if state is not None and state.interval is not None and state.turn is None:
                self._take_turn(state)

    def remove(self, uid: str) -> None:
        """Stop following a watch that is no more."""
        self._dispatcher.remove(uid)
        self._ttl.remove(uid)
        self._job_index.update(uid, ())
        state = self._states.pop(uid, None)
        if state is not None:
            self._work.drop(state)

    def record_deliveries(self, watch: Watch, deliveries: tuple[DeliveryResult, ...]) -> None:
        """Have it written down what became of notifications: with the next step, or at once where there is none."""
        state = self._states.get(watch.uid)
        if state is not None:
            state.deliveries = (watch, deliveries)
            self._write_deliveries(state)

    def needs_refresh(self, metadata: Watch) -> bool:
        """Tell from an object's *metadata* alone whether something about it was missed."""
        state = self._states.get(metadata.uid)
        if state is None:
            return True
        steps, tells = self._work.will_reconcile(metadata.uid), self._work.will_emit(metadata.uid)
        return state.missed(metadata, _clock(), steps=steps, tells=tells)

    async def refresh(self, namespace: str, name: str) -> None:
        """Read an object anew, and make up for what was missed about it. KubeError where it can't be read."""
        watch = await self._reconciler.read(namespace, name)
        if watch is None:
            return
        state = self._states.get(watch.uid)
        overdue = state is not None and state.overdue(_clock())
        self.on_event(watch)
        state = self._states[watch.uid]
        if (overdue and state.interval is not None) or state.unwritten:
            self._reconcile_from(state, watch)
        elif state.pending_events:
            self._work.begin(state)

    async def close(self, patience: float) -> None:
        """Begin no more steps, and end deliveries and TTL deletions; what is under way has *patience* seconds to finish.

        Nothing is lost: see the objects.
        """
        self._closed = True
        await asyncio.gather(self._dispatcher.close(), self._ttl.close(), self._work.finish(patience))
        self._reconciler.close()
        for uid in self.uids:
            self.remove(uid)

    def _take_note(self, state: WatchState, watch: Watch) -> None:
        """Remember a snapshot, and begin what follows on it, unless a later one was seen."""
        if state.take_note(watch, _clock()):
            self._dispatcher.sync(watch)
            self._ttl.sync(watch)
            self._job_index.update(watch.uid, watch.job_ids)

    def _want(self, state: WatchState, watch: Watch) -> None:
        """Reconcile *watch* out of the timer's rhythm: at once, but for requests that come too often.

        Anybody who may annotate the object can ask for it, at any rate. How long ago a tick was does not matter.
        """
        wait = state.last_request + REQUEST_EVERY - _clock()
        if state.task is not None:
            state.wanted = watch  # and is looked at when the step that is under way has ended
        elif wait <= 0 or watch.finished or state.polled != watch.generation:
            if watch.request_pending:
                state.last_request = _clock()
            self._reconcile_from(state, watch)
        elif state.alarm is None:
            state.alarm = asyncio.get_running_loop().call_later(wait, self._ring, state, watch)

    def _ring(self, state: WatchState, watch: Watch) -> None:
        state.alarm = None
        if state.wants(watch):  # else a tick has come first
            self._want(state, watch)

    def _reconcile_from(self, state: WatchState, watch: Watch) -> None:
        state.wanted = watch
        self._work.begin(state)

    async def _do(self, state: WatchState, tells: bool) -> None:  # noqa: FBT001 -- for Work, which calls it
        """Take the step that is wanted, if any, and emit the pending Events: now, or in its turn, which has come if it *tells*."""
        before = state.deliveries
        try:
            await self._reconcile(state)
            if state.pending_events and (tells or not self._work.defers_events(state)):
                await self._emit_events(state)
        finally:
            state.task = None
        watch = state.take_wanted()
        if watch is not None and state.wants(watch):
            self._want(state, watch)
        elif state.deliveries is not before:
            self._write_deliveries(state)

    async def _emit_events(self, state: WatchState) -> None:
        for name, transition in list(state.pending_events.items()):
            is_emitted = await self._reconciler.emit_event(state.watch, transition)
            if is_emitted and state.pending_events.get(name) is transition:
                state.told(name)

    def _write_deliveries(self, state: WatchState) -> None:
        """Write down what became of notifications, unless a poll will: no poll is made for that."""
        if state.deliveries is not None and state.unwritten and state.task is None:
            self._reconcile_from(state, state.deliveries[0])

    async def _reconcile(self, state: WatchState) -> None:
        watch, deliveries = state.take_wanted(), state.deliveries
        if watch is None:
            return
        due, now, whose = state.due, datetime.now(UTC), f"{watch.namespace}/{watch.name}"
        try:
            result = await self._reconciler.reconcile(
                watch,
                consecutive_failures=state.consecutive_failures,
                heartbeat=partial(self._heartbeats.interval_for, watch.uid),
                asked=state.asked,
                deliveries=deliveries[1] if deliveries else (),
                calm=state.calm,
            )
        except Exception:  # noqa: BLE001 -- a defect: one watch must not take the others with it
            _log.exception("%s: a step failed", whose, extra=watch_fields(watch))
            return
        finally:
            state.last_reconcile = _clock()
        state.consecutive_failures, state.calm = result.consecutive_failures, result.calm
        if isinstance(result.observation, PollDeferred):
            self._await_turn(state, result)
        else:
            self._note_poll(state, result, due)
            state.polled = watch.generation
            if result.failure is None and is_from_request(result.observation):  # else readers learned nothing
                state.asked = now
        if result.failure is not None:
            _log.warning("%s: the status was not written: %s", whose, result.failure, extra=watch_fields(watch))
            state.write_outcome_unknown |= not watch.finished  # a finished watch has no further end to report
        elif result.watch is not None:  # else it is gone: the event or the resync will say so
            if result.watch.resource_version != state.watch.resource_version:
                self._take_note(state, result.watch)
            if state.deliveries is deliveries:  # and nothing else has been settled since
                state.deliveries = None
            if result.dropped:
                state.wanted = state.wanted or result.watch
            state.remember(result.pending_events)

    def _note_poll(self, state: WatchState, result: ReconcileResult, due: float) -> None:
        state.cancel_turn()
        self._metrics.observe_poll_lag(state.last_reconcile - due)
        state.last_poll = state.last_reconcile
        state.back_off(result.observation, result.deadline)

    def _await_turn(self, state: WatchState, result: ReconcileResult) -> None:
        """Have it asked before the next tick, once the budget may cover it: with those who wait, but not as one."""
        again = result.observation.again if isinstance(result.observation, PollDeferred) else None
        if again is not None and state.turn is None and not self._closed:
            delay = again * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret
            state.turn = asyncio.get_running_loop().call_later(delay, self._take_turn, state)

    def _take_turn(self, state: WatchState) -> None:
        state.turn = None
        if state.task is not None:  # what was seen last is still being written down or told
            state.turn = asyncio.get_running_loop().call_later(BUSY, self._take_turn, state)
        elif state.wants(state.watch) or state.polled != state.watch.generation:
            self._want(state, state.watch)
        elif state.interval is not None and _clock() >= state.not_before:
            self._reconcile_from(state, state.watch)  # the last poll, however short ago it was, was not for this


def _clock() -> float:
    return asyncio.get_running_loop().time()
