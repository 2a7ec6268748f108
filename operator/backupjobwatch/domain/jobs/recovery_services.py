"""Parse jobs of Recovery Services vaults.

The parser ignores ``jobType``, because Azure sends undocumented types such as ``AzureWorkloadJobV2``.
https://learn.microsoft.com/rest/api/backup/job-details/get
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backupjobwatch.domain.jobs.azure_errors import read_message
from backupjobwatch.domain.jobs.durations import parse_duration
from backupjobwatch.domain.jobs.job import JobError, Task
from backupjobwatch.domain.jobs.payloads import STATUS_WORD, TEXT, Reader, cancellable, mapping, mappings, percent
from backupjobwatch.domain.jobs.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from backupjobwatch.domain.jobs.job import Job


def parse_job(payload: Mapping[str, Any], *, partial: bool = False) -> Job:
    """Parse a job from a GET. With *partial*, parse an entry of a list, which has no ``extendedInfo``."""
    read = Reader()
    properties = mapping(payload.get("properties"))
    extended = mapping(properties.get("extendedInfo"))
    # Item names are not unique: two storage accounts can have a file share "data", two servers a disk "D:".
    containers = [
        read.name(properties.get(name))
        for name in ("containerName", "storageAccountName", "mabServerName", "dpmServerName")
    ]
    return read.job(
        payload,
        partial=partial,
        tasks=tuple(_tasks(read, extended.get("tasksList"))),
        errors=tuple(_errors(read, properties.get("errorDetails"))),
        bag=extended.get("propertyBag"),
        job_type=read.term(properties.get("jobType")),
        backup_management_type=read.term(properties.get("backupManagementType")),
        workload_type=read.term(properties.get("workloadType")),
        entity_friendly_name=read.name(properties.get("entityFriendlyName")),
        activity_id=read.word(properties.get("activityId")),
        cancellable=cancellable(properties.get("actionsInfo")),
        progress_percent=percent(extended.get("progressPercentage")),
        estimated_remaining=read.remaining(extended.get("estimatedRemainingDuration")),
        dynamic_error_message=read_message(read, extended.get("dynamicErrorMessage")),
        container=next(filter(None, containers), None),
        container_name=containers[0],
        storage_account_name=containers[1],
        mab_server_name=containers[2],
        dpm_server_name=containers[3],
        restore_location_type=read.term(mapping(extended.get("internalPropertyBag")).get("restoreLocationType")),
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
        if not error.is_empty:
            yield error
