"""A model of Azure: vaults with jobs that start, change and end, lists with pages, and temporary errors."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.jobs.findings import PinnedJob, Waiting
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId
from backupjobwatch.domain.polling.demand import RunningJobs
from backupjobwatch.errors import AuthorizationFailed, AzureError, AzureUnavailable, JobNotFound, Throttled
from tests.support.builders import running_job
from tests.support.polling import START, job_id, wall

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.polling.demand import Request

NEVER_ENDS: Final = float("inf")
_JOB: Final = running_job()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelJob:
    """A job in Azure. All times are seconds on the monotonic clock."""

    id: JobId
    begins: float = START - 600
    cancelling: float = NEVER_ENDS
    """When the status of the job changes to Cancelling, if ever."""
    ends: float = NEVER_ENDS
    final: str = "Completed"

    def at(self, now: float, *, partial: bool) -> Job | None:
        """Return the job as Azure shows it at *now*, or None before it begins."""
        if now < self.begins:
            return None
        ended = now >= self.ends
        return replace(
            _JOB,
            name=self.id.name,
            status=self.final if ended else "Cancelling" if now >= self.cancelling else "InProgress",
            start_time=wall(self.begins),
            end_time=wall(self.ends) if ended else None,
            tasks=() if partial else _JOB.tasks,
            partial=partial,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """An error that one kind of request gets for a limited time."""

    kind: str
    """The kind of request."""
    begins: float
    ends: float
    status: int
    """429, 503 or 403."""
    retry_after: float = 20.0
    is_subscription_wide: bool = False

    def error(self) -> AzureError:
        if self.status == 429:
            wait = timedelta(seconds=self.retry_after)
            error = Throttled("429", retry_after=wait)
            error.is_subscription_wide = self.is_subscription_wide
            return error
        return AzureUnavailable("503") if self.status == 503 else AuthorizationFailed("403")


@dataclass(slots=True, kw_only=True)
class ModelAzure:
    """The model's jobs and errors."""

    jobs: dict[JobId, ModelJob] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)
    page_size: int = 400

    def trouble(self, kind: str, now: float) -> AzureError | None:
        """Return the error of a request of this kind at *now*."""
        for each in self.troubles:
            if each.kind == kind and each.begins <= now < each.ends:
                return each.error()
        return None

    def answer(self, read: JobId | OperationId, now: float) -> Job | tuple[PinnedJob, ...] | Waiting | AzureError:
        """Return the result of a request for one job or operation."""
        if isinstance(read, OperationId):
            number = int(read.name[-12:])
            if now < START + 60 * number:
                return Waiting(reason="Progressing", message="The operation has not started a job yet.")
            return (PinnedJob(name=job_id(number).name),)
        model = self.jobs.get(read)
        return (model and model.at(now, partial=False)) or JobNotFound("404")

    def entries(self, read: Request, now: float) -> list[Job]:
        """Return all entries of a list that is requested at *now*."""
        jobs = [
            job for model in self.jobs.values() if model.id.vault == read.vault and (job := model.at(now, partial=True))
        ]
        if isinstance(read, RunningJobs):
            return [job for job in jobs if job.status == "InProgress"]
        return [job for job in jobs if _is_in(read, job)]

    def pages(self, entries: list[Job]) -> int:
        """Return the number of pages of a list."""
        return max(-(-len(entries) // self.page_size), 1)


def _is_in(window: Request, job: Job) -> bool:
    first: datetime | None = window.first_day if hasattr(window, "first_day") else None
    return first is None or job.start_time is None or job.start_time >= first
