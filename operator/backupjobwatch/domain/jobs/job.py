"""An Azure Backup job: what Azure says of it, in either kind of vault.

Unknown words are carried, malformed values left out. ``recovery_services`` and ``data_protection`` read it.
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
    """What the status of a job or task means. Azure's set is open: a status that is not listed here is unknown."""

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
_COMPLETED = frozenset({Outcome.COMPLETED, Outcome.COMPLETED_WITH_WARNINGS})
CANCELLED_CODES: Final = frozenset({"400158", "usererrorjobsuccessfullycancelled"})
"""Error code and title, in lowercase, of a job that was cancelled."""
_RUNNING = frozenset({Outcome.IN_PROGRESS, Outcome.CANCELLING, Outcome.UNKNOWN})
_ZERO = timedelta()


def outcome_of(status: str | None) -> Outcome:
    """Return what *status* means, in any letter case and known spelling."""
    return _OUTCOMES.get((status or "").lower(), Outcome.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One of a job's tasks; ``task_id`` is a name for people, such as "Transfer data to vault"."""

    task_id: str | None
    status: str | None
    start_time: datetime | None
    end_time: datetime | None
    duration: timedelta | None
    progress_percent: int | None
    execution_details: str | None = None
    """Azure's own words, such as ``63.5 GBs / 127 GBs Transferred``. Restores have them."""
    data_transferred: int | None = None
    """Bytes. Backup vaults report them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """One of a job's error details. Each field is missing for some job type."""

    code: str | None
    title: str | None
    message: str | None
    recommendations: tuple[str, ...]
    target: str | None = None
    """What the error is about. Backup vaults say so."""
    cause: str | None = None
    """The errors behind it. Backup vaults have them."""
    retryable: bool | None = None


def any_error_is_cancelled(errors: Iterable[JobError]) -> bool:
    """Tell whether one of *errors* has the code or title of a job that was cancelled."""
    return any((text or "").lower() in CANCELLED_CODES for error in errors for text in (error.code, error.title))


def any_task_is_cancelled(tasks: Iterable[Task]) -> bool:
    """Tell whether one of *tasks* was cancelled."""
    return any(outcome_of(task.status) is Outcome.CANCELLED for task in tasks)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPoint:
    """What a job read or made. Backup vaults tell."""

    id: str | None
    time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as one answer showed it."""

    resource_id: str | None
    name: str | None
    job_type: str | None
    status: str | None
    operation: str | None
    backup_management_type: str | None
    workload_type: str | None
    entity_friendly_name: str | None
    activity_id: str | None
    start_time: datetime | None
    end_time: datetime | None
    duration: timedelta | None
    cancellable: bool | None
    user_triggered: bool | None
    progress_percent: int | None
    estimated_remaining: str | None
    dynamic_error_message: str | None
    tasks: tuple[Task, ...]
    properties: Mapping[str, str] = field(hash=False)
    errors: tuple[JobError, ...]
    warnings: tuple[JobError, ...] = ()
    data_transferred: int | None = None
    """Bytes."""
    source_recovery_point: RecoveryPoint | None = None
    target_recovery_point: RecoveryPoint | None = None
    aliases: tuple[str, ...] = ()
    """Other names of the item that is protected."""
    container: str | None = None
    """What tells apart two items of one name."""
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
    """Whether an error or a warning has the code of a cancelled job, also one beyond the limit."""
    has_cancelled_task: bool = False
    """Whether a task was cancelled, also one beyond the limit."""
    cut: tuple[str, ...]
    """The parts that were too long to be kept whole: tasks, properties, errors, recommendations, texts."""

    partial: bool = False
    """Whether this is an entry of a list: without tasks, progress and errors."""

    @property
    def steady(self) -> tuple[object, ...]:
        """All that it says, but for how long it has taken: two looks of one ``steady`` differ in nothing else."""
        return _STEADY(self)

    @property
    def vault(self) -> str | None:
        """The name of the vault, for people."""
        segments = (self.resource_id or "").split("/")
        names = (name for kind, name in pairwise(segments) if kind.lower() in ("vaults", "backupvaults"))
        return next(names, None) or None

    @property
    def outcome(self) -> Outcome:
        """What the status means. A cancelled job is cancelled whatever Azure calls its end."""
        outcome = outcome_of(self.status)
        if outcome in _COMPLETED and self._was_cancelled(outcome):
            return Outcome.CANCELLED
        return outcome

    def _was_cancelled(self, outcome: Outcome) -> bool:
        """Tell whether errors or tasks say that the job was cancelled.

        A VM backup that is cancelled after its snapshot ends as CompletedWithWarnings: there is a snapshot, but no
        recovery point in the vault.
        """
        return self.has_cancelled_error or (outcome is Outcome.COMPLETED_WITH_WARNINGS and self.has_cancelled_task)

    @property
    def ended(self) -> bool:
        """Whether the job has ended. An unknown status does not end it."""
        return self.outcome not in _RUNNING

    def elapsed(self, now: datetime) -> timedelta | None:
        """Return how long the job took, or how long it has run at *now*.

        Azure's own duration wins if it says something. Backup vaults send ``PT0S`` for the whole run of a job.
        """
        if self.ended or self.duration or self.start_time is None:
            return self.duration
        return max(now - self.start_time, _ZERO)

    @property
    def title(self) -> str:
        """The job in three words, for messages: ``Backup of vm1``."""
        operation = self.operation or "Job"
        return f"{operation} of {self.entity_friendly_name}" if self.entity_friendly_name else operation


_STEADY: Final = attrgetter(*(each.name for each in fields(Job) if each.name != "duration"))
