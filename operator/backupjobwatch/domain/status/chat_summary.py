"""The content of a chat message: a headline, a text and facts, without the markup of a tool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.constants import KIND
from backupjobwatch.domain.jobs.payloads import mapping
from backupjobwatch.domain.status.verdict import RUNNING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.status.notifications import Notification

_ENDS: Final = {
    "JobCompleted": "completed",
    "JobCompletedWithWarnings": "completed with warnings",
    "JobFailed": "failed",
    "JobCancelled": "was cancelled",
}
"""What happened to the job, by the reasons that say so. With any other reason, only the watch has failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSummary:
    """A notification for people."""

    phase: str
    headline: str
    message: str
    facts: tuple[tuple[str, str], ...]
    """Labels and values, without those that are not known."""
    command: str
    """The command that shows everything."""


def chat_summary(watch: Watch, notification: Notification) -> ChatSummary:
    """Summarize the status of *watch* for *notification*."""
    status = watch.status
    job = mapping(status.get("job"))
    name = f"{watch.namespace}/{watch.name}"
    facts = (
        ("Watch", name),
        ("Reason", status.get("reason")),
        ("Operation", job.get("operation")),
        ("Item", job.get("entityFriendlyName")),
        ("Vault", job.get("vault")),
        ("Azure status", job.get("status")),
        ("Duration", status.get("duration")),
        ("Finished", status.get("completionTime")),
    )
    return ChatSummary(
        phase=notification.phase,
        headline=_headline(watch, notification.phase),
        message=str(status.get("message") or ""),
        facts=tuple((label, str(value)) for label, value in facts if value),
        command=f"kubectl describe {KIND.lower()} {watch.name} --namespace {watch.namespace}",
    )


def _headline(watch: Watch, phase: str) -> str:
    """Return the headline. It never claims that the job failed if only the watch failed."""
    status = watch.status
    job, name = _title(status), f"{KIND} {watch.namespace}/{watch.name}"
    end = _ENDS.get(str(status.get("reason")))
    if phase == RUNNING:
        return f"{job or name} is running"
    return f"{job} {end}" if job and end else f"{name} {phase.lower()}"


def _title(status: Mapping[str, Any]) -> str | None:
    """Return the title of the job. None if there is none, or several."""
    job = mapping(status.get("job"))
    if not job or status.get("jobsTotal"):
        return None
    operation, item = job.get("operation") or "Job", job.get("entityFriendlyName")
    return f"{operation} of {item}" if item else str(operation)
