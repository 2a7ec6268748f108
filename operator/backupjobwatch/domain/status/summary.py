"""Summarize a watch in the few fields that metrics need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.jobs.payloads import mapping, mappings
from backupjobwatch.domain.jobs.times import parse_time
from backupjobwatch.domain.status.verdict import FAILED, PENDING, RUNNING, SUCCEEDED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from backupjobwatch.domain.api.snapshot import Watch

UNSEEN: Final = "Unseen"
"""Phase and reason of a watch whose current target has no status yet."""
OTHER: Final = "Other"
"""Label value that replaces an unknown phase or reason."""
PHASES: Final = (UNSEEN, PENDING, RUNNING, SUCCEEDED, FAILED, OTHER)

OUTCOMES: Final[Mapping[str, tuple[str, ...]]] = {
    SUCCEEDED: ("JobCompleted", "JobCompletedWithWarnings"),
    FAILED: (
        *("JobFailed", "JobCancelled", "JobCompletedWithWarnings", "JobNotFound", "VaultNotFound"),
        *("OperationFailed", "OperationWithoutJob", "DeadlineExceeded", "InvalidSpec"),
        *("CredentialsNotFound", "IdentityNotAllowed", "AuthenticationFailed", "AuthorizationFailed"),
        *("InvalidTarget", "NamespaceNotAllowed", "TriggerUncertain"),
    ),
}
"""Reasons of each final phase."""
REASONS: Final = (
    UNSEEN,
    *("Progressing", "WaitingForJob", "AmbiguousItem", "JobNotVisible", "Suspended"),
    *("JobInProgress", "JobCancelling", "JobStatusUnknown", "Throttled", "AzureUnavailable", "UnexpectedResponse"),
    *("JobListTooLong", "CredentialsUnavailable", "BackupLimitReached", "BackupConflict"),
    *dict.fromkeys(reason for reasons in OUTCOMES.values() for reason in reasons),
    OTHER,
)
"""All reasons of the Ready condition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The summary of a watch. Phase and reason are always in ``PHASES`` and ``REASONS``."""

    namespace: str
    name: str
    phase: str
    reason: str
    created: datetime
    job_start: datetime | None
    job_duration: int | None
    """Seconds, as of the last write."""
    completed: datetime | None
    trouble_since: datetime | None
    """When the job became unreadable or was reported as missing. None without trouble or for a finished watch."""

    @property
    def finished(self) -> bool:
        """Whether the watch has finished."""
        return self.phase in OUTCOMES


def summarize(watch: Watch) -> Summary:
    """Summarize *watch*. A malformed object does not raise."""
    status = watch.status_for_target
    phase, reason = (str(status.get(name, UNSEEN)) for name in ("phase", "reason"))
    duration = status.get("durationSeconds")
    idle = phase in OUTCOMES or reason == "Suspended"
    return Summary(
        namespace=watch.namespace,
        name=watch.name,
        phase=phase if phase in PHASES else OTHER,
        reason=reason if reason in REASONS else OTHER,
        created=watch.created,
        job_start=parse_time(mapping(status.get("job")).get("startTime")),
        job_duration=duration if isinstance(duration, int) else None,
        completed=parse_time(status.get("completionTime")),
        trouble_since=None if idle else _trouble_since(status),
    )


def _trouble_since(status: Mapping[str, Any]) -> datetime | None:
    times = [parse_time(status.get("troubleSince"))]
    times += [
        parse_time(condition.get("lastTransitionTime"))
        for condition in mappings(status.get("conditions"))
        if (condition.get("type"), condition.get("status")) == ("AzureReachable", "False")
    ]
    return min(filter(None, times), default=None)
