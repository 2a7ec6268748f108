"""Parse one response from Azure for a watch, as the operator would."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

from backupjobwatch.arm.backup_answers import read_operation_started
from backupjobwatch.arm.responses import parse_json, read_item_list, read_job, read_job_list, read_object
from backupjobwatch.domain.api.backup_record import BackupRecord, RecordState
from backupjobwatch.domain.jobs.findings import OperationFailure, PinnedJob, UnsupportedItem, Waiting
from backupjobwatch.domain.jobs.latest import find_latest
from backupjobwatch.domain.jobs.latest_completed import find_completed_or_next
from backupjobwatch.domain.jobs.on_demand_backup import OnDemandBackup
from backupjobwatch.domain.jobs.operations import read_operation
from backupjobwatch.domain.jobs.payloads import mapping
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId
from backupjobwatch.domain.polling.backup_plan import Admission, RequestContext, RequestResult
from backupjobwatch.domain.polling.observations import ItemList, JobList, Observation
from backupjobwatch.domain.polling.queries import ProtectedItems
from backupjobwatch.domain.polling.requirements import required_queries
from backupjobwatch.domain.status.verdict import deadline
from backupjobwatch.errors import AzureError, PollDeferred

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from backupjobwatch.arm.responses import Response
    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.api.spec import WatchSpec
    from backupjobwatch.domain.jobs.findings import Finding
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.jobs.latest_job import LatestJob
    from backupjobwatch.domain.polling.observations import Answer
    from backupjobwatch.domain.polling.queries import Query, Requirements

_PROCESS: Final = "render"
"""The process in the records of this module, which sends no request."""
_OPERATION_HEADERS: Final = ("Azure-AsyncOperation", "Location")


class Observed(NamedTuple):
    """The finding in a response, and what it adds to the status."""

    finding: Finding
    pinned: tuple[PinnedJob, ...] = ()
    """The jobs of the watch that the response identifies."""
    record: BackupRecord | None = None
    """The record of the backup request after the response. None leaves it unchanged."""


def observe(watch: Watch, spec: WatchSpec, response: Response, now: datetime) -> Observed:
    """Parse *response* as the job or, if the job is not known yet, as a response that helps to find it."""
    try:
        return _observe(watch, spec, response, now)
    except AzureError as error:
        return Observed(error)


def _observe(watch: Watch, spec: WatchSpec, response: Response, now: datetime) -> Observed:
    source = spec.source
    if isinstance(source, JobId):
        return Observed(read_job(response, source, now=now))
    if len(watch.pinned) > 1 or any(job.error_code for job in watch.pinned):
        return Observed(_next("This watch has several jobs, and one response shows only one of them."), watch.pinned)
    if watch.pinned:
        job_id = JobId(vault=source.vault, name=watch.pinned[0].name)
        return Observed(read_job(response, job_id, now=now), watch.pinned)
    if isinstance(source, OnDemandBackup):
        return _observe_backup(watch, spec, source, response, now)
    if isinstance(source, OperationId):
        return _found(read_operation(read_object(response, now=now)))
    jobs, _ = read_job_list(response, source.vault, now=now)
    latest = _find_latest(watch, spec, source, jobs, now)
    return _found((latest,) if isinstance(latest, PinnedJob) else latest)


def _found(found: tuple[PinnedJob, ...] | Waiting | UnsupportedItem | OperationFailure) -> Observed:
    if not isinstance(found, tuple):
        return Observed(found)
    return Observed(
        _next("The job was found. The operator polls it next. Render again with the job's response."), found
    )


def _next(message: str) -> PollDeferred:
    return PollDeferred(message, stale=True)


def _find_latest(
    watch: Watch, spec: WatchSpec, latest: LatestJob, jobs: Sequence[Job], now: datetime
) -> PinnedJob | Waiting | UnsupportedItem:
    start = watch.search_start or now
    if latest.completed_within is None:
        return find_latest(jobs, latest, created=start)
    start = min(start, now)  # An object that is not stored yet counts as created now.
    found = find_completed_or_next(
        jobs, latest, start=start, now=now, warnings_succeed=spec.warnings_succeed, details={}
    )
    return PinnedJob(name=found) if isinstance(found, str) else found


def _observe_backup(
    watch: Watch, spec: WatchSpec, backup: OnDemandBackup, response: Response, now: datetime
) -> Observed:
    """Parse the response to the backup request, or to a read of the operator before or after it."""
    record = watch.backup_record
    if record is None or record.state in (RecordState.REQUESTED, RecordState.REFUSED):
        if response.status != HTTPStatus.OK or any(name in response.headers for name in _OPERATION_HEADERS):
            return _observe_request(watch, spec, backup, response, now)
        if isinstance(mapping(parse_json(response.body)).get("status"), str):
            return _found(read_operation(read_object(response, now=now)))
    plan = _plan(watch, spec, {}, now)
    if plan.queries and not plan.pinned:
        (query,) = plan.queries
        plan = _plan(watch, spec, {query: Observation(answer=_read(query, response, now), sent=0.0, time=now)}, now)
    if plan.pinned:
        return _found(plan.pinned)._replace(record=plan.record)
    if plan.found is None:
        return Observed(_next("The item was found. The operator reads more about it before it requests a backup."))
    # A request that is only planned has no ID.
    record = plan.record if plan.request is None or plan.record is None else replace(plan.record, request_id=None)
    return Observed(plan.found, record=record)


def _observe_request(
    watch: Watch, spec: WatchSpec, backup: OnDemandBackup, response: Response, now: datetime
) -> Observed:
    """Parse the response to the POST that starts a backup."""
    requested = _requested(watch, backup, response, now)
    started: OperationId | AzureError
    try:
        started = read_operation_started(response, backup.vault, now=now)
    except AzureError as error:
        started = error
    result = RequestResult(record=requested, answer=started, received=now)
    recorded = replace(watch, status={**watch.status, "onDemand": requested.to_status()})
    plan = _plan(recorded, spec, {}, now, result)
    if isinstance(started, OperationId):
        started = _next(
            "Azure accepted the request. The operator polls its operation next. Render again with that response."
        )
    return Observed(plan.found or started, record=plan.record)


def _requested(watch: Watch, backup: OnDemandBackup, response: Response, now: datetime) -> BackupRecord:
    """Return the record of the request behind *response*: the stored one, its next attempt, or a new one."""
    record = watch.backup_record
    if record is None:
        return BackupRecord(
            state=RecordState.REQUESTED,
            revision=watch.revision,
            requested_at=now,
            process=_PROCESS,
            item=backup.item_id or "",
            item_name=backup.title,
            request_id=response.headers.get("x-ms-client-request-id"),
        )
    if record.state is RecordState.REFUSED:
        return replace(record, state=RecordState.REQUESTED, attempt=record.attempt + 1, requested_at=now, retry_at=None)
    return record


def _plan(
    watch: Watch,
    spec: WatchSpec,
    observations: Mapping[Query, Observation],
    now: datetime,
    result: RequestResult | None = None,
) -> Requirements:
    admission, end = Admission(request_id=""), deadline(watch, spec)
    context = RequestContext(process=_PROCESS, is_allowed=True, admission=admission, deadline=end, result=result)
    return required_queries(watch, spec, observations, now=now, context=context)


def _read(query: Query, response: Response, now: datetime) -> Answer:
    """Parse *response*, which is the one to *query*: the operation, the vault's items, or its jobs. Raises AzureError."""
    if isinstance(query, OperationId):
        return read_operation(read_object(response, now=now))
    if isinstance(query, ProtectedItems):
        return ItemList(read_item_list(response, query.vault, now=now)[0])
    return JobList(tuple(read_job_list(response, query.vault, now=now)[0]))
