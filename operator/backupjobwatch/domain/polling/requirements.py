"""Compute the queries that a watch requires, from the results so far."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.jobs.findings import PinnedJob
from backupjobwatch.domain.jobs.job import Job, Outcome
from backupjobwatch.domain.jobs.latest import find_latest, needs_history, with_history
from backupjobwatch.domain.jobs.latest_completed import find_completed_or_next
from backupjobwatch.domain.jobs.latest_job import LatestJob
from backupjobwatch.domain.jobs.on_demand_backup import OnDemandBackup
from backupjobwatch.domain.jobs.resource_ids import JobId, fold_case
from backupjobwatch.domain.polling.backup_plan import RequestContext, find_record
from backupjobwatch.domain.polling.observations import JobList, operation_result
from backupjobwatch.domain.polling.on_demand import BackupPlanner
from backupjobwatch.domain.polling.queries import Query, Requirements, job_queries, latest_window, workload_history

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from backupjobwatch.domain.api.backup_record import BackupRecord
    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.api.spec import WatchSpec
    from backupjobwatch.domain.polling.observations import Observation
    from backupjobwatch.errors import AzureError

_NO_REQUESTS: Final = RequestContext()


def required_queries(
    watch: Watch,
    spec: WatchSpec,
    observations: Mapping[Query, Observation],
    *,
    now: datetime,
    pinned: Sequence[PinnedJob] = (),
    context: RequestContext = _NO_REQUESTS,
) -> Requirements:
    """Return what an unfinished *watch* requires.

    *pinned* are its jobs that are not in its status yet. *context* is for ``spec.onDemand``.
    """
    source = spec.source
    if isinstance(source, JobId):
        return Requirements(queries=frozenset({source}), jobs=(source,))
    if isinstance(source, OnDemandBackup) and not watch.pinned:
        planner = BackupPlanner(
            watch=watch,
            backup=source,
            grace=spec.grace,
            retry=spec.poll_interval,
            observations=observations,
            context=context,
            now=now,
        )
        plan = planner.plan()
        # The queries stay until the record is written. Without them, the same plan could not be made again.
        jobs = job_queries(source.vault, plan.pinned)
        return replace(plan, queries=plan.queries.union(jobs), jobs=jobs)
    pinned = watch.pinned or tuple(pinned)
    if pinned:
        return _of_jobs(spec, pinned, find_record(watch, context.known))
    assert not isinstance(source, OnDemandBackup)  # noqa: S101 -- handled above
    if isinstance(source, LatestJob):
        return _of_latest(watch, spec, source, observations, now)
    result = operation_result(observations.get(source))
    if isinstance(result, tuple):
        return _of_jobs(spec, result)
    return Requirements(queries=frozenset({source}), found=result)


def _of_jobs(spec: WatchSpec, pinned: tuple[PinnedJob, ...], record: BackupRecord | None = None) -> Requirements:
    jobs = job_queries(spec.source.vault, pinned)
    return Requirements(queries=frozenset(jobs), pinned=pinned, jobs=jobs, record=record)


def _of_latest(
    watch: Watch, spec: WatchSpec, latest: LatestJob, observations: Mapping[Query, Observation], now: datetime
) -> Requirements:
    start = watch.search_start
    is_searched = watch.searched_until is not None
    window = latest_window(latest, created=start or now, now=now, is_searched=is_searched)
    queries: frozenset[Query] = frozenset({window})
    listed = observations.get(window)
    # Without a stored start, a later reconcile could match another job.
    if start is None or listed is None or not isinstance(listed.result, JobList):
        return Requirements(queries=queries, found=_error(listed))
    jobs: Sequence[Job] = listed.result.jobs
    if latest.completed_within is not None:
        return _of_completed(spec, latest, queries, jobs, observations, start=start, now=now)
    if needs_history(listed.result.jobs, latest, created=start):
        history = workload_history(latest.vault, now=now)
        queries |= {history}
        earlier = observations.get(history)
        if earlier is None or not isinstance(earlier.result, JobList):
            return Requirements(queries=queries, found=_error(earlier))
        jobs = with_history(listed.result.jobs, earlier.result.jobs)
    found = find_latest(jobs, latest, created=start)
    if isinstance(found, PinnedJob):
        return _of_jobs(spec, (found,))
    return Requirements(queries=queries, found=found)


def _of_completed(
    spec: WatchSpec,
    latest: LatestJob,
    queries: frozenset[Query],
    jobs: Sequence[Job],
    observations: Mapping[Query, Observation],
    *,
    start: datetime,
    now: datetime,
) -> Requirements:
    details: dict[str, Job] = {}
    running = {fold_case(job.name or "") for job in jobs if not job.ended}
    while True:
        found = find_completed_or_next(
            jobs, latest, start=start, now=now, warnings_succeed=spec.warnings_succeed, details=details
        )
        if isinstance(found, PinnedJob):
            return _of_jobs(spec, (found,))
        if not isinstance(found, str):
            return Requirements(queries=queries, found=found)
        query = JobId(vault=latest.vault, name=found)
        queries |= {query}
        known = observations.get(query)
        detail = _open_job(known, start) if found in running else None
        detail = detail or _detail(known)
        if detail is None:
            return Requirements(queries=queries, found=_error(known))
        details[found] = detail


def _detail(known: Observation | None) -> Job | None:
    """Return the job, if it has ended and the answer shows whether it was cancelled."""
    job = None if known is None else known.result
    if not isinstance(job, Job) or not job.ended or (job.partial and job.outcome is not Outcome.COMPLETED):
        return None
    return job


def _open_job(known: Observation | None, start: datetime) -> Job | None:
    """Return the job, if it was still running when it was read after *start*."""
    # The time of an edit is rounded up by less than a second.
    job = None if known is None or known.time <= start - timedelta(seconds=1) else known.result
    return job if isinstance(job, Job) and not job.ended else None


def _error(observation: Observation | None) -> AzureError | None:
    return None if observation is None else observation.error
