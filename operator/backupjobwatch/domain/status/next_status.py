"""Compute the whole status of a watch."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.jobs.findings import (
    MAX_JOBS,
    Finding,
    JobSet,
    OperationFailure,
    PinnedJob,
    Waiting,
    is_from_request,
)
from backupjobwatch.domain.jobs.job import Job
from backupjobwatch.domain.jobs.payloads import TEXT
from backupjobwatch.domain.jobs.text import sanitize
from backupjobwatch.domain.jobs.times import format_time
from backupjobwatch.domain.status.conditions import Condition, write_conditions
from backupjobwatch.domain.status.detail import find_detail
from backupjobwatch.domain.status.mirroring import MIRRORED, mirror_errors, mirror_job, present
from backupjobwatch.domain.status.notifications import next_notifications
from backupjobwatch.domain.status.truncation import truncate_status
from backupjobwatch.domain.status.verdict import FAILED, PENDING, SUCCEEDED, Verdict, deciding_job, judge
from backupjobwatch.errors import AzureError, InvalidSpec, PollDeferred

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from backupjobwatch.domain.api.backup_record import BackupRecord
    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.status.assessment import Assessment
    from backupjobwatch.domain.status.notifications import DeliveryResult

_DETAIL: Final = frozenset({*MIRRORED, "jobs"})
"""Fields of a final status that the detail of the job may change, besides ``lastPollTime``."""


def next_status(
    watch: Watch,
    assessed: Assessment,
    *,
    now: datetime,
    pinned: Sequence[PinnedJob] = (),
    deliveries: Sequence[DeliveryResult] = (),
    record: BackupRecord | None = None,
) -> dict[str, Any]:
    """Compute the whole status of *watch* from its snapshot and a later assessment.

    The result is ready to be written. ``transitions.needs_write`` decides whether a write is necessary.

    - *pinned*: the jobs that the operation or ``spec.latest`` resolved to
    - *deliveries*: results of notifications since the last write
    - *record*: the record of the backup request. Without one, the status keeps the record that it has
    """
    finding, polled = assessed.finding, assessed.polled or now
    if watch.finished:
        phase = str(watch.status_for_target.get("phase"))
        status = _restamped(watch, next_notifications(watch, deliveries, phase=phase), record)
        detail = find_detail(watch, finding)
        return status if detail is None else _complete_detail(watch, status, detail, polled=polled, now=now)
    spec = watch.parsed_spec if pinned else watch.spec_at(now)
    if isinstance(spec, InvalidSpec):
        finding = None
        verdict = Verdict(phase=FAILED, reason="InvalidSpec", message=f"{spec}.")
    elif spec.suspend:
        finding = None
        message = "The operator sends no requests to Azure until spec.suspend is false."
        verdict = Verdict(
            phase=str(watch.status_for_target.get("phase") or PENDING), reason="Suspended", message=message
        )
    else:
        verdict = judge(watch, spec, assessed, now=now)
        if verdict.phase == SUCCEEDED and pinned and pinned[0].note:
            verdict = replace(verdict, message=f"{verdict.message} {pinned[0].note}")
    status = _compose(watch, verdict, finding, pinned or watch.pinned, polled=polled, now=now)
    notifications = next_notifications(watch, deliveries, phase=verdict.phase)
    return truncate_status({**status, **present(onDemand=_record(watch, record, pinned), notifications=notifications)})


def _record(watch: Watch, record: BackupRecord | None, pinned: Sequence[PinnedJob]) -> Mapping[str, Any] | None:
    """Return ``status.onDemand``, with the name of the job once it is known."""
    if record is None:
        stored: Mapping[str, Any] | None = watch.status.get("onDemand")
        return stored
    if len(pinned) == 1 and pinned[0].error_code is None:
        record = replace(record, job_name=pinned[0].name)
    return record.to_status()


def _restamped(watch: Watch, notifications: list[dict[str, Any]], record: BackupRecord | None) -> dict[str, Any]:
    """Return the final status, in which only the generation, the echo, the notifications and the record may change."""
    status = {**watch.status, "observedGeneration": watch.generation}
    status.pop("notifications", None)
    status.update(present(onDemand=record and record.to_status(), notifications=notifications))
    status["conditions"] = [
        {**condition, "observedGeneration": watch.generation} for condition in watch.status.get("conditions", ())
    ]
    if watch.requested_at is not None:
        status["lastHandledReconcileAt"] = watch.requested_at
    return status


def _complete_detail(
    watch: Watch, status: Mapping[str, Any], detail: Job, *, polled: datetime, now: datetime
) -> dict[str, Any]:
    """Return the final *status* with the *detail* of its job. Verdict, message and conditions stay frozen."""
    jobs = _job_list(detail, watch.pinned, status) if watch.pinned else status.get("jobs")
    frozen = {name: value for name, value in status.items() if name not in (*_DETAIL, "detailPending")}
    mirrored = present(**mirror_job(detail, {}, now=now), jobs=jobs)
    return truncate_status({**frozen, **mirrored, "lastPollTime": format_time(polled)}, frozen=frozen.keys())


def _compose(
    watch: Watch,
    verdict: Verdict,
    finding: Finding | None,
    pinned: Sequence[PinnedJob],
    *,
    polled: datetime,
    now: datetime,
) -> dict[str, Any]:
    previous = watch.status_for_target
    was_polled = finding is not None and is_from_request(finding)
    note = ""
    mirrored: Mapping[str, Any] = {name: previous.get(name) for name in MIRRORED}
    job = deciding_job(finding) if isinstance(finding, JobSet) else finding
    if isinstance(job, Job):
        mirrored = mirror_job(job, previous, now=now)
        if job.truncated:
            note = f" These parts of Azure's response exceed the limits of the status and are truncated: {', '.join(job.truncated)}."
    elif isinstance(job, OperationFailure):
        mirrored = {**mirrored, "errors": mirror_errors(job.errors)}
    message = sanitize(verdict.message, TEXT - len(note)) + note
    # A deferred request is still pending. Otherwise the annotation has been handled.
    is_deferred = isinstance(finding, PollDeferred) and not verdict.final
    times = {
        # The deadline starts with the first poll, so it does not start while the watch is suspended.
        "targetEditTime": _round_up(now) if watch.lacks_edit_time else previous.get("targetEditTime"),
        "watchStartTime": previous.get("watchStartTime") or (finding is not None and format_time(now)) or None,
        "troubleSince": verdict.trouble_since and format_time(verdict.trouble_since),
        "completionTime": format_time(now) if verdict.final else None,
        "searchedUntil": _searched_until(watch, finding, pinned, polled),
        "lastPollTime": format_time(polled) if was_polled else previous.get("lastPollTime"),
    }
    previous_echo = watch.status.get("lastHandledReconcileAt")
    conditions = write_conditions(
        _conditions(verdict, message, _reachable(watch, finding)),
        previous=watch.status.get("conditions") or (),
        generation=watch.generation,
        now=now,
    )
    return present(
        observedGeneration=watch.generation,
        phase=verdict.phase,
        reason=verdict.reason,
        message=message,
        target=watch.target,
        revision=watch.revision,
        **mirrored,
        jobs=_job_list(finding, pinned, previous) if pinned else previous.get("jobs"),
        jobsTotal=(len(pinned) if len(pinned) > 1 else None) if pinned else previous.get("jobsTotal"),
        **times,
        # A list entry lacks the detail of the job.
        detailPending=(verdict.final and isinstance(job, Job) and job.partial and job.ended) or None,
        lastHandledReconcileAt=previous_echo if is_deferred or watch.requested_at is None else watch.requested_at,
        conditions=conditions,
    )


def _round_up(time: datetime) -> str:
    """Return *time* in whole seconds, rounded up: a job that started before it must not count as started after it."""
    return format_time(time + timedelta(seconds=1, microseconds=-1))


def _conditions(verdict: Verdict, message: str, reachable: Condition) -> Iterator[Condition]:
    reason = verdict.reason
    if verdict.phase == SUCCEEDED:
        yield Condition("Ready", "True", reason, message)
        yield Condition("Succeeded", "True", reason, "The job succeeded.")
        yield Condition("Finished", "True", reason, "The watch has finished.")
        yield Condition("Complete", "True", reason, message)
    elif verdict.phase == FAILED:
        yield Condition("Ready", "False", reason, message)
        yield Condition("Succeeded", "False", reason, "The watch failed.")
        yield Condition("Finished", "True", reason, "The watch has finished.")
        yield Condition("Failed", "True", reason, message)
        yield Condition("Stalled", "True", reason, message)
    else:
        # Unknown, not False: generic Argo CD scripts read Ready=False as Degraded.
        yield Condition("Ready", "Unknown", reason, message)
        yield Condition("Succeeded", "Unknown", reason, "The watch has not finished.")
        yield Condition("Finished", "False", reason, "The watch has not finished.")
        if reason != "Suspended":
            yield Condition(
                "Reconciling", "True", "ProgressingWithRetry" if verdict.retrying else "Progressing", message
            )
    yield reachable


def _reachable(watch: Watch, finding: Finding | None) -> Condition:
    """Return condition AzureReachable. Without a request it changes only if no request can be sent at all."""
    if finding is None or isinstance(finding, PollDeferred):
        for condition in watch.status_for_target.get("conditions") or ():
            if condition.get("type") == "AzureReachable":
                return Condition(*(condition[name] for name in ("type", "status", "reason", "message")))
        message = "No request was sent to Azure." if finding is None else sanitize(str(finding), TEXT)
        return Condition("AzureReachable", "Unknown", "NotAsked", message)
    if isinstance(finding, AzureError) and not finding.answered:
        return Condition("AzureReachable", "False", finding.reason, sanitize(str(finding), TEXT))
    return Condition("AzureReachable", "True", "AzureAnswered", "Azure answered the last poll.")


def _searched_until(watch: Watch, finding: Finding | None, pinned: Sequence[PinnedJob], polled: datetime) -> str | None:
    """Return until when complete lists had no job for ``spec.latest``. None once the job is known."""
    if isinstance(finding, Waiting) and finding.searched:
        return format_time(polled)
    if pinned or watch.searched_until is not None:
        return None if pinned else watch.searched_until
    first = finding.first_candidate if isinstance(finding, Waiting) else None
    return None if first is None else format_time(first)


def _job_list(
    finding: Finding | None, pinned: Sequence[PinnedJob], previous: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return ``status.jobs``: the pinned jobs with their last known state."""
    seen = finding.jobs if isinstance(finding, JobSet) else [finding] if isinstance(finding, Job) else []
    known = {str(entry.get("name")): entry for entry in previous.get("jobs") or ()}
    for job in seen:
        known[(job.name or "").lower()] = present(
            status=job.status, operation=job.operation, entityFriendlyName=job.entity_friendly_name
        )
    return [
        {**known.get(job.name, {}), **present(name=job.name, errorCode=job.error_code)} for job in pinned[:MAX_JOBS]
    ]
