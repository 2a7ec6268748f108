"""Finds the first job of an item that started after a time, in a vault's list of jobs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from backupjobwatch.core.arm_ids import fold_case, is_guid
from backupjobwatch.core.observations import PinnedJob, Waiting
from backupjobwatch.core.times import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backupjobwatch.core.jobs import Job
    from backupjobwatch.core.target import LatestJob

LOOK_BACK: Final = timedelta(days=1)
"""How far before the time jobs are looked at, to see whether two containers have an item of the name."""
LOOK_AHEAD: Final = timedelta(days=1)
"""How far after today jobs are listed: Azure's clock may be ahead of ours, and past a midnight that ours has yet to reach."""
LONGEST: Final = timedelta(days=30)
"""The longest time that is listed. PowerShell refuses more; whether Azure does is not documented."""
WINDOW: Final = LONGEST - timedelta(days=1)
"""How far before today jobs are listed, at most."""


def out_of_reach(latest: LatestJob, *, created: datetime, now: datetime) -> Waiting | None:
    """Tell whether the first job after the time may be older than what is listed: the next one must not pass for it.

    What comes after the creation is listed again and again until it is found.
    """
    after = latest.started_after or created
    if after >= min(created, now) - WINDOW:
        return None
    return Waiting(
        reason="WaitingForJob",
        message=f"Jobs of {WINDOW.days} days are listed, and spec.latest.startedAfter is longer before this object's "
        f"creation: write a later time than {format_time(after)}, or name the job with jobName.",
    )


def list_window(latest: LatestJob, *, created: datetime, now: datetime) -> tuple[datetime, datetime]:
    """Return the times between which jobs are to be listed; in whole days, so that many watches share a list."""
    start = min(max((latest.started_after or created) - LOOK_BACK, now - WINDOW), now)
    first, today = (time.replace(hour=0, minute=0, second=0, microsecond=0) for time in (start, now))
    return first, min(today + timedelta(days=1) + LOOK_AHEAD, first + LONGEST)


def list_filter(start: datetime, end: datetime) -> str:
    """Write ``$filter`` for jobs that started from *start* to *end*, the way Azure reads it.

    The operator is eq and means a bound; times are on a 12-hour clock, whose AM and PM no locale may translate.
    https://github.com/MicrosoftDocs/azure-docs/issues/42973
    """
    return f"startTime eq '{_filter_time(start)}' and endTime eq '{_filter_time(end)}'"


def _filter_time(time: datetime) -> str:
    half = "AM" if time.hour < 12 else "PM"  # noqa: PLR2004
    return f"{time:%Y-%m-%d} {time.hour % 12 or 12:02d}:{time:%M:%S} {half}"


def find_latest(jobs: Iterable[Job], latest: LatestJob, *, created: datetime) -> PinnedJob | Waiting:
    """Return the job that *latest* means, if it is among *jobs*; the list's filter is not relied upon."""
    after = latest.started_after or created
    of_item = [job for job in jobs if _is_of_item(job, latest) and job.start_time is not None]
    containers = {fold_case(job.container or "") for job in of_item}
    if latest.container is None and len(containers) > 1:
        names = ", ".join(sorted({job.container or "(none)" for job in of_item}))
        return Waiting(
            reason="AmbiguousItem",
            message=f"Several containers have an item {latest.item}: write one into spec.latest.container: {names}.",
        )
    candidates = [
        job for job in of_item if job.start_time is not None and job.start_time > after and is_guid(job.name or "")
    ]
    if not candidates:
        return Waiting(
            reason="WaitingForJob",
            message=f"No {latest.operation} of {latest.item} has started after {format_time(after)} yet.",
        )
    first = min(candidates, key=lambda job: (job.start_time or after, job.name or ""))
    return PinnedJob(name=(first.name or "").lower())


def _is_of_item(job: Job, latest: LatestJob) -> bool:
    names = {fold_case(name) for name in (job.entity_friendly_name, *job.aliases) if name}
    in_container = latest.container is None or fold_case(job.container or "") == fold_case(latest.container)
    return fold_case(latest.item) in names and in_container and latest.runs(job.operation)
