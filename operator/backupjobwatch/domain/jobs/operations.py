"""Parse the status of the operation that starts a backup or a restore.

An operation is not a job: it succeeds seconds after the job starts.
https://learn.microsoft.com/rest/api/backup/backup-operation-statuses/get,
https://learn.microsoft.com/rest/api/dataprotection/operation-status-backup-vault-context/get
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backupjobwatch.domain.jobs.azure_errors import describe, read_errors
from backupjobwatch.domain.jobs.findings import OperationFailure, PinnedJob, Waiting
from backupjobwatch.domain.jobs.payloads import Reader, last_segment, mapping
from backupjobwatch.domain.jobs.resource_ids import is_guid
from backupjobwatch.domain.jobs.text import sanitize
from backupjobwatch.errors import OperationWithoutJob, UnexpectedResponse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ENDED = frozenset({"failed", "canceled", "cancelled", "invalid"})
"""Final statuses of an operation that started no job. Any other status except Succeeded means that it is running."""


def read_operation(payload: Mapping[str, Any]) -> tuple[PinnedJob, ...] | Waiting | OperationFailure:
    """Return the jobs that an operation started, or why it has started none.

    Raise OperationWithoutJob if the operation succeeded and names no job. Azure may name one later.
    """
    read = Reader()
    status = read.word(payload.get("status")) or "no status"
    errors = read_errors(payload.get("error"))
    text = describe(errors[0]) if errors else ""
    if status.lower() == "succeeded":
        jobs = tuple(_jobs(mapping(payload.get("properties"))))
        if not jobs:
            raise OperationWithoutJob(
                f"The operation succeeded, but Azure names no job that it started. {text}".strip()
            )
        return jobs
    if status.lower() in _ENDED:
        return OperationFailure(message=f"The operation ended as {status}. {text}".strip(), errors=errors)
    message = f"The operation has not started a job yet. Azure reports {status}. {text}"
    return Waiting(reason="Progressing", message=message.strip())


def _jobs(properties: Mapping[str, Any]) -> Iterator[PinnedJob]:
    """Yield the jobs of any ``objectType``. Recovery Services vaults return GUIDs, Backup vaults full IDs."""
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
        shown = sanitize(str(value), 64, redact_addresses=True)
        raise UnexpectedResponse(f'Azure\'s operation names a job that is not a GUID: "{shown}".')
    return name.lower()
