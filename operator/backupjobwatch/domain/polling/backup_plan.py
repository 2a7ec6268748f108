"""The values of the state machine of ``spec.onDemand``: what a process knows of a request, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.api.backup_record import BackupRecord, RecordState
from backupjobwatch.domain.jobs.on_demand_backup import OnDemandBackup
from backupjobwatch.domain.jobs.resource_ids import OperationId
from backupjobwatch.domain.polling.observations import NEVER
from backupjobwatch.errors import AzureError, InvalidSpec, RequestUncertain

if TYPE_CHECKING:
    from datetime import datetime

    from backupjobwatch.domain.api.snapshot import Watch

SEND_WITHIN: Final = timedelta(seconds=45)
"""How long after its record a request may be sent. With its time limit, it ends before ``RECOVER_AFTER``."""
RECOVER_AFTER: Final = timedelta(minutes=2)
"""How long after its record a request without an answer counts as lost. The request has ended by then."""
DEFAULT_RETRY: Final = timedelta(seconds=30)
"""How long a refused request waits at least, unless the watch has another poll interval."""
LOOK_BACK: Final = timedelta(minutes=5)
"""How far before the record its job is searched, because the clocks of Azure and the operator differ."""
LONGEST_BACKUP: Final = timedelta(days=3)
"""How far back a running backup may have started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestResult:
    """The result of one attempt to request a backup."""

    record: BackupRecord
    """The record that the request was sent for."""
    answer: OperationId | AzureError
    """Any error except RequestUncertain says that Azure has not started a backup."""
    received: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Whether a request can be sent as soon as it is recorded."""

    request_id: str | None = None
    """ID of the request. None if it must wait."""
    error: AzureError | None = None
    """What the status reports until then. None if only the operator's own rate delays the request."""
    wait: timedelta = timedelta()
    """When to decide again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """What this process knows about the backup request of a watch."""

    process: str = ""
    """Unique ID of this process."""
    admission: Admission | None = None
    """The decision about a request that is not recorded yet. None until one is planned."""
    is_allowed: bool = False
    """Whether the namespace may request backups."""
    since: float = NEVER
    """The request may depend only on observations sent at this time or later."""
    deadline: datetime | None = None
    """When the watch fails. No backup is requested after it."""
    result: RequestResult | None = None
    """The latest result of a request in this process."""
    known: BackupRecord | None = None
    """The latest record that this process has seen in the object."""


def find_record(watch: Watch, known: BackupRecord | None) -> BackupRecord | None:
    """Return the record for the revision of *watch*: the stored one, or the *known* one if the status was cleared."""
    if watch.backup_record is not None or known is None:
        return watch.backup_record
    return known if known.revision == watch.revision else None


def with_result(
    record: BackupRecord | None, result: RequestResult | None, *, retry: timedelta = DEFAULT_RETRY
) -> BackupRecord | None:
    """Return *record* after *result*. The result of another request changes nothing."""
    if record is None or result is None or record.state is not RecordState.REQUESTED or record.key != result.record.key:
        return record
    if isinstance(result.answer, OperationId):
        return replace(record, state=RecordState.ACCEPTED, operation_id=result.answer.name)
    if isinstance(result.answer, RequestUncertain):
        return replace(record, state=RecordState.UNCERTAIN)
    wait = max(result.answer.retry_after or retry, retry)
    return replace(record, state=RecordState.REFUSED, retry_at=result.received + wait)


def may_send(watch: Watch, *, process: str, now: datetime) -> bool:
    """Return whether *process* may send the recorded request of *watch* now, as far as the object says."""
    spec, record = watch.parsed_spec, watch.backup_record
    if isinstance(spec, InvalidSpec) or not isinstance(spec.source, OnDemandBackup) or record is None:
        return False
    if watch.deleting or watch.finished or watch.pinned or spec.suspend or not watch.status_for_target:
        return False
    if watch.started is None or now >= watch.started + spec.active_deadline:
        return False
    is_ours = record.state is RecordState.REQUESTED and record.process == process
    return is_ours and abs(now - record.requested_at) < SEND_WITHIN
