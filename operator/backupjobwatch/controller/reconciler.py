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
    describe_failures,
    find_transition,
    needs_write,
    write_reason,
)
from backupjobwatch.domain.status.verdict import TroubleRun, deadline
from backupjobwatch.errors import (
    Conflict,
    InvalidSpec,
    NotAsked,
    ObjectGone,
    StoreError,
    StoreUnavailable,
)
from backupjobwatch.kube.limiter import Turns
from backupjobwatch.observability.logs import watch_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backupjobwatch.arm.observer import Observer
    from backupjobwatch.domain.jobs.observations import Observation, PinnedJob
    from backupjobwatch.domain.status.notifications import Settled
    from backupjobwatch.kube.client import Store
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
class Step:
    """What a step found and left behind."""

    watch: Watch | None
    """The object as it was last seen; None once it is gone."""
    observation: Observation
    pinned: tuple[PinnedJob, ...] = ()
    """The jobs that were found to be the watch's."""
    settled: tuple[Settled, ...] = ()
    """What became of notifications, to be written down."""
    run: TroubleRun
    """Observations in a row, this one included, whose trouble grace counts."""
    deadline: datetime | None = None
    """When the watch fails if its job has not ended."""
    untold: tuple[Transition, ...] = ()
    """What is to be told, by :meth:`Stepper.tell`."""
    failure: StoreError | None = None
    """Why the status could not be written, or perhaps was without our knowing."""
    calm: Calm | None = None
    """Where nothing had to be written: until when the same answer needs no more than a look at it."""
    dropped: bool = False
    """Whether the observation was about a target that is no longer the object's: another step is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen of a watch's job, for a status to be made of."""

    observed: Observed
    run: TroubleRun
    """Observations in a row, this one included, whose trouble grace counts."""
    deadline: datetime | None
    """When the watch fails if its job has not ended."""


async def look_at(watch: Watch, observer: Observer, *, run: TroubleRun) -> Look:
    """Poll Azure for *watch*, if its spec allows it. *run* is the failures in a row that grace counts."""
    spec = watch.spec_at(datetime.now(UTC))
    end = None if isinstance(spec, InvalidSpec) else deadline(watch, spec)
    if isinstance(spec, InvalidSpec) or spec.suspend or watch.finished:
        observed = Observed(NotAsked("There is nothing to ask."))
    else:
        observed = await observer.observe(watch, spec)
    return Look(observed=observed, run=run.after(watch, observed.observation), deadline=end)


class Stepper:
    """Takes steps. It keeps nothing between two of them."""

    def __init__(self, store: Store, observer: Observer, metrics: Metrics) -> None:
        self._metrics = metrics
        self._store = store
        self._observer = observer
        self.writes = Turns(WRITES_AT_ONCE)
        self.events = store.events

    def close(self) -> None:
        """Leave behind what steps that were cancelled had asked Azure."""
        self._observer.close()

    async def take(
        self,
        watch: Watch,
        *,
        run: TroubleRun,
        heartbeat: Callable[[], timedelta],
        asked: datetime | None,
        settled: tuple[Settled, ...] = (),
        calm: Calm | None = None,
    ) -> Step:
        """Take one step, from *watch* as it was before Azure is asked. What it can't write down, it says.

        A status is written again after a *heartbeat*, though it says nothing new. *asked* is when Azure was last asked
        for it, *settled* what became of notifications since the last step, and *calm* what that one said.
        """
        look = await look_at(watch, self._observer, run=run)
        # However long the write waits for its turn: what was seen before the deadline says nothing of what is after it.
        job, now = look.observed.observation, datetime.now(UTC)
        if settled or calm is None or not isinstance(job, Job) or not calm.covers(watch, job, now):
            calm = None
        else:
            calm.job = job  # of two that say the same, the older is let go
        step = Step(
            watch=watch,
            observation=job,
            pinned=look.observed.pinned,
            settled=settled,
            run=look.run,
            deadline=look.deadline,
            calm=calm,
        )
        if calm is not None:
            return step
        try:
            return await self._write(watch, step, heartbeat(), asked, now)
        except StoreError as error:
            return replace(step, failure=error)

    async def _write(
        self, watch: Watch, step: Step, heartbeat: timedelta, asked: datetime | None, now: datetime
    ) -> Step:
        """Write what was observed, at *now*, onto the object that it is about, if that is worth it."""
        snapshot = watch
        for _ in range(_ATTEMPTS):
            async with self.writes:
                status = next_status(
                    watch,
                    step.observation,
                    run=step.run.length,
                    now=now,
                    pinned=step.pinned,
                    settled=step.settled,
                    asked=asked,
                )
                is_new = needs_write(watch.status, status, heartbeat=heartbeat)
                try:
                    written = await self._put(watch, status) if is_new else None
                except ObjectGone:
                    return replace(step, watch=None)
                except Conflict:
                    fresh = await self.read(watch.namespace, watch.name)
                    if fresh is None or fresh.uid != watch.uid:
                        return replace(step, watch=None)
                    if fresh.target != watch.target:
                        return replace(step, watch=fresh, run=TroubleRun(), dropped=True)
                    # A poll that was asked for while this one was under way has not been made.
                    watch = replace(fresh, requested_at=watch.requested_at)
                    continue
            if written is None:
                # It may be our own write that was in conflict: sent again after its answer was lost.
                untold = _changes(snapshot, watch.status)
                return replace(step, watch=watch, untold=untold, calm=_calm(watch, step, heartbeat))
            untold = _changes(watch, status)
            for change in untold:
                _log_transition(watch, change)
            return replace(step, watch=Watch.from_body(written, earlier=watch), untold=untold)
        raise StoreUnavailable(f"the object was edited during each of {_ATTEMPTS} writes")

    async def _put(self, watch: Watch, status: Mapping[str, Any]) -> dict[str, Any]:
        with self._metrics.status_write(write_reason(watch, status)):
            return await self._store.write_status(watch, status)

    async def tell(self, watch: Watch, transition: Transition) -> bool:
        """Post *transition* as an Event; False where that has to be tried again."""
        try:
            is_new = await self._store.post_event(watch, transition)
        except ObjectGone:  # the namespace: there is nobody left to tell
            return True
        except StoreError as error:
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
            return Watch.from_body(await self._store.read(namespace, name))
        except ObjectGone:
            return None


def _changes(before: Watch, status: Mapping[str, Any]) -> tuple[Transition, ...]:
    """Find what changed from *before* to *status*."""
    transition = find_transition(before, status)
    return (*((transition,) if transition else ()), *describe_failures(before, status))


def _log_transition(watch: Watch, change: Transition) -> None:
    """Log *change* at the level of its Event."""
    phase = {"phase": change.phase} if change.phase else {}
    _log.log(
        logging.WARNING if change.type == "Warning" else logging.INFO,
        "%s/%s: %s: %s", watch.namespace, watch.name, change.reason, change.message,
        extra=watch_fields(watch, reason=change.reason, **phase),
    )  # fmt: skip


def _calm(watch: Watch, step: Step, heartbeat: timedelta) -> Calm | None:
    polled = parse_time(watch.status.get("lastPollTime"))
    if not isinstance(step.observation, Job) or polled is None:
        return None
    beat = polled + heartbeat
    until = beat if step.deadline is None else min(beat, step.deadline)
    return Calm(watch.resource_version, step.observation, polled - heartbeat, until)
