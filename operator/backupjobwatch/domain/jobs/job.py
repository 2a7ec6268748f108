"""The model of an Azure Backup job, for both kinds of vault.

Unknown values are preserved, malformed values are dropped. ``recovery_services`` and ``data_protection`` parse jobs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import timedelta
from enum import Enum
from itertools import pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

MAX_TASKS: Final = 50
MAX_PROPERTIES: Final = 50
MAX_ERRORS: Final = 20
MAX_RECOMMENDATIONS: Final = 10


class Outcome(Enum):
    """Meaning of the status of a job or task. Azure's set of statuses is open: any other status is UNKNOWN."""

    IN_PROGRESS = "InProgress"
    CANCELLING = "Cancelling"
    COMPLETED = "Completed"
    COMPLETED_WITH_WARNINGS = "CompletedWithWarnings"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    UNKNOWN = ""


_OUTCOMES: Final = {
    **{outcome.value.lower(): outcome for outcome in Outcome if outcome is not Outcome.UNKNOWN},
    # Backup vaults: https://learn.microsoft.com/rest/api/dataprotection/jobs/get
    "started": Outcome.IN_PROGRESS,
    # Spellings of operations, policies and older api-versions.
    "canceling": Outcome.CANCELLING,
    "canceled": Outcome.CANCELLED,
    "success": Outcome.COMPLETED,
    "successwithwarning": Outcome.COMPLETED_WITH_WARNINGS,
}
_COMPLETED = (Outcome.COMPLETED, Outcome.COMPLETED_WITH_WARNINGS)
CANCELLED_CODES: Final = frozenset({"400158", "usererrorjobsuccessfullycancelled"})
"""Error code and error title of a cancelled job, in lowercase."""
_RUNNING = (Outcome.IN_PROGRESS, Outcome.CANCELLING, Outcome.UNKNOWN)
_ZERO = timedelta()


def outcome_of(status: str | None) -> Outcome:
    """Return the meaning of *status*, ignoring letter case."""
    return _OUTCOMES.get((status or "").lower(), Outcome.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task of a job. ``task_id`` is a readable name, such as "Transfer data to vault"."""

    task_id: str | None
    status: str | None
    start_time: datetime | None = None
    end_time: datetime | None = None
    duration: timedelta | None = None
    progress_percent: int | None
    execution_details: str | None = None
    """Progress of a restore in Azure's words, such as ``63.5 GBs / 127 GBs Transferred``."""
    data_transferred: int | None = None
    """Bytes. Reported by Backup vaults only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """An error of a job. Each field is missing in some job types."""

    code: str | None
    title: str | None = None
    message: str | None
    recommendations: tuple[str, ...]
    target: str | None = None
    """Resource that the error is about. Reported by Backup vaults only."""
    cause: str | None = None
    """Inner errors, the outermost first. Reported by Backup vaults only."""
    retryable: bool | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it has no text. Azure sends errors whose fields are null."""
        return not (self.code or self.title or self.message or self.recommendations)


def any_error_is_cancelled(errors: Iterable[JobError]) -> bool:
    """Return whether one of *errors* has the code or title of a cancelled job."""
    return any((text or "").lower() in CANCELLED_CODES for error in errors for text in (error.code, error.title))


def any_task_is_cancelled(tasks: Iterable[Task]) -> bool:
    """Return whether one of *tasks* was cancelled."""
    return any(outcome_of(task.status) is Outcome.CANCELLED for task in tasks)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPoint:
    """A recovery point that a job restored from or created. Reported by Backup vaults only."""

    id: str | None
    time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as described by one response."""

    resource_id: str | None
    name: str | None
    job_type: str | None
    status: str | None
    operation: str | None
    backup_management_type: str | None = None
    workload_type: str | None = None
    entity_friendly_name: str | None
    activity_id: str | None
    start_time: datetime | None
    end_time: datetime | None
    duration: timedelta | None
    cancellable: bool | None
    user_triggered: bool | None
    progress_percent: int | None = None
    estimated_remaining: str | None = None
    dynamic_error_message: str | None = None
    tasks: tuple[Task, ...]
    properties: Mapping[str, str] = field(hash=False)
    errors: tuple[JobError, ...]
    warnings: tuple[JobError, ...] = ()
    data_transferred: int | None = None
    """Bytes."""
    source_recovery_point: RecoveryPoint | None = None
    target_recovery_point: RecoveryPoint | None = None
    aliases: tuple[str, ...] = ()
    """Other names of the protected item."""
    container: str | None = None
    """Container of the item, which distinguishes items with the same name."""
    container_name: str | None = None
    storage_account_name: str | None = None
    mab_server_name: str | None = None
    dpm_server_name: str | None = None
    restore_location_type: str | None = None
    data_source_id: str | None = None
    policy_name: str | None = None
    operation_category: str | None = None
    source_data_store_type: str | None = None
    recovery_destination: str | None = None
    has_cancelled_error: bool = False
    """Whether any error or warning, including those beyond the limit, has the code of a cancelled job."""
    has_cancelled_task: bool = False
    """Whether any task, including those beyond the limit, was cancelled."""
    truncated: tuple[str, ...]
    """Names of the truncated parts: tasks, properties, errors, recommendations, texts."""

    partial: bool = False
    """Whether this is a list entry, which has no tasks, progress and warnings."""
    digest: int | None = field(default=None, compare=False)
    """Hash of a list entry without its duration. An entry with the same hash is not parsed again."""

    @property
    def steady(self) -> tuple[object, ...]:
        """All fields that a status shows, except the duration, to compare two responses."""
        return _STEADY(self)

    @property
    def vault(self) -> str | None:
        """Name of the vault. The ID of a cross-region restore has none, but its properties do."""
        segments = (self.resource_id or "").split("/")
        names = (name for kind, name in pairwise(segments) if kind.lower() in ("vaults", "backupvaults"))
        return next(names, None) or self.properties.get("Vault name") or None

    @property
    def outcome(self) -> Outcome:
        """Meaning of the status. A cancelled job is CANCELLED even if Azure reports another status."""
        outcome = outcome_of(self.status)
        if outcome in _COMPLETED and self._was_cancelled(outcome):
            return Outcome.CANCELLED
        return outcome

    def _was_cancelled(self, outcome: Outcome) -> bool:
        """Return whether errors or tasks show that the job was cancelled.

        A VM backup that is cancelled after its snapshot ends as CompletedWithWarnings. It has a snapshot, but no
        recovery point in the vault.
        """
        return self.has_cancelled_error or (outcome is Outcome.COMPLETED_WITH_WARNINGS and self.has_cancelled_task)

    @property
    def ended(self) -> bool:
        """Whether the job has ended. A job with an unknown status has not."""
        return self.outcome not in _RUNNING

    def elapsed(self, now: datetime) -> timedelta | None:
        """Return the duration of the job, up to *now* if the job is running.

        Azure's duration takes precedence unless it is zero. Backup vaults send ``PT0S`` while a job runs.
        """
        if self.ended or self.duration or self.start_time is None:
            return self.duration
        return max(now - self.start_time, _ZERO)

    @property
    def title(self) -> str:
        """Short description for messages: ``Backup of vm1``."""
        operation = self.operation or "Job"
        return f"{operation} of {self.entity_friendly_name}" if self.entity_friendly_name else operation


_STEADY: Final = attrgetter(*(each.name for each in fields(Job) if each.name not in ("duration", "digest")))
