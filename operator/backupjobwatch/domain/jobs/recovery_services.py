"""Parse jobs of Recovery Services vaults.

The parser ignores ``jobType``, because Azure sends undocumented types such as ``AzureWorkloadJobV2``.
https://learn.microsoft.com/rest/api/backup/job-details/get
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backupjobwatch.domain.jobs.azure_errors import read_message
from backupjobwatch.domain.jobs.durations import parse_duration
from backupjobwatch.domain.jobs.job import (
    MAX_ERRORS,
    MAX_PROPERTIES,
    MAX_TASKS,
    Job,
    JobError,
    Task,
    any_error_is_cancelled,
    any_task_is_cancelled,
)
from backupjobwatch.domain.jobs.payloads import (
    LINE,
    STATUS_WORD,
    TEXT,
    Reader,
    boolean,
    cancellable,
    job_duration,
    last_segment,
    mapping,
    mappings,
    percent,
)
from backupjobwatch.domain.jobs.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def parse_job(payload: Mapping[str, Any], *, partial: bool = False) -> Job:
    """Parse a job from a GET. With *partial*, parse an entry of a list, which has no ``extendedInfo``."""
    read = Reader()
    properties = mapping(payload.get("properties"))
    extended = mapping(properties.get("extendedInfo"))
    resource_id = read.name(payload.get("id"), LINE)
    # Item names are not unique: two storage accounts can have a file share "data", two servers a disk "D:".
    containers = [
        read.name(properties.get(name))
        for name in ("containerName", "storageAccountName", "mabServerName", "dpmServerName")
    ]
    start_time, end_time = (parse_time(properties.get(name)) for name in ("startTime", "endTime"))
    # Parse all items: a cancelled job may be recognizable only by an item beyond the limits.
    tasks, errors = tuple(_tasks(read, extended.get("tasksList"))), tuple(_errors(read, properties.get("errorDetails")))
    return Job(
        resource_id=resource_id,
        name=read.name(payload.get("name")) or read.name(last_segment(resource_id)),
        job_type=read.term(properties.get("jobType")),
        status=read.term(properties.get("status")),
        operation=read.term(properties.get("operation")),
        backup_management_type=read.term(properties.get("backupManagementType")),
        workload_type=read.term(properties.get("workloadType")),
        entity_friendly_name=read.name(properties.get("entityFriendlyName")),
        activity_id=read.word(properties.get("activityId")),
        start_time=start_time,
        end_time=end_time,
        duration=job_duration(properties.get("duration"), start_time, end_time),
        cancellable=cancellable(properties.get("actionsInfo")),
        user_triggered=boolean(properties.get("isUserTriggered")),
        progress_percent=percent(extended.get("progressPercentage")),
        estimated_remaining=read.remaining(extended.get("estimatedRemainingDuration")),
        dynamic_error_message=read_message(read, extended.get("dynamicErrorMessage")),
        tasks=read.first(MAX_TASKS, "tasks", tasks),
        properties=dict(read.first(MAX_PROPERTIES, "properties", read.properties(extended.get("propertyBag")))),
        errors=read.first(MAX_ERRORS, "errors", errors),
        has_cancelled_error=any_error_is_cancelled(errors),
        has_cancelled_task=any_task_is_cancelled(tasks),
        container=next(filter(None, containers), None),
        container_name=containers[0],
        storage_account_name=containers[1],
        mab_server_name=containers[2],
        dpm_server_name=containers[3],
        restore_location_type=read.term(mapping(extended.get("internalPropertyBag")).get("restoreLocationType")),
        truncated=tuple(sorted(read.truncated)),
        partial=partial,
    )


def _tasks(read: Reader, value: object) -> Iterator[Task]:
    for item in mappings(value):
        yield Task(
            task_id=read.word(item.get("taskId")),
            status=read.word(item.get("status"), STATUS_WORD),
            start_time=parse_time(item.get("startTime")),
            end_time=parse_time(item.get("endTime")),
            duration=parse_duration(item.get("duration")),
            progress_percent=percent(item.get("progressPercentage")),
            execution_details=read.word(item.get("taskExecutionDetails")),
        )


def _errors(read: Reader, value: object) -> Iterator[JobError]:
    for item in mappings(value):
        code = read.word(item.get("errorCode"))
        error = JobError(
            code=None if code == "0" else code,  # Azure sends 0 with nulls in all other fields.
            title=read.word(item.get("errorTitle")),
            message=read_message(read, item.get("errorString")),
            recommendations=read.recommendations(item.get("recommendations")),
            cause=read.word(item.get("additionalDetails"), TEXT),  # Workload jobs, since api-version 2023-02-01.
        )
        if error.code or error.title or error.message or error.recommendations:
            yield error
