"""One step of one watch: snapshot, observe, decide, write; and then tell."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.arm.observer import Observed
from backupjobwatch.domain.api.snapshot import FINISHED_PHASES, Watch
from backupjobwatch.domain.jobs.job import Job
from backupjobwatch.domain.jobs.times import parse_time
from backupjobwatch.domain.status.next_status import next_status
from backupjobwatch.domain.status.transitions import (
    Transition,
    find_transition,
    needs_write,
    notification_failure_events,
    write_reason,
)
from backupjobwatch.domain.status.verdict import ConsecutiveFailures, deadline
from backupjobwatch.errors import (
    Conflict,
    InvalidSpec,
    KubeError,
    KubeUnavailable,
    ObjectNotFound,
    PollDeferred,
)
from backupjobwatch.kube.limiter import Limiter
from backupjobwatch.observability.logs import watch_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backupjobwatch.arm.observer import Observer
    from backupjobwatch.domain.jobs.observations import Observation, PinnedJob
    from backupjobwatch.domain.status.notifications import DeliveryResult
    from backupjobwatch.kube.client import KubeClient
    from backupjobwatch.observability.metrics.instruments import Metrics

_log = logging.getLogger(__name__)

WRITES_AT_ONCE: Final = 32
"""Thousands may be due at once. What waits for its turn does not time out, to begin all over again, nor holds a status."""
_ATTEMPTS: Final = 5
"""Writes of one observation, where somebody edits the object each time. The next tick brings a fresh one."""


@dataclass(slots=True)
class Calm:
    """A job that had nothing new to write into a status. It has not, until then, while neither changes."""

    resource_version: str
    job: Job
    since: datetime
    """Before that time the clock was set back, and a heartbeat is due."""
    until: datetime

    def covers(self, watch: Watch, job: Job, now: datetime) -> bool:
        """Tell whether *job* says what *watch* was last left as it is for: so it is with most ticks of most watches."""
        is_same = self.resource_version == watch.resource_version and job.steady == self.job.steady
        return is_same and self.since < now < self.until and watch.observed and not watch.request_pending


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileResult:
    """What a step found and left behind."""

    watch: Watch | None
    """The object as it was last seen; None once it is gone."""
    observation: Observation
    pinned: tuple[PinnedJob, ...] = ()
    """The jobs that were found to be the watch's."""
    deliveries: tuple[DeliveryResult, ...] = ()
    """What became of notifications, to be written down."""
    consecutive_failures: ConsecutiveFailures
    """Observations in a row, this one included, whose trouble grace counts."""
    deadline: datetime | None = None
    """When the watch fails if its job has not ended."""
    pending_events: tuple[Transition, ...] = ()
    """What is to be told, by :meth:`Reconciler.emit_event`."""
    failure: KubeError | None = None
    """Why the status could not be written, or perhaps was without our knowing."""
    calm: Calm | None = None
    """Where nothing had to be written: until when the same answer needs no more than a look at it."""
    dropped: bool = False
    """Whether the observation was about a target that is no longer the object's: another step is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollResult:
    """What was seen of a watch's job, for a status to be made of."""

    observed: Observed
    consecutive_failures: ConsecutiveFailures
    """Observations in a row, this one included, whose trouble grace counts."""
    deadline: datetime | None
    """When the watch fails if its job has not ended."""


async def poll_watch(watch: Watch, observer: Observer, *, consecutive_failures: ConsecutiveFailures) -> PollResult:
    """Poll Azure for *watch*, if its spec allows it. *consecutive_failures* is the failures in a row that grace counts."""
    spec = watch.spec_at(datetime.now(UTC))
    end = None if isinstance(spec, InvalidSpec) else deadline(watch, spec)
    if isinstance(spec, InvalidSpec) or spec.suspend or watch.finished:
        observed = Observed(PollDeferred("There is nothing to ask."))
    else:
        observed = await observer.observe(watch, spec)
    return PollResult(
        observed=observed, consecutive_failures=consecutive_failures.after(watch, observed.observation), deadline=end
    )


class Reconciler:
    """Takes steps. It keeps nothing between two of them."""

    def __init__(self, kube: KubeClient, observer: Observer, metrics: Metrics) -> None:
        self._metrics = metrics
        self._kube = kube
        self._observer = observer
        self.writes = Limiter(WRITES_AT_ONCE)
        self.events = kube.events

    def close(self) -> None:
        """Leave behind what steps that were cancelled had asked Azure."""
        self._observer.close()

    async def reconcile(
        self,
        watch: Watch,
        *,
        consecutive_failures: ConsecutiveFailures,
        heartbeat: Callable[[], timedelta],
        asked: datetime | None,
        deliveries: tuple[DeliveryResult, ...] = (),
        calm: Calm | None = None,
    ) -> ReconcileResult:
        """Take one step, from *watch* as it was before Azure is asked. What it can't write down, it says.

        A status is written again after a *heartbeat*, though it says nothing new. *asked* is when Azure was last asked
        for it, *deliveries* what became of notifications since the last step, and *calm* what that one said.
        """
        poll_result = await poll_watch(watch, self._observer, consecutive_failures=consecutive_failures)
        # However long the write waits for its turn: what was seen before the deadline says nothing of what is after it.
        job, now = poll_result.observed.observation, datetime.now(UTC)
        if deliveries or calm is None or not isinstance(job, Job) or not calm.covers(watch, job, now):
            calm = None
        else:
            calm.job = job  # of two that say the same, the older is let go
        result = ReconcileResult(
            watch=watch,
            observation=job,
            pinned=poll_result.observed.pinned,
            deliveries=deliveries,
            consecutive_failures=poll_result.consecutive_failures,
            deadline=poll_result.deadline,
            calm=calm,
        )
        if calm is not None:
            return result
        try:
            return await self._write(watch, result, heartbeat(), asked, now)
        except KubeError as error:
            return replace(result, failure=error)

    async def _write(
        self, watch: Watch, result: ReconcileResult, heartbeat: timedelta, asked: datetime | None, now: datetime
    ) -> ReconcileResult:
        """Write what was observed, at *now*, onto the object that it is about, if that is worth it."""
        snapshot = watch
        for _ in range(_ATTEMPTS):
            async with self.writes:
                status = next_status(
                    watch,
                    result.observation,
                    consecutive_failures=result.consecutive_failures.count,
                    now=now,
                    pinned=result.pinned,
                    deliveries=result.deliveries,
                    asked=asked,
                )
                is_new = needs_write(watch.status, status, heartbeat=heartbeat)
                try:
                    written = await self._put(watch, status) if is_new else None
                except ObjectNotFound:
                    return replace(result, watch=None)
                except Conflict:
                    fresh = await self.read(watch.namespace, watch.name)
                    if fresh is None or fresh.uid != watch.uid:
                        return replace(result, watch=None)
                    if fresh.target != watch.target:
                        return replace(result, watch=fresh, consecutive_failures=ConsecutiveFailures(), dropped=True)
                    # A poll that was asked for while this one was under way has not been made.
                    watch = replace(fresh, requested_at=watch.requested_at)
                    continue
            if written is None:
                # It may be our own write that was in conflict: sent again after its answer was lost.
                pending_events = _changes(snapshot, watch.status)
                return replace(result, watch=watch, pending_events=pending_events, calm=_calm(watch, result, heartbeat))
            pending_events = _changes(watch, status)
            for change in pending_events:
                _log_transition(watch, change)
            return replace(result, watch=Watch.from_body(written, earlier=watch), pending_events=pending_events)
        raise KubeUnavailable(f"the object was edited during each of {_ATTEMPTS} writes")

    async def _put(self, watch: Watch, status: Mapping[str, Any]) -> dict[str, Any]:
        with self._metrics.status_write(write_reason(watch, status)):
            return await self._kube.write_status(watch, status)

    async def emit_event(self, watch: Watch, transition: Transition) -> bool:
        """Post *transition* as an Event; False where that has to be tried again."""
        try:
            is_new = await self._kube.post_event(watch, transition)
        except ObjectNotFound:  # the namespace: there is nobody left to tell
            return True
        except KubeError as error:
            _log.warning(
                "%s/%s: an event could not be posted yet: %s",
                watch.namespace,
                watch.name,
                error,
                extra=watch_fields(watch),
            )
            return False
        if is_new and transition.phase in FINISHED_PHASES and not transition.repeated:
            self._metrics.observe_outcome(transition.phase, transition.reason)
        return True

    async def read(self, namespace: str, name: str) -> Watch | None:
        """Return the watch as it is now; None where there is none."""
        try:
            return Watch.from_body(await self._kube.read(namespace, name))
        except ObjectNotFound:
            return None


def _changes(before: Watch, status: Mapping[str, Any]) -> tuple[Transition, ...]:
    """Find what changed from *before* to *status*."""
    transition = find_transition(before, status)
    return (*((transition,) if transition else ()), *notification_failure_events(before, status))


def _log_transition(watch: Watch, change: Transition) -> None:
    """Log *change* at the level of its Event."""
    phase = {"phase": change.phase} if change.phase else {}
    _log.log(
        logging.WARNING if change.type == "Warning" else logging.INFO,
        "%s/%s: %s: %s", watch.namespace, watch.name, change.reason, change.message,
        extra=watch_fields(watch, reason=change.reason, **phase),
    )  # fmt: skip


def _calm(watch: Watch, result: ReconcileResult, heartbeat: timedelta) -> Calm | None:
    polled = parse_time(watch.status.get("lastPollTime"))
    if not isinstance(result.observation, Job) or polled is None:
        return None
    beat = polled + heartbeat
    until = beat if result.deadline is None else min(beat, result.deadline)
    return Calm(watch.resource_version, result.observation, polled - heartbeat, until)
