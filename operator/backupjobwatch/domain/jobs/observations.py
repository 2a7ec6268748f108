"""What is seen when Azure is asked about a watch's job, or jobs, or what is to become one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from backupjobwatch.domain.jobs.job import Job, JobError
from backupjobwatch.errors import AzureError

if TYPE_CHECKING:
    from datetime import datetime

MAX_JOBS: Final = 50
"""Jobs of an operation that a status lists. All of them are followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedJob:
    """A job that belongs to the watch for good, once it was found to."""

    name: str
    error_code: str | None = None
    """Why the operation could not start it: then there is nothing to follow, and it counts as failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Azure answered, and the job is not known yet."""

    reason: Literal["Progressing", "WaitingForJob", "AmbiguousItem"]
    message: str
    searched: bool = False
    """Whether a complete list has no job that ``spec.latest`` may identify."""
    first_candidate: datetime | None = None
    """Start of the first listed job that ``spec.latest`` may identify, if that is not certain yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationFailure:
    """The operation ended without starting a job."""

    message: str
    errors: tuple[JobError, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSet:
    """The jobs of an operation that started several."""

    jobs: tuple[Job, ...]
    not_started: tuple[PinnedJob, ...]

    @property
    def total(self) -> int:
        """How many there are, those that could not be started included."""
        return len(self.jobs) + len(self.not_started)


def is_from_request(observation: Observation) -> bool:
    """Tell whether a request was sent for *observation*."""
    return not isinstance(observation, AzureError) or observation.is_from_request


Sighting = Job | JobSet | Waiting | OperationFailure
Observation = Sighting | AzureError
