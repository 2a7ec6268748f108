"""Demand: which queries are required, by which watches, and what is known about them and their vaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.jobs.job import Outcome
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId
from backupjobwatch.domain.polling.observations import NEVER
from backupjobwatch.domain.polling.pauses import JOB, LIST, OPERATION, SECONDARY
from backupjobwatch.domain.polling.queries import JobWindow, ProtectedItems, Query
from backupjobwatch.errors import AuthorizationFailed, JobNotFound, UnexpectedResponse, VaultNotFound

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.jobs.resource_ids import VaultId
    from backupjobwatch.domain.polling.observations import Observation
    from backupjobwatch.domain.polling.pauses import RequestKind

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LIST_REFUSALS: Final = (AuthorizationFailed, JobNotFound, VaultNotFound, UnexpectedResponse)
"""Errors of a list that the next list would return again. They say nothing about a job, so each job is read with a GET."""


@dataclass(frozen=True, slots=True)
class RunningJobs:
    """A list of the running jobs of a vault. A job that is missing from it has ended, or is not visible."""

    vault: VaultId


@dataclass(frozen=True, slots=True)
class NextPage:
    """The next page of a list that is being read."""

    vault: VaultId


VaultList = JobWindow | ProtectedItems | RunningJobs
"""Lists of a vault. At most one of them is in flight per vault."""
Request = Query | RunningJobs
Read = Request | NextPage


def kind_of(read: Read) -> RequestKind:
    """Return the kind of the request for *read*."""
    if isinstance(read, JobId):
        return JOB if read.vault.secondary_region is None else SECONDARY
    return OPERATION if isinstance(read, OperationId) else LIST


@dataclass(slots=True, kw_only=True)
class Demand:
    """One query that is required. Times are seconds on the monotonic clock."""

    query: Query
    interval: float
    """The shortest poll interval of the watches that require it, in seconds."""
    since: float
    """When it was first required."""
    uids: dict[str, float] = field(default_factory=dict)
    """The watches that require it, and the poll interval of each of them."""
    observation: Observation | None = None
    is_reading: bool = False
    """Whether a request is in flight."""
    not_before: float = NEVER
    """When the backoff ends."""
    fresh_after: float = NEVER
    """The result must come from a request sent at this time or later."""
    is_explicit: bool = False
    """Whether that result is still missing, and has priority over those of other queries."""
    is_only_secondary: bool = False
    """Whether the last result came from a POST in the secondary region. If that fails, a GET in the vault comes next."""

    @property
    def sent(self) -> float:
        """When the request behind the latest result was sent."""
        return NEVER if self.observation is None else self.observation.sent

    @property
    def detail_sent(self) -> float:
        """When the request behind the latest result with full detail, or behind the latest error, was sent."""
        observation = self.observation
        if observation is None or observation.error is not None or observation.job is None:
            return self.sent
        return observation.detail_sent

    @property
    def due(self) -> float:
        """When the next poll is due."""
        return max(max(self.since, self.sent) + self.interval, self.not_before)

    @property
    def is_final(self) -> bool:
        """Whether the result is final: no request can return anything new."""
        return self.observation is not None and self.observation.is_final

    @property
    def is_fresh(self) -> bool:
        """Whether the latest result is fresh enough."""
        return self.sent >= self.fresh_after or self.is_final

    @property
    def job(self) -> Job | None:
        """The job as last seen."""
        return None if self.observation is None else self.observation.job

    @property
    def lacks_only_detail(self) -> bool:
        """Whether a list has shown that the job completed, so that only its detail is missing."""
        return self.job is not None and self.job.partial and self.job.outcome is Outcome.COMPLETED


@dataclass(slots=True)
class VaultState:
    """State of the lists of one vault."""

    queries: int = 0
    """How many queries of this vault are required."""
    jobs: dict[JobId, Demand] = field(default_factory=dict)
    """The jobs among them."""
    entries: dict[str, Job] = field(default_factory=dict)
    """The latest list of running jobs by ``JobId.key``, including jobs that no watch requires yet."""
    entries_sent: float = NEVER
    """When that list was requested."""
    entries_time: datetime = _EPOCH
    """The same on the wall clock."""
    pages: int = 1
    """Pages of that list."""
    began: float = NEVER
    """When a list of running jobs was last requested. Its response may be outstanding."""
    window_pages: int = 2
    """Pages of the last list of all jobs since a time."""
    is_reading: bool = False
    """Whether a list is in flight."""
    held_until: float = NEVER
    """No list is requested before this time, because the last one was refused. Jobs in a secondary region have no list."""
    awaiting: dict[JobId, None] = field(default_factory=dict)
    """Jobs that are due and wait for the next list."""
    changed: dict[JobId, None] = field(default_factory=dict)
    """Jobs that a list showed as changed, ended or missing."""
    window_tried: dict[JobId, float] = field(default_factory=dict)
    """When a list of all jobs since a time was last requested for one of these."""
