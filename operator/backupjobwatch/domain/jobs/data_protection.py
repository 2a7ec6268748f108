"""Parse jobs of Backup vaults (Microsoft.DataProtection): AKS, disks, blobs, PostgreSQL and others.

Responses contain explicit nulls, error codes in words, and durations in both of Azure's formats.
https://learn.microsoft.com/rest/api/dataprotection/jobs/get
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backupjobwatch.domain.jobs.azure_errors import read_error
from backupjobwatch.domain.jobs.job import RecoveryPoint, Task
from backupjobwatch.domain.jobs.payloads import (
    LINE,
    STATUS_WORD,
    Reader,
    cancellable,
    count,
    last_segment,
    mapping,
    mappings,
    percent,
)
from backupjobwatch.domain.jobs.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from backupjobwatch.domain.jobs.job import Job, JobError


def parse_job(payload: Mapping[str, Any], *, partial: bool = False) -> Job:
    """Parse a job from a GET. With *partial*, parse an entry of a list, where ``extendedInfo`` is null."""
    read = Reader()
    properties = mapping(payload.get("properties"))
    extended = mapping(properties.get("extendedInfo"))
    instance, source = (read.name(properties.get(name)) for name in ("backupInstanceFriendlyName", "dataSourceName"))
    tasks = tuple(_tasks(read, extended.get("subTasks")))
    return read.job(
        payload,
        partial=partial,
        tasks=tasks,
        errors=tuple(_errors(read, properties.get("errorDetails"))),
        warnings=tuple(_warnings(read, extended.get("warningDetails"))),
        bag=extended.get("additionalDetails"),
        job_type=read.term(properties.get("dataSourceType")),
        entity_friendly_name=instance or source,
        activity_id=read.word(properties.get("activityID")),
        cancellable=cancellable(properties.get("supportedActions")),
        data_transferred=_data_transferred(extended, tasks),
        source_recovery_point=_recovery_point(read, extended.get("sourceRecoverPoint")),
        target_recovery_point=_recovery_point(read, extended.get("targetRecoverPoint")),
        aliases=(source,) if instance and source else (),
        data_source_id=read.name(properties.get("dataSourceId"), LINE),
        policy_name=read.name(properties.get("policyName")),
        operation_category=read.term(properties.get("operationCategory")),
        source_data_store_type=read.term(properties.get("sourceDataStoreType")),
        recovery_destination=read.name(extended.get("recoveryDestination"), LINE),
        container=last_segment(read.name(properties.get("backupInstanceId"), LINE)),
    )


def _tasks(read: Reader, value: object) -> Iterator[Task]:
    for item in mappings(value):
        yield Task(
            task_id=read.word(item.get("taskName")) or read.word(item.get("taskId")),
            status=read.word(item.get("taskStatus"), STATUS_WORD),
            progress_percent=percent(item.get("taskProgress")),
            data_transferred=count(mapping(item.get("additionalDetails")).get("DataTransferredInBytes")),
        )


def _data_transferred(extended: Mapping[str, Any], tasks: Iterable[Task]) -> int | None:
    """Return the bytes transferred: Azure's total, or else the sum of the tasks. Azure misspells one field."""
    for name in ("dataTransferredInBytes", "dataTransferedInBytes"):
        total = count(extended.get(name))
        if total is not None:
            return total
    parts = [task.data_transferred for task in tasks if task.data_transferred is not None]
    return count(sum(parts)) if parts else None


def _errors(read: Reader, value: object) -> Iterator[JobError]:
    for item in mappings(value):
        error = read_error(read, item)
        if not error.is_empty:
            yield error


def _warnings(read: Reader, value: object) -> Iterator[JobError]:
    for item in mappings(value):
        for warning in _errors(read, [item.get("warning")]):
            resource = read.word(item.get("resourceName"))
            yield replace(warning, target=warning.target or resource)


def _recovery_point(read: Reader, value: object) -> RecoveryPoint | None:
    point = mapping(value)
    name, time = read.word(point.get("recoveryPointID")), parse_time(point.get("recoveryPointTime"))
    return RecoveryPoint(id=name, time=time) if name or time else None
