"""The reconciler: computes the status of a watch from its snapshot and observations, writes it, and emits Events."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.arm.poller import Polls
from backupjobwatch.clock import loop_time
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.times import parse_time
from backupjobwatch.domain.polling.observations import NEVER
from backupjobwatch.domain.polling.requirements import required_queries
from backupjobwatch.domain.status.assessment import DEADLINE_WAIT, Assessment, assess
from backupjobwatch.domain.status.next_status import next_status
from backupjobwatch.domain.status.requeue import requeue_after
from backupjobwatch.domain.status.transitions import (
    events_to_replay,
    find_transition,
    find_transitions,
    needs_write,
    write_reason,
)
from backupjobwatch.domain.status.verdict import deadline
from backupjobwatch.errors import (
    Conflict,
    InvalidSpec,
    KubeUnavailable,
    NotPolledYet,
    ObjectNotFound,
    PollDeferred,
)
from backupjobwatch.observability.logs import log_transition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from backupjobwatch.arm.poller import Poller
    from backupjobwatch.controller.backup_admission import BackupAdmission
    from backupjobwatch.controller.protocols import ObjectClient
    from backupjobwatch.controller.watch_state import WatchState
    from backupjobwatch.domain.api.spec import WatchSpec
    from backupjobwatch.domain.polling.observations import Observation
    from backupjobwatch.domain.polling.queries import Query, Requirements
    from backupjobwatch.domain.status.transitions import Transition
    from backupjobwatch.observability.metrics.instruments import Metrics

_log = logging.getLogger(__name__)

ATTEMPTS: Final = 5
"""Maximum number of writes in one reconcile, if the object is edited during each of them."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """The status that one reconcile writes, and the delay until the next one."""

    watch: Watch
    """The snapshot that the status was computed from."""
    status: Mapping[str, Any] | None
    """The status to write; None if there is nothing new to write."""
    after: float | None = None
    """Seconds until the next reconcile, unless something enqueues the watch earlier."""


class Reconciler:
    """Reconciles watches. It never waits for Azure, and keeps no state between two reconciles."""

    def __init__(
        self,
        objects: ObjectClient,
        poller: Poller,
        metrics: Metrics,
        *,
        record_events: Callable[[Watch, Iterable[Transition]], None],
        admission: BackupAdmission,
        deadline_wait: timedelta = DEADLINE_WAIT,
    ) -> None:
        self._objects = objects
        self._poller = poller
        self._metrics = metrics
        self._record_events = record_events
        self._admission = admission
        self._deadline_wait = deadline_wait

    async def reconcile(self, state: WatchState, *, heartbeat: timedelta) -> float | None:
        """Reconcile one watch. Return the requeue delay in seconds. Raises KubeError if the write failed."""
        try:
            if state.is_outdated:
                await self._refresh(state)
            if state.watch.deleting:
                self._poller.release(state.watch.uid)
                return None
            for _ in range(ATTEMPTS):
                self._replay_events(state)
                plan = self._plan(state, heartbeat)
                if plan.status is None:
                    return plan.after
                is_written = await self._write(state, plan.watch, plan.status)
                if is_written and not state.watch.finished:  # a finished watch releases its queries next
                    return plan.after
        except ObjectNotFound:  # An event or the resync reports the deletion.
            return None
        raise KubeUnavailable(f"the object was edited during each of {ATTEMPTS} writes")

    def start_polls(self, state: WatchState) -> None:
        """Start the polls of an unfinished watch. A worker reconciles it later."""
        watch, now = state.watch, datetime.now(UTC)
        spec = watch.spec_at(now)
        if not (isinstance(spec, InvalidSpec) or spec.suspend or watch.finished or watch.deleting):
            self._observe(state, watch, spec, now)

    def _plan(self, state: WatchState, heartbeat: timedelta) -> _Plan:
        """Require the queries of the watch, and compute its status from their observations."""
        watch, now = state.watch, datetime.now(UTC)
        spec = watch.parsed_spec if watch.pinned or state.pinned else watch.spec_at(now)
        if isinstance(spec, InvalidSpec) or (spec.suspend and not watch.finished):
            self._poller.release(watch.uid)
            state.suspend(loop_time())
            return _Plan(watch, self._status(state, watch, Assessment(finding=NotPolledYet()), now, heartbeat))
        if watch.finished:
            assessed = self._assess_finished(state, watch, spec, now)
            return _Plan(watch, self._status(state, watch, assessed, now, timedelta.max))  # without a heartbeat
        assessed = self._assess(state, watch, spec, now)
        is_requested = watch.request_pending and assessed.sent < state.request_at
        if is_requested:  # The requested poll has not been made: do not acknowledge it.
            watch = replace(watch, requested_at=None)
        # Without a finding, only an edit of the target, or a result that is not Azure's, is written.
        if assessed.finding is None and (watch.is_retargeted or watch.lacks_edit_time):
            assessed = replace(assessed, finding=NotPolledYet())
        elif assessed.finding is None and (state.deliveries or state.has_result) and watch.status_for_target:
            assessed = replace(assessed, finding=PollDeferred(""))
        self._set_waiting(watch.uid, assessed, is_requested=is_requested)
        status = self._status(state, watch, assessed, now, heartbeat)
        after = requeue_after(
            watch,
            spec,
            assessed,
            times=state.times(loop_time()),
            now=now,
            heartbeat=heartbeat,
            last_poll=assessed.polled if status else parse_time(watch.status_for_target.get("lastPollTime")),
            request_at=state.request_at if is_requested else NEVER,
            recheck_at=state.recheck_at,
            deadline_wait=self._deadline_wait,
        )
        return _Plan(watch, status, after)

    def _observe(
        self, state: WatchState, watch: Watch, spec: WatchSpec, now: datetime
    ) -> tuple[Requirements, Mapping[Query, Observation]]:
        """Require the queries of the watch. Return them and their observations."""
        clock, end = loop_time(), deadline(watch, spec)
        if end is None or now < end:
            state.deadline_since = None
        elif state.deadline_since is None:
            state.deadline_since = clock
        request_at = state.request_at if watch.request_pending and state.request_at <= clock else NEVER
        fresh_after = max(
            state.fresh_after, state.edited_at, state.checked_after, state.deadline_since or NEVER, request_at
        )
        observations = self._poller.observations(watch.uid, spec.identity)
        context = self._admission.context(state, deadline=end)
        while True:  # Another watch may already have results of a query that this one adds, which add more queries.
            required = required_queries(watch, spec, observations, now=now, pinned=state.pinned, context=context)
            state.note(required)
            polls = Polls(
                namespace=watch.namespace,
                identity=spec.identity,
                vault=spec.source.vault,
                interval=spec.poll_interval.total_seconds(),
                queries=required.queries,
                fresh_after=fresh_after,
            )
            self._poller.require(watch.uid, polls)
            known, observations = observations, self._poller.observations(watch.uid, spec.identity)
            if observations.keys() != known.keys():
                continue
            if required.request is None or context.admission is not None:
                return required, observations
            admission = self._admission.admit(watch, spec.identity, required.request, required.record)
            if admission.request_id is not None and state.is_admission_denied:
                # The results are from before the wait. Another backup may be running by now.
                self._admission.remove(watch.uid)
                state.is_admission_denied, state.checked_after = False, clock
                fresh_after, context = clock, self._admission.context(state, deadline=end)
                continue
            state.is_admission_denied |= admission.error is not None
            context = replace(context, admission=admission)

    def _assess(self, state: WatchState, watch: Watch, spec: WatchSpec, now: datetime) -> Assessment:
        required, observations = self._observe(state, watch, spec, now)
        return assess(
            watch,
            spec,
            required,
            observations,
            now=now,
            times=state.times(loop_time()),
            waiting_for=self._poller.waiting_for(watch.uid),
            deadline_wait=self._deadline_wait,
        )

    def _assess_finished(self, state: WatchState, watch: Watch, spec: WatchSpec, now: datetime) -> Assessment:
        """Acknowledge edits and requests, and add what is known later: the detail of a job, or the answer to a request."""
        assessed = Assessment()
        if watch.awaits_detail(now) and not spec.suspend:
            assessed = self._assess(state, watch, spec, now)
            self._poller.waiting.add(watch.uid)
        else:
            self._poller.release(watch.uid)
        state.note_result()
        is_new = not watch.observed or watch.request_pending or state.deliveries or state.has_result
        if assessed.finding is None and is_new:
            assessed = replace(assessed, finding=NotPolledYet())
        return assessed

    def _status(
        self, state: WatchState, watch: Watch, assessed: Assessment, now: datetime, heartbeat: timedelta
    ) -> dict[str, Any] | None:
        """Return the status to write. None if there is nothing new to write."""
        if assessed.finding is None:
            return None
        status = next_status(
            watch, assessed, now=now, pinned=state.pinned, deliveries=state.deliveries, record=state.backup_record
        )
        if needs_write(watch.status, status, heartbeat=heartbeat):
            return status
        state.deliveries = ()
        return None

    def _set_waiting(self, uid: str, assessed: Assessment, *, is_requested: bool) -> None:
        """Let every result enqueue a watch that waits for a poll, even a result without changes."""
        is_deferred = assessed.finding is None or isinstance(assessed.finding, PollDeferred)
        if is_deferred or is_requested or not assessed.enforce_deadline:
            self._poller.waiting.add(uid)
        else:
            self._poller.waiting.discard(uid)

    async def _write(self, state: WatchState, watch: Watch, status: Mapping[str, Any]) -> bool:
        """Write *status*, computed from *watch*. After a conflict, read the object and return False."""
        deliveries = state.deliveries
        try:
            with self._metrics.status_write(write_reason(watch, status)):
                written = await self._objects.write_status(watch, status)
        except Conflict:
            await self._refresh(state)
            if find_transition(state.watch, status) is None:
                # The write took effect, but its response was lost and the HTTP library sent it again.
                state.unconfirmed = None
                self._record_events(state.watch, find_transitions(watch, state.watch.status))
            return False
        except KubeUnavailable:
            state.unconfirmed = watch
            raise
        transitions = find_transitions(watch, status)
        for transition in transitions:
            log_transition(_log, watch, transition)
        state.store(Watch.from_body(written, earlier=state.watch), loop_time(), is_read=True)
        state.unconfirmed = None
        if state.deliveries is deliveries:  # and nothing else was delivered meanwhile
            state.deliveries = ()
        self._record_events(state.watch, transitions)
        return True

    async def _refresh(self, state: WatchState) -> None:
        """Read the object again. Raises ObjectNotFound if it is gone."""
        watch = state.watch
        fresh = Watch.from_body(await self._objects.read(watch.namespace, watch.name), earlier=watch)
        if fresh.uid != watch.uid:
            raise ObjectNotFound(f"{watch.namespace}/{watch.name} was recreated")
        state.store(fresh, loop_time(), is_read=True)

    def _replay_events(self, state: WatchState) -> None:
        """Emit Events that may be missing after a restart or after a write with an unknown outcome."""
        watch = state.watch
        if state.is_new:
            state.is_new = False
            self._record_events(watch, events_to_replay(watch, now=datetime.now(UTC)))
        before = state.unconfirmed
        if before is not None and before.resource_version != watch.resource_version:
            state.unconfirmed = None
            self._record_events(watch, find_transitions(before, watch.status))
