"""``status.onDemand``: the record of the backup request of a revision.

The record is written before the request is sent. It alone decides, after a crash, what may have happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from backupjobwatch.domain.jobs.times import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


class RecordState(StrEnum):
    """What is known about the request."""

    REQUESTED = "Requested"
    """The request is about to be sent, or was sent without a known answer."""
    REFUSED = "Refused"
    """Azure has certainly not started a backup. The operator may repeat the request."""
    UNCERTAIN = "Uncertain"
    """The answer was lost or unusable. The request is never repeated."""
    ACCEPTED = "Accepted"
    """Azure named the operation."""
    FOLLOWED = "Followed"
    """A running backup counts instead. No request was sent."""
    RECOVERED = "Recovered"
    """The job was found by the ID of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRecord:
    """The request for one revision of a watch."""

    state: RecordState
    revision: str | None
    requested_at: datetime
    """When the record of the latest attempt was written."""
    process: str
    """The process that wrote it. Only this process may send the request."""
    item: str
    """Resource ID of the protected item."""
    item_name: str
    request_id: str | None = None
    """``x-ms-client-request-id`` of the request, which becomes the ``activityId`` of its job. None if followed."""
    attempt: int = 1
    operation_id: str | None = None
    job_name: str | None = None
    retry_at: datetime | None = None
    """When a refused request may be repeated."""

    @property
    def key(self) -> tuple[str | None, int]:
        """What identifies one request on the wire."""
        return self.request_id, self.attempt

    def to_status(self) -> dict[str, Any]:
        """Return the value of ``status.onDemand``."""
        fields = {
            "state": self.state.value,
            "revision": self.revision,
            "requestID": self.request_id,
            "requestedAt": format_time(self.requested_at),
            "process": self.process,
            "attempt": self.attempt,
            "item": self.item,
            "itemName": self.item_name,
            "operationId": self.operation_id,
            "jobName": self.job_name,
            "retryAt": self.retry_at and format_time(self.retry_at),
        }
        return {name: value for name, value in fields.items() if value is not None}


def parse_record(stored: Mapping[str, Any]) -> BackupRecord:
    """Parse ``status.onDemand``. A damaged record counts as uncertain, so that no second request is sent."""
    texts = {name: value for name, value in stored.items() if isinstance(value, str)}
    attempt, state = stored.get("attempt"), texts.get("state", "")
    operation, job = texts.get("operationId"), texts.get("jobName")
    required = {RecordState.ACCEPTED: operation, RecordState.FOLLOWED: job, RecordState.RECOVERED: job}
    is_complete = state in [*RecordState] and required.get(RecordState(state), "") is not None
    return BackupRecord(
        state=RecordState(state) if is_complete else RecordState.UNCERTAIN,
        revision=texts.get("revision"),
        requested_at=parse_time(texts.get("requestedAt")) or _LONG_AGO,
        process=texts.get("process", ""),
        item=texts.get("item", ""),
        item_name=texts.get("itemName", ""),
        request_id=texts.get("requestID"),
        attempt=attempt if isinstance(attempt, int) and attempt > 0 else 1,
        operation_id=operation,
        job_name=job,
        retry_at=parse_time(texts.get("retryAt")),
    )
