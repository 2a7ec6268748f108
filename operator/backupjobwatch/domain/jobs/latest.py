"""Find the first job of an item that started after a time in a vault's list of jobs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.jobs.durations import format_duration
from backupjobwatch.domain.jobs.findings import PinnedJob, Waiting
from backupjobwatch.domain.jobs.latest_window import LONGEST_RUN, WORKLOADS
from backupjobwatch.domain.jobs.resource_ids import fold_case, is_guid
from backupjobwatch.domain.jobs.times import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.jobs.latest_job import LatestJob

_WITH_HOST: Final = re.compile(r"(?P<item>.+) \[(?P<host>[^\[\]]+)\]", re.DOTALL)
"""Item name of a database job that has ended: ``msdb [sql-host-1]``. While the job runs, the name is ``msdb``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Match:
    """A job of the item, with any operation."""

    job: Job
    started: datetime
    container: str | None
    """Container, or host of a workload job. None until Azure reports it."""
    is_workload: bool
    runs: bool
    """Whether the operation matches the spec, or may match it when the job ends."""
    is_provisional: bool
    """Whether Azure may add the host or the type of backup when the job ends."""

    @property
    def has_no_host_yet(self) -> bool:
        """Whether this is a running workload job without a host."""
        return self.is_workload and not self.job.ended and self.container is None

    @property
    def is_candidate(self) -> bool:
        """Whether the watch may follow this job."""
        return self.runs and is_guid(self.job.name or "")

    def is_next(self, start: datetime, latest: LatestJob) -> bool:
        """Return whether the job started after *start*, or, with ``completedWithin``, was running at *start*."""
        if latest.completed_within is None or self.started > start:
            return self.started > start
        end = self.job.end_time
        return self.started > start - LONGEST_RUN and (not self.job.ended if end is None else end > start)

    def overlaps(self, other: _Match) -> bool:
        """Return whether the two jobs ran at the same time. A job without an end time is running."""
        return _before(self.started, other.job.end_time) and _before(other.started, self.job.end_time)


def needs_history(jobs: Iterable[Job], latest: LatestJob, *, created: datetime) -> bool:
    """Return whether the workload jobs of the whole history are needed to find all hosts with such a database."""
    after = latest.started_after or created
    matches = _matches(jobs, latest)
    return latest.container is None and any(m.is_workload and m.runs and m.started > after for m in matches)


def with_history(jobs: Sequence[Job], history: Iterable[Job]) -> list[Job]:
    """Return *jobs* and the jobs that only *history* has."""
    names = {fold_case(job.name or "") for job in jobs}
    return [*jobs, *(job for job in history if fold_case(job.name or "") not in names)]


def jobs_of_item(jobs: Iterable[Job], latest: LatestJob) -> list[Job]:
    """Return the jobs with the item, the operation and the container of *latest*."""
    return [match.job for match in _matches(jobs, latest) if match.is_candidate]


def has_database(jobs: Iterable[Job], latest: LatestJob) -> bool:
    """Return whether the item is a database in a virtual machine, or one with the item's name is not ruled out."""
    # With a container in the spec, a job without a host may be of another host.
    matches = _matches(jobs, latest)
    return any(each.is_workload and (latest.container is None or each.container is not None) for each in matches)


def find_latest(jobs: Iterable[Job], latest: LatestJob, *, created: datetime) -> PinnedJob | Waiting:
    """Return the first job of *latest*, or why it is not known yet. *jobs* may contain jobs of other items.

    With ``completedWithin``, jobs that were running at *created* count too.
    """
    after = latest.started_after or created
    matches = _matches(jobs, latest)
    candidates = [match for match in matches if match.is_candidate and match.is_next(after, latest)]
    if latest.container is not None and latest.is_backup:
        # A database runs one backup of a type at a time, so an earlier running job has another host or type.
        candidates = [match for match in candidates if not match.is_provisional] or candidates
    first = min(candidates, key=lambda match: (match.started, match.job.name or ""), default=None)
    containers = _containers(matches, first)
    if latest.container is None and len(containers) > 1:
        return Waiting(
            reason="AmbiguousItem",
            message=f"Several containers or hosts have an item {latest.item}. Set spec.latest.container to one of: "
            f"{', '.join(sorted(filter(None, containers.values())))}.",
        )
    if first is None:
        message = f"No {latest.operation} of {latest.item} has started after {format_time(after)} yet."
        if latest.completed_within is not None:
            within = format_duration(latest.completed_within)
            message = (
                f"No {latest.operation} of {latest.item} completed within {within} before {format_time(after)}. The watch "
                "waits for the next one."
            )
        return Waiting(reason="WaitingForJob", message=message, searched=True)
    if not _is_certain(first, matches, latest):
        return Waiting(
            reason="WaitingForJob",
            message=f"A job of {latest.item} is running. Azure names its host and its type when it ends, and the watch "
            "waits for that.",
            first_candidate=first.started,
        )
    return PinnedJob(name=fold_case(first.job.name or ""))


def _matches(jobs: Iterable[Job], latest: LatestJob) -> list[_Match]:
    """Return the jobs of the item whose container matches the spec, or may match it when the job ends."""
    found = (_match(job, job.start_time, latest) for job in jobs if job.start_time is not None)
    wanted = None if latest.container is None else fold_case(latest.container)
    return [
        match
        for match in found
        if match is not None and (wanted in (None, fold_case(match.container or "")) or match.has_no_host_yet)
    ]


def _match(job: Job, started: datetime, latest: LatestJob) -> _Match | None:
    item, name = fold_case(latest.item), fold_case(job.entity_friendly_name or "")
    has_name = item in (name, *map(fold_case, job.aliases))
    # Both fields are optional, and a type can have a suffix, as in AzureWorkloadJobV2.
    kinds = (fold_case(job.backup_management_type or ""), fold_case(job.job_type or ""))
    is_workload = any(kind.startswith(fold_case(WORKLOADS)) for kind in kinds)
    named = _WITH_HOST.fullmatch(job.entity_friendly_name or "") if is_workload else None
    if not has_name and (named is None or fold_case(named["item"]) != item):
        return None
    # While a job runs, a name in brackets may be part of the database's own name.
    host = named["host"] if named is not None and (job.ended or not has_name) else None
    container = job.container or host
    is_open = is_workload and not job.ended
    return _Match(
        job=job,
        started=started,
        container=container,
        is_workload=is_workload,
        runs=latest.runs(job.operation) or (is_open and latest.may_run(job.operation)),
        is_provisional=is_open and (container is None or latest.may_run(job.operation)),
    )


def _containers(matches: Iterable[_Match], first: _Match | None) -> Mapping[str, str]:
    """Return the containers and hosts that have the item, keyed by lowercase name. "" is an unknown host.

    A workload job that ended without a host may belong to any host. It counts only if it is *first* or ran at the same
    time as *first*.
    """
    return {
        fold_case(match.container or ""): match.container or ""
        for match in matches
        if (match.is_workload and match.container is not None)
        or (match.runs and not match.is_workload)
        or (match.runs and match.job.ended and first is not None and (match is first or match.overlaps(first)))
    }


def _is_certain(first: _Match, matches: Iterable[_Match], latest: LatestJob) -> bool:
    """Return whether *first* is certainly the job in the spec.

    A running workload job is certain only if the ended jobs of the item have one host and one type of backup.
    """
    if latest.container is not None:
        return not first.is_provisional
    others = (each for each in matches if each is not first and (each.has_no_host_yet or first.has_no_host_yet))
    if any(each.overlaps(first) for each in others):  # Concurrent jobs of the item may have different hosts.
        return False
    if not first.is_provisional:
        return True
    ended = [match for match in matches if match.job.ended]
    hosts = {fold_case(match.container or "") for match in ended}
    has_one_host = latest.runs(first.job.operation) and len(hosts) == 1 and "" not in hosts
    prefix = f"{fold_case(first.job.operation or '')} ("
    types = (match.job.operation for match in ended if fold_case(match.job.operation or "").startswith(prefix))
    return has_one_host and all(map(latest.runs, types))


def _before(start: datetime, end: datetime | None) -> bool:
    return end is None or start < end
