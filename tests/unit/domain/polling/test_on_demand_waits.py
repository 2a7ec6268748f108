"""A watch with ``spec.onDemand`` before its request can be sent, and after its operation leads to no job."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.domain.api.backup_record import RecordState
from backupjobwatch.domain.jobs.findings import RequestFailure, Waiting
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId
from backupjobwatch.domain.polling.backup_plan import Admission
from backupjobwatch.domain.polling.observations import ItemList, JobList
from backupjobwatch.domain.polling.queries import window_since
from backupjobwatch.errors import (
    AzureUnavailable,
    JobNotFound,
    OperationWithoutJob,
    PollDeferred,
    RequestUncertain,
    Throttled,
)
from tests.support.builders import JOB_NAME, NOW, OPERATION, list_entry
from tests.support.on_demand import REQUEST_ID, RSV, record, requested_watch, vm
from tests.unit.domain.polling.test_on_demand import ITEMS, MINUTE, OURS, PINS, required, result_of, seen

if TYPE_CHECKING:
    from backupjobwatch.domain.api.backup_record import BackupRecord
    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.polling.observations import Observation
    from backupjobwatch.domain.polling.queries import Query, Requirements
    from backupjobwatch.errors import AzureError


@pytest.mark.parametrize("refused", [None, record(RecordState.REFUSED)])
def test_waiting_for_admission(refused: BackupRecord | None) -> None:
    """A request is recorded only when it can be sent. Until then, the status reports why it cannot."""
    items: dict[Query, Observation] = {ITEMS: seen(ItemList((vm(),)))}
    error = Throttled("429")

    def waiting(snapshot: Watch, admission: Admission | None) -> Requirements:
        found = required(snapshot, items, context=replace(OURS, admission=admission))
        assert found.record == refused
        assert found.queries == {ITEMS}
        assert found.request is not None
        return found

    for snapshot in (requested_watch(refused), requested_watch(refused, target="edited")):
        assert waiting(snapshot, None).found is None
        denied = waiting(snapshot, Admission(error=error, wait=MINUTE))
        assert (denied.found, denied.recheck_at) == (error, NOW + MINUTE)
    assert isinstance(waiting(requested_watch(refused), Admission(wait=MINUTE)).found, PollDeferred)
    assert isinstance(waiting(requested_watch(refused, target="edited"), Admission(wait=MINUTE)).found, Waiting)


@pytest.mark.parametrize("error", [JobNotFound("404"), OperationWithoutJob("no job")])
def test_an_operation_without_a_job(error: AzureError) -> None:
    """If the operation leads to no job, the job with the ID of the request counts."""
    known = record(RecordState.ACCEPTED, operation_id=OPERATION)
    operation, window = OperationId(vault=RSV, name=OPERATION), window_since(RSV, NOW - 5 * MINUTE)
    snapshot = requested_watch(known)
    lost: dict[Query, Observation] = {operation: seen(error)}

    found = required(snapshot, lost)
    assert (found.found, found.record) == (error, known)
    assert found.queries == {operation, window}
    other = JobList((list_entry(activityId="another"),))
    assert required(snapshot, {**lost, window: seen(other)}).found == error
    assert required(snapshot, {**lost, window: seen(AzureUnavailable("503"))}).found == error
    mine = JobList((list_entry(activityId=REQUEST_ID),))
    found = required(snapshot, {**lost, window: seen(mine)})
    assert (found.pinned, found.record) == (PINS, replace(known, job_name=JOB_NAME))
    assert found.queries == {operation, window, JobId(vault=RSV, name=JOB_NAME)}


@pytest.mark.parametrize(("minutes", "kind"), [(1, Waiting), (12, RequestFailure)])
def test_an_uncertain_answer(minutes: int, kind: type[Waiting | RequestFailure]) -> None:
    """The process that got no usable answer reports its error. Later ones do not know it."""
    known, window = record(RecordState.UNCERTAIN), window_since(RSV, NOW - 5 * MINUTE)
    snapshot = requested_watch(known)
    listed: dict[Query, Observation] = {window: seen(JobList(()), time=NOW + minutes * MINUTE)}

    found = required(snapshot, listed, context=result_of(known, RequestUncertain("Azure answered 504."))).found
    assert isinstance(found, kind)
    assert "is unknown. Azure answered 504. " in found.message
    later = required(snapshot, listed).found
    assert isinstance(later, kind)
    assert "504" not in later.message
