"""The state machine of ``spec.onDemand``: what a watch requires, records and reports."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.api.backup_record import BackupRecord, RecordState
from backupjobwatch.domain.api.spec import WatchSpec
from backupjobwatch.domain.jobs.backup_policies import BackupPolicy
from backupjobwatch.domain.jobs.findings import OperationFailure, PinnedJob, RequestFailure, Waiting
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId
from backupjobwatch.domain.polling.backup_plan import Admission, RequestContext, RequestResult
from backupjobwatch.domain.polling.observations import ItemList, JobList, observe
from backupjobwatch.domain.polling.queries import PolicyQuery, ProtectedItems, Requirements, window_since
from backupjobwatch.domain.polling.requirements import required_queries
from backupjobwatch.errors import (
    AuthorizationFailed,
    AzureUnavailable,
    InvalidTarget,
    PollDeferred,
    Throttled,
)
from tests.support.builders import JOB_NAME, NOW, OPERATION, list_entry, running_job, watch
from tests.support.on_demand import (
    BACKUP_VAULT,
    BACKUP_VAULT_REF,
    PROCESS,
    REQUEST_ID,
    RSV,
    VM,
    disk,
    on_demand_spec,
    record,
    requested_watch,
    vm,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.polling.observations import Observation, Result
    from backupjobwatch.domain.polling.queries import Query

ADMITTED = Admission(request_id=REQUEST_ID)
OURS = RequestContext(process=PROCESS, admission=ADMITTED, is_allowed=True)
ITEMS = ProtectedItems(RSV)
MINUTE = timedelta(minutes=1)
PINS = (PinnedJob(name=JOB_NAME),)
FORBIDDEN = AuthorizationFailed("403")


def seen(result: Result, *, sent: float = 0, time: datetime = NOW) -> Observation:
    return observe(None, result, sent=sent, time=time)


def required(
    snapshot: Watch,
    observations: Mapping[Query, Observation] | None = None,
    *,
    now: datetime = NOW,
    context: RequestContext = OURS,
    pinned: tuple[PinnedJob, ...] = (),
) -> Requirements:
    spec = snapshot.parsed_spec
    assert isinstance(spec, WatchSpec), spec
    return required_queries(snapshot, spec, observations or {}, now=now, pinned=pinned, context=context)


def result_of(known: BackupRecord, answer: Any) -> RequestContext:
    result = RequestResult(record=known, answer=answer, received=NOW)
    return RequestContext(process=PROCESS, admission=Admission(request_id="other"), is_allowed=True, result=result)


def failure(found: object) -> RequestFailure:
    assert isinstance(found, RequestFailure), found
    return found


def test_items_first() -> None:
    """A new watch requires the items of the vault."""
    assert required(watch(on_demand_spec())) == Requirements(queries=frozenset({ITEMS}))


def test_request() -> None:
    """The record of a resolved request has its ID, the process and the item. The queries stay until it is written."""
    found = required(watch({**on_demand_spec(), "revision": "v1"}), {ITEMS: seen(ItemList((vm(),)))})

    assert found.record == record(revision="v1")
    assert found.request is not None
    assert found.request.item == vm()
    assert found.queries == {ITEMS}
    assert isinstance(found.found, Waiting)
    assert found.recheck_at == NOW + 2 * MINUTE


def test_stale_items() -> None:
    """Items that were listed before this process saw the target do not count, and neither do errors."""
    context = RequestContext(process=PROCESS, admission=ADMITTED, is_allowed=True, since=5)

    for observation in (seen(ItemList((vm(),)), sent=4), seen(AzureUnavailable("503"), sent=6)):
        assert required(watch(on_demand_spec()), {ITEMS: observation}, context=context).record is None


def test_unresolved() -> None:
    """An item that cannot be resolved is reported."""
    items: dict[Query, Observation] = {ITEMS: seen(ItemList(()))}

    assert failure(required(watch(on_demand_spec()), items).found).reason == "InvalidTarget"
    kept = required(watch(on_demand_spec(backupType="Full")), {ITEMS: seen(ItemList((vm(),)))})
    assert failure(kept.found).reason == "InvalidTarget"
    assert kept.record is None


def test_not_allowed() -> None:
    """Without the permission of an administrator, nothing is requested from Azure."""
    found = required(watch(on_demand_spec()), context=RequestContext())

    assert failure(found.found).reason == "NamespaceNotAllowed"
    assert found.queries == frozenset()


def test_past_the_deadline() -> None:
    """No backup is requested after the deadline."""
    context = RequestContext(process=PROCESS, admission=ADMITTED, is_allowed=True, deadline=NOW)

    assert required(watch(on_demand_spec()), {ITEMS: seen(ItemList((vm(),)))}, context=context).record is None


def test_policy() -> None:
    """A Backup vault's request also requires the policy of the instance."""
    snapshot = watch({"onDemand": {"item": "disk1"}, "vault": BACKUP_VAULT_REF})
    items, policy = ProtectedItems(BACKUP_VAULT), PolicyQuery(BACKUP_VAULT, str(disk().policy_id))
    known: dict[Query, Observation] = {items: seen(ItemList((disk(),)))}

    assert required(snapshot, known) == Requirements(queries=frozenset({items, policy}))
    assert required(snapshot, {**known, policy: seen(AzureUnavailable("503"))}).record is None
    found = required(snapshot, {**known, policy: seen(BackupPolicy(rules=("BackupDaily",)))})
    assert found.request is not None
    assert found.request.body["backupRuleOptions"]["ruleName"] == "BackupDaily"
    without: dict[Query, Observation] = {items: seen(ItemList((disk(policy_id=None),)))}
    assert failure(required(snapshot, without).found).reason == "InvalidTarget"


def test_follow() -> None:
    """With ifRunning Follow, a running backup counts instead of a request."""
    snapshot = watch(on_demand_spec(ifRunning="Follow"))
    window = window_since(RSV, NOW - timedelta(days=3))
    known: dict[Query, Observation] = {ITEMS: seen(ItemList((vm(),)))}

    assert required(snapshot, known) == Requirements(queries=frozenset({ITEMS, window}))
    found = required(snapshot, {**known, window: seen(JobList((running_job(),)))})
    assert found.pinned == PINS
    assert found.record == record(RecordState.FOLLOWED, request_id=None, job_name=JOB_NAME)
    requested = required(snapshot, {**known, window: seen(JobList(()))}).record
    assert requested is not None
    assert requested.state is RecordState.REQUESTED


@pytest.mark.parametrize("process", [PROCESS, "other"])
def test_in_flight(process: str) -> None:
    """For two minutes, every process waits for the answer."""
    found = required(requested_watch(record(process=process)), now=NOW + MINUTE)

    assert isinstance(found.found, Waiting)
    assert found.queries == frozenset()
    assert found.request is None
    assert found.recheck_at == NOW + 2 * MINUTE


def test_accepted() -> None:
    """An accepted request is followed like spec.operationId."""
    operation = OperationId(vault=RSV, name=OPERATION)
    snapshot = requested_watch(record())
    context = result_of(record(), operation)

    found = required(snapshot, context=context)
    assert found.record == record(RecordState.ACCEPTED, operation_id=OPERATION)
    assert found.queries == {operation}
    assert found.found is None
    waits = Waiting(reason="Progressing", message="m")
    assert required(snapshot, {operation: seen(waits)}, context=context).found == waits
    failed = OperationFailure(message="m")
    assert required(snapshot, {operation: seen(failed)}, context=context).found == failed
    pinned = required(snapshot, {operation: seen(PINS)}, context=context)
    assert pinned.pinned == PINS
    assert pinned.queries == {operation, JobId(vault=RSV, name=JOB_NAME)}
    assert pinned.jobs == (JobId(vault=RSV, name=JOB_NAME),)


def test_known_job() -> None:
    """The name of the job outlives an edit that clears the rest of the status."""
    known = record(RecordState.ACCEPTED, operation_id=OPERATION, job_name=JOB_NAME)

    assert required(requested_watch(known)).pinned == PINS
    written = required(requested_watch(known, jobs=[{"name": JOB_NAME}]))
    assert (written.pinned, written.record) == (PINS, known)
    assert written.queries == set(written.jobs)


@pytest.mark.parametrize("error", [FORBIDDEN, Throttled("429", retry_after=MINUTE), AzureUnavailable("refused")])
def test_refused(error: Any) -> None:
    """A refused request is repeated with the same ID, after the interval or Retry-After."""
    snapshot = requested_watch(record())
    refused = required(snapshot, context=result_of(record(), error)).record

    assert refused is not None
    assert refused.state is RecordState.REFUSED
    assert refused.retry_at == NOW + (MINUTE if isinstance(error, Throttled) else MINUTE / 2)
    later = requested_watch(refused)
    items: dict[Query, Observation] = {ITEMS: seen(ItemList((vm(),)))}
    waits = required(later, items, context=result_of(record(), error))
    assert waits.found == error
    assert waits.recheck_at == refused.retry_at
    assert isinstance(required(later, items).found, PollDeferred)
    again = required(later, items, now=refused.retry_at)
    assert again.record == record(attempt=2, requested_at=refused.retry_at)
    assert isinstance(again.found, PollDeferred)
    assert required(later, now=refused.retry_at).record == refused
    assert required(later, {ITEMS: seen(ItemList(()))}, now=refused.retry_at).record == refused


def test_refused_target() -> None:
    """If Azure refuses the item, the watch fails."""
    refused = required(requested_watch(record()), context=result_of(record(), InvalidTarget("no such item")))

    assert failure(refused.found) == RequestFailure(reason="InvalidTarget", message="no such item")


def test_a_damaged_refusal() -> None:
    """A refusal without a time is repeated at once."""
    found = required(requested_watch(record(RecordState.REFUSED)), {ITEMS: seen(ItemList((vm(),)))})

    assert found.record == record(attempt=2)


@pytest.mark.parametrize(
    ("known", "now"),
    [
        (record(), NOW + 2 * MINUTE),
        (record(), NOW - 2 * MINUTE),
        (record(process="other"), NOW + 2 * MINUTE),
        (record(RecordState.UNCERTAIN), NOW),
    ],
)
def test_recovery(known: BackupRecord, now: datetime) -> None:
    """A request without an answer is never repeated. Only a job with its ID is followed."""
    snapshot, window = requested_watch(known), window_since(RSV, NOW - 5 * MINUTE)

    assert required(snapshot, now=now).queries == {window}
    assert required(snapshot, {window: seen(AzureUnavailable("503"))}, now=now).found is not None
    mine = list_entry(activityId=REQUEST_ID)
    found = required(snapshot, {window: seen(JobList((list_entry(), mine)))}, now=now)
    assert found.pinned == PINS
    assert found.record is not None
    assert (found.record.state, found.record.job_name) == (RecordState.RECOVERED, JOB_NAME)
    other = JobList((list_entry(activityId="another"),))
    waits = required(snapshot, {window: seen(other, time=NOW + 11 * MINUTE)}, now=now)
    assert isinstance(waits.found, Waiting)
    assert waits.recheck_at == NOW + 12 * MINUTE
    lost = failure(required(snapshot, {window: seen(other, time=NOW + 12 * MINUTE)}, now=now).found)
    assert lost.reason == "TriggerUncertain"
    assert "edit spec.revision" in lost.message
    assert waits.request is None


def test_other_sources() -> None:
    """A record of an earlier source has no influence on another source."""
    snapshot = requested_watch(record(), {"operationId": OPERATION, "vault": {**BACKUP_VAULT_REF}})

    assert VM not in str(required(snapshot))


def test_cleared_status() -> None:
    """If a user clears the status, the record that this process has seen still counts, but only for its revision."""
    items: dict[Query, Observation] = {ITEMS: seen(ItemList((vm(),)))}
    cleared = watch({**on_demand_spec(), "revision": "v1"})
    known = record(revision="v1", request_id="sent")

    found = required(cleared, items, context=replace(OURS, known=known))
    assert (found.record, found.request) == (known, None)

    found = required(cleared, items, context=replace(OURS, known=replace(known, revision="v0")))
    assert found.request is not None


def test_cleared_record() -> None:
    """A watch whose jobs are known restores the record that a user has cleared."""
    known = record(RecordState.ACCEPTED, operation_id=OPERATION)
    snapshot = requested_watch(jobs=[{"name": JOB_NAME}])

    assert required(snapshot, context=replace(OURS, known=known)).record == known
