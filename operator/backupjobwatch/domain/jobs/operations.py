"""The operation that starts a backup or a restore: what its status says of jobs.

An operation is not a job: it succeeds seconds after the job starts.
Shapes: https://learn.microsoft.com/rest/api/backup/backup-operation-statuses/get and, for Backup vaults,
https://learn.microsoft.com/rest/api/dataprotection/operation-status-backup-vault-context/get
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backupjobwatch.domain.jobs.azure_errors import describe, read_errors
from backupjobwatch.domain.jobs.observations import OperationFailure, PinnedJob, Waiting
from backupjobwatch.domain.jobs.payloads import Reader, last_segment, mapping
from backupjobwatch.domain.jobs.resource_ids import is_guid
from backupjobwatch.errors import OperationWithoutJob, UnexpectedResponse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ENDED = frozenset({"failed", "canceled", "cancelled", "invalid"})
"""Statuses of an operation that starts no job. All but Succeeded and these are still running."""


def read_operation(payload: Mapping[str, Any]) -> tuple[PinnedJob, ...] | Waiting | OperationFailure:
    """Read an operation's status: the jobs it started, or why it started none, or none yet.

    Raises OperationWithoutJob if the operation succeeded and names no job. Azure may name one later.
    """
    read = Reader()
    status = read.word(payload.get("status")) or "no status"
    errors = read_errors(payload.get("error"))
    text = describe(errors[0]) if errors else ""
    if status.lower() == "succeeded":
        jobs = tuple(_jobs(mapping(payload.get("properties"))))
        if not jobs:
            raise OperationWithoutJob(
                f"The operation succeeded, and Azure names no job that it started. {text}".strip()
            )
        return jobs
    if status.lower() in _ENDED:
        return OperationFailure(message=f"The operation ended as {status}. {text}".strip(), errors=errors)
    message = f"The operation has not started its job yet: Azure reports {status}. {text}"
    return Waiting(reason="Progressing", message=message.strip())


def _jobs(properties: Mapping[str, Any]) -> Iterator[PinnedJob]:
    """Read job names by presence, whatever the ``objectType``. Recovery Services has GUIDs, Backup vaults full IDs."""
    several = properties.get("jobIds")
    listed = [properties.get("jobId"), *(several if isinstance(several, list) else ())]
    failed = mapping(properties.get("failedJobsError"))
    codes = {_name(name): Reader().word(code) or "unknown" for name, code in failed.items()}
    names = [_name(value) for value in listed if value]
    for name in dict.fromkeys([*names, *codes]):
        yield PinnedJob(name=name, error_code=codes.get(name))


def _name(value: object) -> str:
    name = last_segment(value) if isinstance(value, str) else None
    if name is None or not is_guid(name):
        raise UnexpectedResponse("Azure's operation names a job by something that is no GUID.")
    return name.lower()
