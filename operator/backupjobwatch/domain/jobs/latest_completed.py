"""Find the job of a watch with ``spec.latest.completedWithin``: one that completed before the start, or the next one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.jobs.durations import format_duration
from backupjobwatch.domain.jobs.findings import PinnedJob, UnsupportedItem, Waiting
from backupjobwatch.domain.jobs.job import Outcome
from backupjobwatch.domain.jobs.latest import find_latest, has_database, jobs_of_item
from backupjobwatch.domain.jobs.resource_ids import fold_case
from backupjobwatch.domain.jobs.times import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.jobs.latest_job import LatestJob

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far Azure's clock may be ahead of the operator's."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


def find_completed_or_next(
    jobs: Iterable[Job],
    latest: LatestJob,
    *,
    start: datetime,
    now: datetime,
    warnings_succeed: bool,
    details: Mapping[str, Job],
) -> PinnedJob | Waiting | UnsupportedItem | str:
    """Return the last job that completed within ``completedWithin`` before *start*, else the next job.

    Some cancelled jobs look completed in the list *jobs*, so a GET must confirm the job. The list may also be older than
    *start*, so a later answer must confirm that a job was running then. If the job is not in *details*, its name is
    returned instead. Read it, add it under that name, and call again. *now* is a time after the list was read.
    """
    listed = [_without_future_end(details.get(fold_case(job.name or ""), job), now) for job in jobs]
    if has_database(listed, latest):
        return UnsupportedItem(
            message=f"Azure lists a database job of {latest.item}, but no scheduled backups of databases. Therefore "
            "spec.latest.completedWithin cannot be judged. Remove it, or set spec.latest.container to select an item of "
            "another kind."
        )
    following = find_latest(listed, latest, created=start)
    if isinstance(following, Waiting) and following.reason == "AmbiguousItem":
        return following
    ended = [job for job in jobs_of_item(listed, latest) if job.ended]
    succeeded = [job for job in ended if _succeeded(job, warnings_succeed=warnings_succeed)]
    within = latest.completed_within or timedelta()
    completed = [job for job in succeeded if start - within <= _end(job) <= start]
    if not completed:
        return _unconfirmed(following, listed, start, details) or following
    last = max(completed, key=lambda job: (_end(job), job.name or ""))
    name = fold_case(last.name or "")
    if name not in details:
        return name
    newer = [job for job in ended if job not in succeeded and _start(job) > _start(last)]
    return PinnedJob(name=name, note=_note(last, max(newer, key=_start, default=None), within))


def _without_future_end(job: Job, now: datetime) -> Job:
    """Return *job* without an end time in the future, which does not show when it ended."""
    return replace(job, end_time=None) if _end(job) > now + CLOCK_SKEW else job


def _unconfirmed(
    following: PinnedJob | Waiting, listed: Iterable[Job], start: datetime, details: Mapping[str, Job]
) -> str | None:
    """Return the name of the *following* job, if only the list shows that it was running at *start*."""
    if not isinstance(following, PinnedJob) or following.name in details:
        return None
    is_open = any(
        fold_case(job.name or "") == following.name and not job.ended and _start(job) <= start for job in listed
    )
    return following.name if is_open else None


def _succeeded(job: Job, *, warnings_succeed: bool) -> bool:
    return job.outcome is Outcome.COMPLETED or (job.outcome is Outcome.COMPLETED_WITH_WARNINGS and warnings_succeed)


def _start(job: Job) -> datetime:
    return job.start_time or _NEVER


def _end(job: Job) -> datetime:
    return job.end_time or _NEVER


def _note(last: Job, failed: Job | None, within: timedelta) -> str:
    note = (
        f"It ended at {format_time(_end(last))}, within {format_duration(within)} (spec.latest.completedWithin) before the "
        "watch started."
    )
    if failed is None:
        return note
    return (
        f"{note} A newer job did not succeed: {failed.title}, started at {format_time(_start(failed))}, ended as "
        f"{failed.outcome.value} (job {failed.name})."
    )
