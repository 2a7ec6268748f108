"""What a result changes in a record, and when a request may be sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from backupjobwatch.domain.api.backup_record import BackupRecord, RecordState
from backupjobwatch.domain.jobs.resource_ids import OperationId
from backupjobwatch.domain.polling.backup_plan import RequestResult, may_send, with_result
from backupjobwatch.errors import RequestUncertain
from tests.support.builders import JOB_NAME, NOW, OPERATION, watch
from tests.support.on_demand import BACKUP_VAULT_REF, PROCESS, RSV, on_demand_spec, record, requested_watch

MINUTE = timedelta(minutes=1)


def test_results() -> None:
    """A result changes only the record of its own attempt."""
    operation = OperationId(vault=RSV, name=OPERATION)

    def after(known: BackupRecord | None, answer: Any, sent: BackupRecord | None = None) -> BackupRecord | None:
        return with_result(known, RequestResult(record=sent or record(), answer=answer, received=NOW))

    assert after(record(), RequestUncertain("504")) == record(RecordState.UNCERTAIN)
    assert after(None, operation) is None
    assert after(record(attempt=2), operation) == record(attempt=2)
    assert after(record(request_id="other"), operation) == record(request_id="other")
    done = record(RecordState.RECOVERED, job_name=JOB_NAME)
    assert after(done, operation) == done
    assert with_result(record(), None) == record()


def test_may_send() -> None:
    """Only the process that wrote the record sends the request, within a minute, if the watch still wants it."""
    known = record()
    status: dict[str, Any] = {"phase": "Failed", "completionTime": "2018-05-21T09:00:00Z"}
    refusals = [
        requested_watch(),
        requested_watch(known, {"operationId": OPERATION, "vault": {}}),
        requested_watch(known, {"operationId": OPERATION, "vault": BACKUP_VAULT_REF}),
        requested_watch(known, {**on_demand_spec(), "suspend": True}),
        requested_watch(known, {**on_demand_spec(), "revision": "v2"}),
        requested_watch(known, target="other"),
        requested_watch(known, watchStartTime=None),
        requested_watch(known, watchStartTime="2018-05-18T09:00:00Z"),
        requested_watch(known, **status),
        requested_watch(known, jobs=[{"name": JOB_NAME}]),
        requested_watch(record(RecordState.UNCERTAIN)),
        requested_watch(record(RecordState.REFUSED)),
        watch(on_demand_spec(), requested_watch(known).status, deletionTimestamp="2018-05-21T09:00:00Z"),
    ]

    assert may_send(requested_watch(known), process=PROCESS, now=NOW)
    assert not may_send(requested_watch(known), process="other", now=NOW)
    assert not may_send(requested_watch(known), process=PROCESS, now=NOW + MINUTE)
    assert not may_send(requested_watch(known), process=PROCESS, now=NOW - MINUTE)
    assert [each for each in refusals if may_send(each, process=PROCESS, now=NOW)] == []
