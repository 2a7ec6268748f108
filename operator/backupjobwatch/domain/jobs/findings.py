"""What the observations say about the job or jobs of a watch: the input of ``next_status``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from backupjobwatch.domain.jobs.job import Job, JobError
from backupjobwatch.errors import AzureError

if TYPE_CHECKING:
    from datetime import datetime

MAX_JOBS: Final = 50
"""Maximum number of jobs in ``status.jobs``. The operator polls all jobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedJob:
    """A job that the operation or ``spec.latest`` resolved to. It never changes for a target."""

    name: str
    error_code: str | None = None
    """Why the operation could not start the job. Such a job counts as failed."""
    note: str = ""
    """What the message of a success adds, for a job that completed before the start of the watch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Azure answered, but the job is not known yet."""

    reason: Literal["Progressing", "WaitingForJob", "AmbiguousItem", "TriggerUncertain"]
    message: str
    searched: bool = False
    """Whether a complete list has no job that matches ``spec.latest``."""
    first_candidate: datetime | None = None
    """Start time of the first job that may match ``spec.latest``. None if there is no such job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsupportedItem:
    """The list shows that ``spec.latest`` cannot be judged for this item. The spec counts as invalid."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationFailure:
    """The operation ended without starting a job."""

    message: str
    errors: tuple[JobError, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFailure:
    """The operator cannot request the backup of ``spec.onDemand``, or does not know whether it started."""

    reason: Literal["InvalidTarget", "NamespaceNotAllowed", "TriggerUncertain"]
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSet:
    """The jobs of an operation that started more than one."""

    jobs: tuple[Job, ...]
    not_started: tuple[PinnedJob, ...]

    @property
    def total(self) -> int:
        """Number of jobs, including those that could not be started."""
        return len(self.jobs) + len(self.not_started)


def is_from_request(finding: Finding) -> bool:
    """Return whether a request was sent for *finding*."""
    return not isinstance(finding, AzureError) or finding.is_from_request


Finding = Job | JobSet | Waiting | UnsupportedItem | OperationFailure | RequestFailure | AzureError
