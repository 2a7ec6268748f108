"""Convert a job to the fields of a status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.jobs.durations import format_duration, whole_seconds
from backupjobwatch.domain.jobs.payloads import WORD
from backupjobwatch.domain.jobs.times import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from backupjobwatch.domain.jobs.job import Job, JobError, RecoveryPoint

MIRRORED: Final = ("job", "duration", "durationSeconds", "extendedInfo", "errors", "warnings")
"""Fields of a status that mirror Azure's job."""

_NOT_IN_LISTS = ("extendedInfo", "errors", "warnings")


def mirror_job(job: Job, previous: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """Return *job* as status fields at *now*. Fields that a list entry lacks come from the *previous* status."""
    elapsed = job.elapsed(now)
    mirrored: dict[str, Any] = {
        "job": present(
            resourceId=job.resource_id,
            name=job.name,
            vault=job.vault and job.vault[:WORD],
            type=job.job_type,
            status=job.status,
            operation=job.operation,
            backupManagementType=job.backup_management_type,
            workloadType=job.workload_type,
            entityFriendlyName=job.entity_friendly_name,
            containerName=job.container_name,
            storageAccountName=job.storage_account_name,
            mabServerName=job.mab_server_name,
            dpmServerName=job.dpm_server_name,
            dataSourceId=job.data_source_id,
            policyName=job.policy_name,
            operationCategory=job.operation_category,
            sourceDataStoreType=job.source_data_store_type,
            activityId=job.activity_id,
            startTime=job.start_time and format_time(job.start_time),
            endTime=job.end_time and format_time(job.end_time),
            # Azure lists the action even after the job has ended.
            cancellable=None if job.cancellable is None else job.cancellable and not job.ended,
            userTriggered=job.user_triggered,
        ),
        "duration": None if elapsed is None else format_duration(elapsed),
        "durationSeconds": None if elapsed is None else whole_seconds(elapsed),
        "extendedInfo": present(
            progressPercent=job.progress_percent,
            estimatedRemaining=job.estimated_remaining,
            dynamicErrorMessage=job.dynamic_error_message,
            dataTransferredBytes=job.data_transferred,
            recoveryDestination=job.recovery_destination,
            restoreLocationType=job.restore_location_type,
            sourceRecoveryPoint=_recovery_point(job.source_recovery_point),
            targetRecoveryPoint=_recovery_point(job.target_recovery_point),
            tasks=[
                present(
                    taskId=task.task_id,
                    status=task.status,
                    startTime=task.start_time and format_time(task.start_time),
                    endTime=task.end_time and format_time(task.end_time),
                    duration=None if task.duration is None else format_duration(task.duration),
                    progressPercent=task.progress_percent,
                    taskExecutionDetails=task.execution_details,
                    dataTransferredBytes=task.data_transferred,
                )
                for task in job.tasks
            ],
            properties=dict(job.properties),
        ),
        "errors": mirror_errors(job.errors),
        "warnings": mirror_errors(job.warnings),
    }
    if job.partial:
        if not is_mirrored(job, previous):
            previous = {}  # The previous status shows another job of the watch.
        mirrored["job"] = {**(previous.get("job") or {}), **mirrored["job"]}
        # The list entry of an ended job may have errors.
        entry = {name: mirrored[name] for name in ("errors", "warnings") if job.ended and mirrored[name]}
        mirrored.update({**{name: previous.get(name) for name in _NOT_IN_LISTS}, **entry})
    return mirrored


def is_mirrored(job: Job, status: Mapping[str, Any]) -> bool:
    """Return whether *job* is the job in ``status.job``. Azure's names ignore letter case."""
    return str((status.get("job") or {}).get("name")).lower() == str(job.name).lower()


def present(**fields: Any) -> dict[str, Any]:
    """Return *fields* without null and empty values. A status omits such fields."""
    return {name: value for name, value in fields.items() if value is not None and value not in ([], {})}


def mirror_errors(errors: Iterable[JobError]) -> list[dict[str, Any]]:
    """Return *errors* as ``status.errors``."""
    return [
        present(
            code=error.code,
            title=error.title,
            message=error.message,
            target=error.target,
            cause=error.cause,
            retryable=error.retryable,
            recommendations=list(error.recommendations),
        )
        for error in errors
    ]


def _recovery_point(point: RecoveryPoint | None) -> dict[str, Any] | None:
    return None if point is None else present(id=point.id, time=point.time and format_time(point.time))
