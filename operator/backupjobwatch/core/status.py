"""The status of a watch: one function computes all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backupjobwatch.core.conditions import Condition, write_conditions
from backupjobwatch.core.durations import format_duration, whole_seconds
from backupjobwatch.core.fit import fit
from backupjobwatch.core.jobs import TEXT, Job
from backupjobwatch.core.spec import parse_spec
from backupjobwatch.core.texts import clean
from backupjobwatch.core.times import format_time
from backupjobwatch.core.verdict import FAILED, PENDING, SUCCEEDED, Verdict, judge
from backupjobwatch.errors import AzureError, InvalidSpec, NotAsked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from backupjobwatch.core.watch import Watch

_MIRRORED = ("job", "duration", "durationSeconds", "extendedInfo", "errors")


def next_status(watch: Watch, observation: Job | AzureError, *, run: int, now: datetime) -> dict[str, Any]:
    """Compute the whole status of *watch* from its snapshot and what Azure said after that.

    *run* counts the observations in a row, this one included, whose trouble grace counts (``AzureError.grace``).
    The answer is fit to be written as it stands; whether it is worth a write, ``transitions.needs_write`` tells.
    """
    if watch.finished:
        return _restamped(watch)
    asked = True
    try:
        spec = parse_spec(watch.spec)
        if spec.suspend:
            asked = False
            message = "Azure is not asked until spec.suspend is false."
            verdict = Verdict(phase=str(watch.own_status.get("phase") or PENDING), reason="Suspended", message=message)
        else:
            verdict = judge(watch, spec, observation, run=run, now=now)
    except InvalidSpec as error:
        asked = False
        verdict = Verdict(phase=FAILED, reason="InvalidSpec", message=f"{error}.")
    return fit(_write(watch, verdict, observation if asked else None, now))


def _restamped(watch: Watch) -> dict[str, Any]:
    """A final status is frozen; only the acknowledgements of edits and requests move."""
    status = {**watch.status, "observedGeneration": watch.generation}
    status["conditions"] = [
        {**condition, "observedGeneration": watch.generation} for condition in watch.status.get("conditions", ())
    ]
    if watch.requested_at is not None:
        status["lastHandledReconcileAt"] = watch.requested_at
    return status


def _write(watch: Watch, verdict: Verdict, observation: Job | AzureError | None, now: datetime) -> dict[str, Any]:
    previous = watch.own_status
    polled = observation is not None and not isinstance(observation, NotAsked)
    note = ""
    mirrored: Mapping[str, Any] = {name: previous.get(name) for name in _MIRRORED}
    if isinstance(observation, Job):
        mirrored = _mirror(observation)
        if observation.cut:
            note = f" Azure's answer is longer than is kept here: {', '.join(observation.cut)} were cut."
    message = clean(verdict.message, TEXT - len(note)) + note
    # Where the deadline ends the watch without a poll, there will be none that could be waited for.
    handled = watch.requested_at if polled or observation is None or verdict.final else None
    times = {
        # A watch that was never asked about has not been acted on: its deadline does not run while suspended.
        "watchStartTime": previous.get("watchStartTime") or (observation is not None and format_time(now)) or None,
        "troubleSince": verdict.trouble_since and format_time(verdict.trouble_since),
        "completionTime": format_time(now) if verdict.final else None,
        "lastPollTime": format_time(now) if polled else previous.get("lastPollTime"),
    }
    conditions = write_conditions(
        _conditions(verdict, message, _reachable(watch, observation)),
        previous=watch.status.get("conditions") or (),
        generation=watch.generation,
        now=now,
    )
    return _present(
        observedGeneration=watch.generation,
        phase=verdict.phase,
        reason=verdict.reason,
        message=message,
        target=watch.target,
        **mirrored,
        **times,
        lastHandledReconcileAt=watch.status.get("lastHandledReconcileAt") if handled is None else handled,
        conditions=conditions,
    )


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


def _reachable(watch: Watch, observation: Job | AzureError | None) -> Condition:
    if isinstance(observation, Job) or (observation is not None and observation.answered):
        return Condition("AzureReachable", "True", "AzureAnswered", "Azure answered the last poll.")
    if observation is None:
        return Condition("AzureReachable", "Unknown", "NotAsked", "Azure is not asked.")
    if isinstance(observation, NotAsked):
        for condition in watch.own_status.get("conditions") or ():
            if condition.get("type") == "AzureReachable":
                return Condition(*(condition[name] for name in ("type", "status", "reason", "message")))
        return Condition("AzureReachable", "Unknown", "NotAsked", clean(str(observation), TEXT))
    return Condition("AzureReachable", "False", observation.reason, clean(str(observation), TEXT))


def _mirror(job: Job) -> dict[str, Any]:
    return {
        "job": _present(
            resourceId=job.resource_id,
            name=job.name,
            vault=job.vault,
            type=job.job_type,
            status=job.status,
            operation=job.operation,
            backupManagementType=job.backup_management_type,
            workloadType=job.workload_type,
            entityFriendlyName=job.entity_friendly_name,
            activityId=job.activity_id,
            startTime=job.start_time and format_time(job.start_time),
            endTime=job.end_time and format_time(job.end_time),
            # Azure goes on listing the action for a job that has ended.
            cancellable=None if job.cancellable is None else job.cancellable and not job.ended,
            userTriggered=job.user_triggered,
        ),
        "duration": None if job.duration is None else format_duration(job.duration),
        "durationSeconds": None if job.duration is None else whole_seconds(job.duration),
        "extendedInfo": _present(
            progressPercent=job.progress_percent,
            estimatedRemaining=job.estimated_remaining,
            dynamicErrorMessage=job.dynamic_error_message,
            tasks=[
                _present(
                    taskId=task.task_id,
                    status=task.status,
                    startTime=task.start_time and format_time(task.start_time),
                    endTime=task.end_time and format_time(task.end_time),
                    duration=None if task.duration is None else format_duration(task.duration),
                    progressPercent=task.progress_percent,
                )
                for task in job.tasks
            ],
            properties=dict(job.properties),
        ),
        "errors": [
            _present(
                code=error.code,
                title=error.title,
                message=error.message,
                recommendations=list(error.recommendations),
            )
            for error in job.errors
        ],
    }


def _present(**fields: Any) -> dict[str, Any]:
    """The *fields* that say something: absent, not null or empty, is how a status says nothing."""
    return {name: value for name, value in fields.items() if value is not None and value not in ([], {})}
