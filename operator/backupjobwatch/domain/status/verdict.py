"""What one observation means for a watch: the rows of the status contract (docs/status.md)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.jobs.azure_errors import describe
from backupjobwatch.domain.jobs.durations import format_duration
from backupjobwatch.domain.jobs.job import Job, Outcome
from backupjobwatch.domain.jobs.observations import JobSet, Observation, OperationFailure, Waiting
from backupjobwatch.domain.jobs.text import sanitize
from backupjobwatch.domain.jobs.times import parse_time
from backupjobwatch.errors import AzureError, Grace, NotPolledYet, PollDeferred

if TYPE_CHECKING:
    from datetime import datetime

    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.api.spec import WatchSpec

MIN_CONSECUTIVE_FAILURES: Final = 3
"""Observations in a row that grace needs: time alone, with a poll at each end of it, proves little."""

STALE: Final = timedelta(minutes=10)
"""How old an observation may be before a watch that could not ask says so."""

_MAX_DETAILS: Final = 300
"""Characters of the dynamic message, so that the recommendation after it fits. ``extendedInfo`` has all of it."""

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
    """The row of the contract's table that applies, with its words."""

    phase: str
    reason: str
    message: str
    retrying: bool = False
    """Whether trouble holds up the progress (``ProgressingWithRetry``)."""
    trouble_since: datetime | None = None
    """Start of the unbroken run of trouble that grace counts."""

    @property
    def final(self) -> bool:
        """Whether nothing may follow on this target."""
        return self.phase in (SUCCEEDED, FAILED)


def counts(watch: Watch, observation: Observation) -> bool:
    """Tell whether *observation* is trouble that grace counts, for this *watch* by now."""
    if not isinstance(observation, AzureError):
        return False
    return observation.grace is Grace.ALWAYS or (observation.grace is Grace.UNTIL_SEEN and not watch.seen)


def judge(  # the order of these questions is the contract
    watch: Watch,
    spec: WatchSpec,
    observation: Observation,
    *,
    consecutive_failures: int,
    now: datetime,
    enforce_deadline: bool = True,
    accept_list_entry: bool = False,
) -> Verdict:
    """Say what *observation* means for an unfinished, unsuspended *watch*.

    *consecutive_failures* counts the observations in a row, this one included, whose trouble grace counts (``AzureError.grace``).
    Without *enforce_deadline*, a passed deadline does not fail the watch yet, because a later poll may show that the job
    succeeded.
    *accept_list_entry* allows a verdict from a list entry other than ``Completed``. Accepted warnings always need a GET.
    """
    match observation:
        case Job():
            verdict = _judge_job(observation, spec, accept_list_entry=accept_list_entry)
        case JobSet():
            verdict = _judge_set(observation, spec, accept_list_entry=accept_list_entry)
        case Waiting():
            verdict = Verdict(phase=PENDING, reason=observation.reason, message=observation.message)
        case OperationFailure():
            verdict = Verdict(phase=FAILED, reason="OperationFailed", message=observation.message)
        case PollDeferred():
            verdict = _keep(watch, observation)
        case _:  # any other AzureError
            verdict = _judge_trouble(watch, spec, observation, consecutive_failures=consecutive_failures, now=now)
    end = deadline(watch, spec)
    if enforce_deadline and not verdict.final and end is not None and now >= end:
        allowed = format_duration(spec.active_deadline)
        message = f"Azure reported no end of the job within {allowed} (spec.activeDeadlineSeconds). {verdict.message}"
        return Verdict(phase=FAILED, reason="DeadlineExceeded", message=message)
    return verdict


def deadline(watch: Watch, spec: WatchSpec) -> datetime | None:
    """Return when *watch* fails if its job has not ended; None while the time does not run yet."""
    try:
        return None if watch.started is None else watch.started + spec.active_deadline
    except OverflowError:  # somebody has written a start in the year 9999 into the status
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
            phase, message = SUCCEEDED, f"{job.title} completed{took}, with warnings. {_explain(job)}"
        case Outcome.COMPLETED_WITH_WARNINGS:
            phase = FAILED
            advice = "To accept warnings, write spec.completedWithWarnings: Succeeded."
            message = f"{job.title} completed{took}, with warnings, which count as failure. {_explain(job)} {advice}"
        case Outcome.FAILED:
            phase, message = FAILED, f"{job.title} failed{lasted}. {_explain(job)}"
        case Outcome.CANCELLED:
            # Azure also reports a cancelled job as CompletedWithWarnings: say why that is no warning to accept.
            words = "" if (job.status or "").lower().startswith("cancel") else f" Azure reports {job.status}."
            phase, message = FAILED, f"{job.title} was cancelled{lasted}. {_explain(job)}{words}"
        case Outcome.UNKNOWN:
            phase = RUNNING
            told = f"the status {job.status}, which is not known here" if job.status else "no status"
            message = f"{job.title}: Azure reports {told}, so it counts as not ended."
        case Outcome.CANCELLING:
            phase, message = RUNNING, f"{job.title} is being cancelled."
        case _:  # in progress
            phase, message = RUNNING, f"{job.title} is in progress."
    return Verdict(phase=phase, reason=_REASONS[outcome], message=message.strip())


def decides(entry: Job, spec: WatchSpec, *, accept_list_entry: bool) -> bool:
    """Return whether the list *entry* of an ended job is enough for a verdict."""
    if entry.outcome is Outcome.COMPLETED:
        return True
    if accept_list_entry and entry.outcome is Outcome.COMPLETED_WITH_WARNINGS:
        # The job may have been cancelled. Only a GET shows its tasks, so an entry never opens the gate here.
        return bool(entry.errors or entry.warnings) and not spec.warnings_succeed
    return accept_list_entry


def _judge_set(observation: JobSet, spec: WatchSpec, *, accept_list_entry: bool) -> Verdict:
    """All must succeed. One that failed fails the watch, but not before all have ended: what follows may need them."""
    verdicts = [_judge_job(job, spec, accept_list_entry=accept_list_entry) for job in observation.jobs]
    running = [verdict for verdict in verdicts if not verdict.final]
    failed = [verdict for verdict in verdicts if verdict.phase == FAILED]
    count = f"{observation.total} jobs"
    if running:
        message = f"{len(running)} of {count} have not ended. {running[0].message}"
        return Verdict(phase=RUNNING, reason=running[0].reason, message=message)
    if observation.not_started:
        first = observation.not_started[0]
        message = f"{len(failed) + len(observation.not_started)} of {count} failed. {first.name}: {first.error_code}."
        return Verdict(phase=FAILED, reason="JobFailed", message=message)
    if failed:
        message = f"{len(failed)} of {count} failed. {failed[0].message}"
        return Verdict(phase=FAILED, reason=failed[0].reason, message=message)
    warned = [verdict for verdict in verdicts if verdict.reason != _REASONS[Outcome.COMPLETED]]
    deciding = (warned or verdicts)[0]
    return Verdict(phase=SUCCEEDED, reason=deciding.reason, message=f"All {count} completed. {deciding.message}")


def deciding_job(observation: JobSet) -> Job | None:
    """Return the job that says most about a set: one that failed, else one that runs, else the first."""
    rank = (Outcome.FAILED, Outcome.CANCELLED, Outcome.COMPLETED_WITH_WARNINGS)
    jobs = observation.jobs
    ended = [job for outcome in rank for job in jobs if job.outcome is outcome]
    running = [job for job in jobs if not job.ended]
    return next(iter([*ended, *running, *jobs]), None)


def _explain(job: Job) -> str:
    """Return Azure's first error with its first recommendation, and the dynamic message if it adds something."""
    details = job.dynamic_error_message and sanitize(job.dynamic_error_message, _MAX_DETAILS)
    errors = (*job.errors, *job.warnings)
    return describe(errors[0], details=details) if errors else details or ""


def _keep(watch: Watch, observation: PollDeferred) -> Verdict:
    """Keep the verdict, because nothing was learned; if what is known is stale, say why."""
    status = watch.status_for_target
    phase = str(status.get("phase") or PENDING)
    if observation.stale or not status.get("reason"):
        reason, message, retrying = observation.reason, str(observation), not isinstance(observation, NotPolledYet)
    else:
        reason, message = str(status.get("reason")), str(status.get("message"))
        retrying = any(condition.get("reason") == "ProgressingWithRetry" for condition in status.get("conditions", ()))
    since = parse_time(status.get("troubleSince"))  # A poll that was not made does not end a run of failures.
    return Verdict(phase=phase, reason=reason, message=message, retrying=retrying, trouble_since=since)


def _judge_trouble(
    watch: Watch, spec: WatchSpec, error: AzureError, *, consecutive_failures: int, now: datetime
) -> Verdict:
    # The run of an earlier process goes on in this one: its start is in the status.
    since = (parse_time(watch.status_for_target.get("troubleSince")) or now) if counts(watch, error) else None
    if since is not None and consecutive_failures >= MIN_CONSECUTIVE_FAILURES and now - since >= spec.grace:
        lasted = format_duration(now - since)
        message = f"{error} That lasted for {lasted}, longer than spec.graceSeconds allows."
        return Verdict(phase=FAILED, reason=error.final_reason, message=message)
    return Verdict(
        phase=str(watch.status_for_target.get("phase") or PENDING),
        reason=error.reason,
        message=str(error),
        retrying=watch.seen or not error.answered,
        trouble_since=since,
    )
