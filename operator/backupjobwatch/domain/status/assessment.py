"""Combine the observations of a watch's queries into the input of ``next_status``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.api.backup_record import RecordState
from backupjobwatch.domain.jobs.findings import Finding, JobSet, Waiting
from backupjobwatch.domain.jobs.job import Job, Outcome
from backupjobwatch.domain.polling.observations import NEVER, Observation
from backupjobwatch.domain.status.verdict import STALE, decides
from backupjobwatch.errors import PollDeferred

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.api.spec import WatchSpec
    from backupjobwatch.domain.polling.queries import Query, Requirements

DEADLINE_WAIT: Final = timedelta(hours=1)
"""How long after its deadline a watch waits for a poll that may still show that its job succeeded."""
DETAIL_WAIT: Final = 300.0
"""Seconds for which the end of a job in a list waits for the GET that has its errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Times of a watch in this process, in seconds on the monotonic clock."""

    now: float
    since: float
    """When the watch was first seen with its current target, or was resumed."""
    fresh_after: float = NEVER
    """Observations must have been requested at this time or later, because the target was edited."""
    deadline_since: float | None = None
    """When the operator first saw that the deadline has passed. None before that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The combined finding about the jobs of a watch."""

    finding: Finding | None = None
    """None if there is nothing to write."""
    consecutive_failures: int = 0
    """Consecutive failures that count for grace (``AzureError.grace``), including the finding."""
    polled: datetime | None = None
    """When the latest request was sent."""
    sent: float = NEVER
    """When all queries had been polled: the time of the oldest request, on the monotonic clock. Ended jobs do not count."""
    accept_list_entry: bool = False
    """Whether a list entry other than ``Completed`` is enough, because the GET has failed for ``DETAIL_WAIT``.

    Accepted warnings always need a GET.
    """
    enforce_deadline: bool = True
    """Whether a passed deadline fails the watch now, although a later poll may show that the job succeeded."""


def assess(
    watch: Watch,
    spec: WatchSpec,
    requirements: Requirements,
    observations: Mapping[Query, Observation],
    *,
    now: datetime,
    times: Times,
    waiting_for: str,
    deadline_wait: timedelta = DEADLINE_WAIT,
) -> Assessment:
    """Assess an unfinished, unsuspended *watch*. *waiting_for* says why a poll that is due was not made."""
    # In the order of the jobs: the first one with trouble is the one that the status reports.
    known = [observations[query] for query in requirements.jobs or requirements.queries if query in observations]
    sent = NEVER
    if requirements.queries <= observations.keys():
        sent = min((each.sent for each in known if not _is_decided(each)), default=times.now)
    assessed = replace(_combine(watch, spec, requirements, observations, known, now=now, times=times), sent=sent)
    since = times.deadline_since
    if since is not None:
        if times.now >= since + deadline_wait.total_seconds() + 2 * spec.poll_interval.total_seconds():
            error = next((each.error for each in known if each.error is not None), None)
            last_resort = error or PollDeferred(waiting_for, stale=True)
            return replace(assessed, finding=assessed.finding or last_resort)
        has_answers = all(each.error is None or each.error.is_conclusive for each in known)
        if sent >= since and has_answers and _is_conclusive(assessed, spec):
            return assessed
        assessed = replace(assessed, enforce_deadline=False)
    if _is_open(assessed.finding) and times.now - max(sent, times.since) >= STALE.total_seconds():
        return replace(assessed, finding=PollDeferred(waiting_for, stale=True))
    return assessed


def _combine(
    watch: Watch,
    spec: WatchSpec,
    requirements: Requirements,
    observations: Mapping[Query, Observation],
    known: list[Observation],
    *,
    now: datetime,
    times: Times,
) -> Assessment:
    oldest = max(times.fresh_after, times.since - spec.poll_interval.total_seconds() / 2)
    fresh = [each for each in known if each.sent >= oldest or _is_decided(each)]
    polled = max((each.time for each in fresh), default=now)
    failed = next((each for each in fresh if each.error is not None), None)
    if failed is not None:
        failures = failed.failures_since(times.since, seen=watch.seen)
        return Assessment(finding=failed.error, consecutive_failures=failures, polled=failed.time)
    if len(fresh) < len(requirements.jobs or requirements.queries):
        return Assessment()
    if requirements.found is not None:
        record = requirements.record
        refusals = record.attempt if record is not None and record.state is RecordState.REFUSED else 0
        return Assessment(finding=requirements.found, consecutive_failures=refusals, polled=polled)
    jobs = [job for query in requirements.jobs if (job := observations[query].job) is not None]
    accept = all(_accepts_entry(each, times.now) for each in known)
    if len(requirements.pinned) <= 1 and len(jobs) == 1:
        return Assessment(finding=jobs[0], polled=polled, accept_list_entry=accept)
    if not requirements.pinned:
        return Assessment()
    not_started = tuple(job for job in requirements.pinned if job.error_code is not None)
    finding = JobSet(jobs=tuple(jobs), not_started=not_started)
    return Assessment(finding=finding, polled=polled, accept_list_entry=accept)


def _is_decided(observation: Observation) -> bool:
    """Return whether no later request can change the verdict on this job."""
    job = observation.job
    if observation.error is not None or job is None:
        return False
    return job.ended and (not job.partial or job.outcome is Outcome.COMPLETED)


def _is_open(finding: Finding | None) -> bool:
    """Return whether *finding* can become stale, because it does not show the end of the job."""
    if isinstance(finding, JobSet):
        return any(not job.ended for job in finding.jobs)
    return finding is None or isinstance(finding, Waiting) or (isinstance(finding, Job) and not finding.ended)


def _accepts_entry(observation: Observation, now: float) -> bool:
    """Return whether no list entry waits for its GET, or has waited for ``DETAIL_WAIT``."""
    return observation.ended_since is None or now - observation.ended_since >= DETAIL_WAIT


def _is_conclusive(assessed: Assessment, spec: WatchSpec) -> bool:
    """Return whether *assessed*, polled after the deadline, is enough to fail or complete the watch."""
    finding = assessed.finding
    if finding is None:
        return False
    jobs = finding.jobs if isinstance(finding, JobSet) else (finding,)
    return not any(
        isinstance(job, Job)
        and job.partial
        and job.ended
        and not decides(job, spec, accept_list_entry=assessed.accept_list_entry)
        for job in jobs
    )
