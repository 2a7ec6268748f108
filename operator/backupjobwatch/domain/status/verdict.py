"""Judge a finding: map it to phase, reason and message by the table in docs/status.md."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.jobs.azure_errors import describe
from backupjobwatch.domain.jobs.durations import format_duration
from backupjobwatch.domain.jobs.findings import (
    Finding,
    JobSet,
    OperationFailure,
    RequestFailure,
    UnsupportedItem,
    Waiting,
)
from backupjobwatch.domain.jobs.job import Job, Outcome
from backupjobwatch.domain.jobs.on_demand_backup import OnDemandBackup
from backupjobwatch.domain.jobs.requested_jobs import failed_by_conflict
from backupjobwatch.domain.jobs.text import sanitize
from backupjobwatch.domain.jobs.times import parse_time
from backupjobwatch.domain.polling.observations import MIN_CONSECUTIVE_FAILURES
from backupjobwatch.errors import AzureError, Grace, NotPolledYet, PollDeferred

if TYPE_CHECKING:
    from datetime import datetime

    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.api.spec import WatchSpec
    from backupjobwatch.domain.status.assessment import Assessment

STALE: Final = timedelta(minutes=10)
"""Maximum age of a finding before the status reports that polls are delayed."""

_MAX_DETAILS: Final = 300
"""Maximum characters of the dynamic message, which leaves room for the recommendation. ``extendedInfo`` has all of it."""

PENDING: Final = "Pending"
RUNNING: Final = "Running"
SUCCEEDED: Final = "Succeeded"
FAILED: Final = "Failed"

_REASONS = {
    Outcome.IN_PROGRESS: "JobInProgress",
    Outcome.CANCELLING: "JobCancelling",
    Outcome.UNKNOWN: "JobStatusUnknown",
    Outcome.COMPLETED: "JobCompleted",
    Outcome.COMPLETED_WITH_WARNINGS: "JobCompletedWithWarnings",
    Outcome.FAILED: "JobFailed",
    Outcome.CANCELLED: "JobCancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Phase, reason and message of a watch."""

    phase: str
    reason: str
    message: str
    retrying: bool = False
    """Whether the operator retries after a failure (``ProgressingWithRetry``)."""
    trouble_since: datetime | None = None
    """Time of the first of the consecutive failures that count for grace."""

    @property
    def final(self) -> bool:
        """Whether this phase never changes for this target."""
        return self.phase in (SUCCEEDED, FAILED)


def counts(watch: Watch, finding: Finding | None) -> bool:
    """Return whether *finding* is a failure that counts for the grace of *watch*."""
    if not isinstance(finding, AzureError):
        return False
    return finding.grace is Grace.ALWAYS or (finding.grace is Grace.UNTIL_SEEN and not watch.seen)


def judge(
    watch: Watch,
    spec: WatchSpec,
    assessed: Assessment,
    *,
    now: datetime,
) -> Verdict:
    """Return the verdict on an unfinished, unsuspended *watch*."""
    finding = assessed.finding
    match finding:
        case Job():
            verdict = _judge_job(finding, spec, accept_list_entry=assessed.accept_list_entry)
        case JobSet():
            verdict = _judge_set(finding, spec, accept_list_entry=assessed.accept_list_entry)
        case Waiting():
            verdict = Verdict(phase=PENDING, reason=finding.reason, message=finding.message)
        case UnsupportedItem():
            verdict = Verdict(phase=FAILED, reason="InvalidSpec", message=finding.message)
        case OperationFailure():
            verdict = Verdict(phase=FAILED, reason="OperationFailed", message=finding.message)
        case RequestFailure():
            verdict = Verdict(phase=FAILED, reason=finding.reason, message=finding.message)
        case None | PollDeferred():
            verdict = _keep(watch, finding or NotPolledYet())
        case _:  # Any other AzureError.
            verdict = _judge_trouble(watch, spec, finding, consecutive_failures=assessed.consecutive_failures, now=now)
    end = deadline(watch, spec)
    if assessed.enforce_deadline and not verdict.final and end is not None and now >= end:
        allowed = format_duration(spec.active_deadline)
        message = (
            f"Azure did not report the end of the job within {allowed} (spec.activeDeadlineSeconds). {verdict.message}"
        )
        return Verdict(phase=FAILED, reason="DeadlineExceeded", message=message)
    if not verdict.final and counts(watch, finding):
        limit = f"{format_duration(spec.grace)} (spec.graceSeconds)"
        return replace(verdict, message=f"{verdict.message} The watch fails if this lasts longer than {limit}.")
    return verdict


def deadline(watch: Watch, spec: WatchSpec) -> datetime | None:
    """Return the deadline of *watch*. None before the first poll, which starts it."""
    try:
        return None if watch.started is None else watch.started + spec.active_deadline
    except OverflowError:  # An edited status can have a start time in the year 9999.
        return watch.started


def _judge_job(job: Job, spec: WatchSpec, *, accept_list_entry: bool) -> Verdict:
    outcome = job.outcome
    if job.partial and job.ended and not decides(job, spec, accept_list_entry=accept_list_entry):
        message = (
            f"Azure lists {job.title} as {job.status}. The operator reads the job's errors before it reports the end."
        )
        return Verdict(phase=RUNNING, reason=_REASONS[Outcome.IN_PROGRESS], message=message)
    duration = None if job.duration is None else format_duration(job.duration)
    took, lasted = (f" in {duration}", f" after {duration}") if duration else ("", "")
    match outcome:
        case Outcome.COMPLETED:
            phase, message = SUCCEEDED, f"{job.title} completed{took}."
        case Outcome.COMPLETED_WITH_WARNINGS if spec.warnings_succeed:
            phase, message = SUCCEEDED, f"{job.title} completed{took} with warnings. {_explain(job)}"
        case Outcome.COMPLETED_WITH_WARNINGS:
            phase = FAILED
            advice = "To accept warnings, set spec.completedWithWarnings to Succeeded."
            message = f"{job.title} completed{took} with warnings, which count as a failure. {_explain(job)} {advice}"
        case Outcome.FAILED:
            phase, message = FAILED, f"{job.title} failed{lasted}. {_explain(job)}"
            if isinstance(spec.source, OnDemandBackup) and failed_by_conflict(job):
                message += " To follow a running backup instead, set spec.onDemand.ifRunning to Follow in a new watch."
        case Outcome.CANCELLED:
            # Azure may report a cancelled job as CompletedWithWarnings, which the message must explain.
            words = "" if (job.status or "").lower().startswith("cancel") else f" Azure reports {job.status}."
            phase, message = FAILED, f"{job.title} was cancelled{lasted}. {_explain(job)}{words}"
        case Outcome.UNKNOWN:
            phase = RUNNING
            reported = f'the unknown status "{job.status}"' if job.status else "no status"
            message = f"{job.title}: Azure reports {reported}, so the operator treats the job as running."
        case Outcome.CANCELLING:
            phase, message = RUNNING, f"{job.title} is being cancelled."
        case _:  # Outcome.IN_PROGRESS.
            phase, message = RUNNING, f"{job.title} is in progress."
    return Verdict(phase=phase, reason=_REASONS[outcome], message=message.strip())


def decides(entry: Job, spec: WatchSpec, *, accept_list_entry: bool) -> bool:
    """Return whether the list *entry* of an ended job is enough for a verdict."""
    if entry.outcome is Outcome.COMPLETED:
        return True
    if accept_list_entry and entry.outcome is Outcome.COMPLETED_WITH_WARNINGS:
        # The job may have been cancelled. Only a GET shows its tasks, so a list entry never opens the gate here.
        return bool(entry.errors or entry.warnings) and not spec.warnings_succeed
    return accept_list_entry


def _judge_set(finding: JobSet, spec: WatchSpec, *, accept_list_entry: bool) -> Verdict:
    """Judge a set of jobs. All must succeed. A failed job fails the watch after all jobs have ended."""
    verdicts = [_judge_job(job, spec, accept_list_entry=accept_list_entry) for job in finding.jobs]
    running = [verdict for verdict in verdicts if not verdict.final]
    failed = [verdict for verdict in verdicts if verdict.phase == FAILED]
    count = f"{finding.total} jobs"
    if running:
        message = f"{len(running)} of {count} have not ended. {running[0].message}"
        return Verdict(phase=RUNNING, reason=running[0].reason, message=message)
    if finding.not_started:
        first = finding.not_started[0]
        message = f"{len(failed) + len(finding.not_started)} of {count} failed. {first.name}: {first.error_code}."
        return Verdict(phase=FAILED, reason="JobFailed", message=message)
    if failed:
        message = f"{len(failed)} of {count} failed. {failed[0].message}"
        return Verdict(phase=FAILED, reason=failed[0].reason, message=message)
    warned = [verdict for verdict in verdicts if verdict.reason != _REASONS[Outcome.COMPLETED]]
    deciding = (warned or verdicts)[0]
    return Verdict(phase=SUCCEEDED, reason=deciding.reason, message=f"All {count} completed. {deciding.message}")


def deciding_job(finding: JobSet) -> Job | None:
    """Return the job to mirror: the first failed job, else the first running job, else the first job."""
    rank = (Outcome.FAILED, Outcome.CANCELLED, Outcome.COMPLETED_WITH_WARNINGS)
    jobs = finding.jobs
    ended = [job for outcome in rank for job in jobs if job.outcome is outcome]
    running = [job for job in jobs if not job.ended]
    return next(iter([*ended, *running, *jobs]), None)


def _explain(job: Job) -> str:
    """Return Azure's first error with its first recommendation, and the dynamic message if it adds something."""
    details = job.dynamic_error_message and sanitize(job.dynamic_error_message, _MAX_DETAILS)
    errors = (*job.errors, *job.warnings)
    return describe(errors[0], details=details) if errors else details or ""


def _keep(watch: Watch, finding: PollDeferred) -> Verdict:
    """Keep the previous verdict, because nothing new is known. If it is stale, report why."""
    status = watch.status_for_target
    phase = str(status.get("phase") or PENDING)
    if finding.stale or not status.get("reason"):
        reason, message, retrying = finding.reason, str(finding), not isinstance(finding, NotPolledYet)
    else:
        reason, message = str(status.get("reason")), str(status.get("message"))
        retrying = any(condition.get("reason") == "ProgressingWithRetry" for condition in status.get("conditions", ()))
    since = parse_time(status.get("troubleSince"))  # A poll that was not made does not end a run of failures.
    return Verdict(phase=phase, reason=reason, message=message, retrying=retrying, trouble_since=since)


def _judge_trouble(
    watch: Watch, spec: WatchSpec, error: AzureError, *, consecutive_failures: int, now: datetime
) -> Verdict:
    # The status has the first failure, even if an earlier process saw it.
    since = (parse_time(watch.status_for_target.get("troubleSince")) or now) if counts(watch, error) else None
    if since is not None and consecutive_failures >= MIN_CONSECUTIVE_FAILURES and now - since >= spec.grace:
        lasted = format_duration(now - since)
        message = f"{error} This lasted {lasted}, longer than spec.graceSeconds allows."
        return Verdict(phase=FAILED, reason=error.final_reason, message=message)
    return Verdict(
        phase=str(watch.status_for_target.get("phase") or PENDING),
        reason=error.reason,
        message=str(error),
        retrying=watch.seen or not error.answered,
        trouble_since=since,
    )
