"""Lines of ``watch --on-demand`` outside its view: the ID of its request, and how to follow the backup later."""

from __future__ import annotations

import shlex
import threading
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.api.backup_record import RecordState
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.on_demand_backup import OnDemandBackup
from backupjobwatch.domain.jobs.resource_ids import JobId, VaultKind
from backupjobwatch.errors import AzureError, InvalidSpec, RequestUncertain
from backupjobwatch.terminal.exit_codes import TIMED_OUT, UNCLEAR, exit_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from backupjobwatch.controller.backup_requester import BackupSender
    from backupjobwatch.domain.api.backup_record import BackupRecord
    from backupjobwatch.domain.api.target import Identity
    from backupjobwatch.domain.jobs.backup_requests import BackupRequest
    from backupjobwatch.domain.jobs.resource_ids import OperationId, VaultId

_OPEN: Final = (None, TIMED_OUT, UNCLEAR)
"""Exit codes of a watch whose backup may still run."""


class RequestGuard:
    """Tracks whether this command's request may have reached Azure. After ``close``, no request is sent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_closed = False
        self.is_sent = False
        """Whether a request was sent that Azure has not refused."""
        self.operation: OperationId | None = None
        """The operation that Azure named."""

    def begin(self, may_send: Callable[[], bool]) -> bool:
        """Return whether the request may be sent now. Called in a thread."""
        with self._lock:
            if self._is_closed or not may_send():
                return False
            self.is_sent = True
            return True

    def close(self) -> None:
        """Refuse all further requests."""
        with self._lock:
            self._is_closed = True


class GuardedSender:
    """Sends the requests that its guard allows."""

    def __init__(self, sender: BackupSender, guard: RequestGuard) -> None:
        self._sender = sender
        self._guard = guard

    async def request_backup(
        self,
        namespace: str,
        identity: Identity,
        request: BackupRequest,
        *,
        request_id: str,
        may_send: Callable[[], bool],
    ) -> OperationId:
        """Send *request* once. Raises AzureError."""
        guard = self._guard
        try:
            guard.operation = await self._sender.request_backup(
                namespace, identity, request, request_id=request_id, may_send=lambda: guard.begin(may_send)
            )
        except AzureError as error:
            if not isinstance(error, RequestUncertain):
                guard.is_sent = False
            raise
        return guard.operation


class BackupNotes:
    """Returns a line for the ID of the request before it is sent, and one for the job as soon as it is known."""

    def __init__(self) -> None:
        self._last: list[str] = []

    def lines(self, body: Mapping[str, Any]) -> list[str]:
        """Return the lines that are new about a watch with ``spec.onDemand``. Empty for any other watch."""
        watch = Watch.from_body(body)
        record = watch.backup_record
        if record is None:
            return []
        lines = list(_notes(record, _backup_of(watch)))
        new = [line for line in lines if line not in self._last]
        self._last = lines
        return new


def closing_line(body: Mapping[str, Any], guard: RequestGuard) -> str | None:
    """Return the last line of a command that has not seen the end of its backup. None if it has."""
    watch = Watch.from_body(body)
    backup, record = _backup_of(watch), watch.backup_record
    if backup is None or exit_code(body) not in _OPEN:
        return None
    vault = backup.vault
    operation = None if guard.operation is None else guard.operation.name
    job = None if record is None else record.job_name
    if record is None or (job is None and operation is None and not guard.is_sent):
        return f"This command started no backup of {backup.title}."
    if job is None and operation is None:
        return (
            f"The request for a backup of {record.item_name} was sent, but its response is not known. A backup may have "
            f"started. Before you request another one, look for a job with the activity ID {record.request_id} in the "
            f"vault {vault.name}."
        )
    followed = [str(JobId(vault=vault, name=job))] if job else ["--operation-id", operation or "", *_options(vault)]
    return (
        f"Exiting does not stop the backup of {record.item_name}. To follow the backup: "
        f"{shlex.join(['backupjobwatch', 'watch', *followed])}"
    )


def _notes(record: BackupRecord, backup: OnDemandBackup | None) -> Iterator[str]:
    if record.state is RecordState.FOLLOWED:
        yield f"A backup of {record.item_name} is already running. The command follows it and requests no other."
    else:
        yield f"Requesting a backup of {record.item_name}. The activity ID of its job is {record.request_id}."
    if record.job_name is not None and backup is not None:
        yield f"The job is {JobId(vault=backup.vault, name=record.job_name)}."


def _backup_of(watch: Watch) -> OnDemandBackup | None:
    """Return the backup that a watch requests. None for a watch of another job."""
    spec = watch.parsed_spec
    return spec.source if not isinstance(spec, InvalidSpec) and isinstance(spec.source, OnDemandBackup) else None


def _options(vault: VaultId) -> list[str]:
    kind = [] if vault.kind is VaultKind.RECOVERY_SERVICES else ["--vault-kind", vault.kind.value]
    return ["-s", vault.subscription_id, "-g", vault.resource_group, "-v", vault.name, *kind]
