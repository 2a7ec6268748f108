"""The state machine of ``spec.onDemand``: at most one backup for each revision, whatever is lost.

The record in the status is written before the request is sent, and only the process that wrote it sends the request. A
request without a known answer is never repeated: only a job with its ID proves that it arrived.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backupjobwatch.domain.api.backup_record import BackupRecord, RecordState
from backupjobwatch.domain.jobs.backup_policies import BackupPolicy
from backupjobwatch.domain.jobs.findings import PinnedJob, RequestFailure, Waiting
from backupjobwatch.domain.jobs.item_resolution import build_request, resolve_item
from backupjobwatch.domain.jobs.protected_items import ProtectedItem
from backupjobwatch.domain.jobs.requested_jobs import find_requested, find_running
from backupjobwatch.domain.jobs.resource_ids import OperationId, VaultKind
from backupjobwatch.domain.jobs.times import format_time
from backupjobwatch.domain.polling.backup_plan import (
    LONGEST_BACKUP,
    LOOK_BACK,
    RECOVER_AFTER,
    RequestContext,
    find_record,
    with_result,
)
from backupjobwatch.domain.polling.observations import ItemList, JobList, Observation, operation_result
from backupjobwatch.domain.polling.queries import (
    JobWindow,
    PolicyQuery,
    ProtectedItems,
    Query,
    Requirements,
    window_since,
)
from backupjobwatch.errors import AzureError, InvalidTarget, JobNotFound, OperationWithoutJob, PollDeferred

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.jobs.on_demand_backup import OnDemandBackup


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPlanner:
    """Plans the next step of an unfinished, unsuspended watch with ``spec.onDemand``."""

    watch: Watch
    backup: OnDemandBackup
    grace: timedelta
    retry: timedelta
    """How long a refused request waits at least."""
    observations: Mapping[Query, Observation]
    context: RequestContext
    now: datetime

    def plan(self) -> Requirements:
        """Return what the watch requires, and the record to write."""
        record = with_result(find_record(self.watch, self.context.known), self.context.result, retry=self.retry)
        if record is None:
            return self._prepare(None)
        if record.job_name is not None:
            return Requirements(record=record, pinned=(PinnedJob(name=record.job_name),))
        if record.state is RecordState.ACCEPTED:
            return self._follow_operation(record)
        if record.state is RecordState.REFUSED:
            return self._retry(record)
        lost_at = record.requested_at + RECOVER_AFTER
        if record.state is RecordState.REQUESTED and abs(self.now - record.requested_at) < RECOVER_AFTER:
            return Requirements(record=record, found=self._in_flight(record), recheck_at=lost_at)
        return self._recover(record, give_up_at=lost_at + self.grace)

    def _prepare(self, refused: BackupRecord | None) -> Requirements:
        """Record a new request, or another attempt after the *refused* one."""
        refusal = self._refusal()
        if refusal is not None:
            return Requirements(record=refused, found=refusal)
        listing = ProtectedItems(self.backup.vault)
        items = self._fresh(listing)
        if not isinstance(items, ItemList):
            return Requirements(record=refused, queries=frozenset({listing}))
        item = resolve_item(self.backup, items.items)
        if not isinstance(item, ProtectedItem):
            return Requirements(record=refused, queries=frozenset({listing}), found=item)
        return self._prepare_item(item, items.items, refused)

    def _refusal(self) -> Waiting | RequestFailure | None:
        """Return why no backup may be requested now."""
        if not self.context.is_allowed:
            message = (
                f"Namespace {self.watch.namespace} may not request backups. An administrator allows it with the setting "
                "BACKUPJOBWATCH_ON_DEMAND_NAMESPACES. After that, edit spec.revision."
            )
            return RequestFailure(reason="NamespaceNotAllowed", message=message)
        if self.context.deadline is not None and self.now >= self.context.deadline:
            return Waiting(reason="Progressing", message="The operator requested no backup.")
        return None

    def _prepare_item(
        self, item: ProtectedItem, items: Sequence[ProtectedItem], refused: BackupRecord | None
    ) -> Requirements:
        # The queries stay until the record is written. Without them, the same plan could not be made again.
        queries = frozenset(self._queries(item))
        results = [self._fresh(query) for query in queries]
        if any(result is None or isinstance(result, AzureError) for result in results):
            return Requirements(record=refused, queries=queries)
        policy = next((result for result in results if isinstance(result, BackupPolicy)), None)
        request = build_request(self.backup, item, policy, now=self.now)
        if isinstance(request, RequestFailure):
            return Requirements(record=refused, queries=queries, found=request)
        jobs = next((result.jobs for result in results if isinstance(result, JobList)), ())
        running = find_running(jobs, item, items)
        if running is not None:
            record = self._record(item, state=RecordState.FOLLOWED, job_name=running)
            return Requirements(record=record, queries=queries, pinned=(PinnedJob(name=running),))
        admission = self.context.admission
        if admission is None:
            return Requirements(record=refused, queries=queries, request=request)
        if admission.request_id is None:
            waits = f"The operator requests a backup of {item.name} when its rate and concurrency limits allow it."
            found = admission.error or self._keep_or_report(waits)
            recheck_at = self.now + admission.wait
            return Requirements(record=refused, queries=queries, request=request, found=found, recheck_at=recheck_at)
        record = self._record(item, state=RecordState.REQUESTED, request_id=admission.request_id)
        if refused is not None:
            record = replace(record, request_id=refused.request_id, attempt=refused.attempt + 1)
        lost_at = record.requested_at + RECOVER_AFTER
        return Requirements(
            record=record, queries=queries, found=self._in_flight(record), request=request, recheck_at=lost_at
        )

    def _queries(self, item: ProtectedItem) -> Iterator[Query]:
        """Yield what the request for *item* depends on."""
        vault = self.backup.vault
        yield ProtectedItems(vault)
        if vault.kind is VaultKind.BACKUP_VAULT and item.policy_id is not None:
            yield PolicyQuery(vault, item.policy_id)
        if self.backup.follows_running:
            yield window_since(vault, self.now - LONGEST_BACKUP)

    def _record(self, item: ProtectedItem, **fields: Any) -> BackupRecord:
        return BackupRecord(
            revision=self.watch.revision,
            requested_at=self.now,
            process=self.context.process,
            item=item.id,
            item_name=item.name,
            **fields,
        )

    def _follow_operation(self, record: BackupRecord) -> Requirements:
        """Follow the operation as with ``spec.operationId``. If it leads to no job, search for the job too."""
        operation = OperationId(vault=self.backup.vault, name=record.operation_id or "")
        result = operation_result(self.observations.get(operation))
        if isinstance(result, tuple):
            return Requirements(record=record, queries=frozenset({operation}), pinned=result)
        if not isinstance(result, JobNotFound | OperationWithoutJob):
            return Requirements(record=record, queries=frozenset({operation}), found=result)
        window = self._window(record)
        job = self._find_requested(record, self.observations.get(window))
        queries: frozenset[Query] = frozenset({operation, window})
        if job is None:
            return Requirements(record=record, queries=queries, found=result)
        return Requirements(record=replace(record, job_name=job), queries=queries, pinned=(PinnedJob(name=job),))

    def _retry(self, record: BackupRecord) -> Requirements:
        """Wait until a refused request may be repeated. A refusal of the item itself is final."""
        error = self._error_of(record)
        if isinstance(error, InvalidTarget):
            return Requirements(record=record, found=RequestFailure(reason="InvalidTarget", message=str(error)))
        if record.retry_at is not None and self.now < record.retry_at:
            waits = f"The operator repeats the request for a backup of {record.item_name} at {format_time(record.retry_at)}."
            found = error or self._keep_or_report(waits)
            return Requirements(record=record, found=found, recheck_at=record.retry_at)
        return self._prepare(record)

    def _recover(self, record: BackupRecord, *, give_up_at: datetime) -> Requirements:
        """Search for the job of a request without a known answer."""
        window = self._window(record)
        queries: frozenset[Query] = frozenset({window})
        listed = self.observations.get(window)
        if listed is None or not isinstance(listed.result, JobList):
            return Requirements(record=record, queries=queries, found=None if listed is None else listed.error)
        job = self._find_requested(record, listed)
        if job is not None:
            recovered = replace(record, state=RecordState.RECOVERED, job_name=job)
            return Requirements(record=recovered, queries=queries, pinned=(PinnedJob(name=job),))
        lost = f"The answer to the request for a backup of {record.item_name} at {format_time(record.requested_at)} is unknown."
        error = self._error_of(record)
        if error is not None:  # only the process that sent the request knows it
            lost = f"{lost} {error}"
        if listed.time < give_up_at:
            message = (
                f"{lost} The operator never repeats the request. It looks for a job with the activity ID "
                f"{record.request_id} until {format_time(give_up_at)}."
            )
            found: Waiting | RequestFailure = Waiting(reason="TriggerUncertain", message=message)
            return Requirements(record=record, queries=queries, found=found, recheck_at=give_up_at)
        message = (
            f"{lost} Azure lists no job with the activity ID {record.request_id}. Check the jobs of the vault. To "
            "request another backup, edit spec.revision."
        )
        found = RequestFailure(reason="TriggerUncertain", message=message)
        return Requirements(record=record, queries=queries, found=found)

    def _error_of(self, record: BackupRecord) -> AzureError | None:
        """Return the error of the latest attempt, if this process made it."""
        result = self.context.result
        error = result.answer if result is not None and result.record.key == record.key else None
        return error if isinstance(error, AzureError) else None

    def _window(self, record: BackupRecord) -> JobWindow:
        return window_since(self.backup.vault, record.requested_at - LOOK_BACK)

    def _find_requested(self, record: BackupRecord, listed: Observation | None) -> str | None:
        """Return the name of the job with the ID of the request."""
        jobs = listed.result.jobs if listed is not None and isinstance(listed.result, JobList) else ()
        return find_requested(jobs, request_id=record.request_id, item_name=record.item_name)

    def _fresh(self, query: Query) -> object:
        """Return the last result of *query*, if its request was sent after this process first saw the target."""
        known = self.observations.get(query)
        return None if known is None or known.sent < self.context.since else known.result

    def _in_flight(self, record: BackupRecord) -> Waiting | AzureError:
        """Return what to report until the answer arrives. After a refusal, the status keeps reporting it."""
        message = f"The operator requests a backup of {record.item_name}."
        if record.attempt > 1:
            return self._keep_or_report(message)
        return Waiting(reason="Progressing", message=message)

    def _keep_or_report(self, message: str) -> Waiting | AzureError:
        """Keep what the status reports. After an edit of the target it reports nothing, so report *message*."""
        if self.watch.status_for_target.get("reason"):
            return PollDeferred("")
        return Waiting(reason="Progressing", message=message)
