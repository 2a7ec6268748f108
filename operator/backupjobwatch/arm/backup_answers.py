"""Decide what a response to the request that starts a backup means. Pure.

An answer is definite only if it is certainly Azure Resource Manager's. After any other one, a backup may be running,
so the request must never be repeated.
"""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from backupjobwatch.arm.responses import parse_json, read_object
from backupjobwatch.domain.jobs.azure_errors import read_error_body
from backupjobwatch.domain.jobs.backup_requests import BACKUP_ACTIONS, operation_in
from backupjobwatch.errors import (
    AuthorizationFailed,
    AzureError,
    BackupConflict,
    InvalidTarget,
    JobNotFound,
    RequestUncertain,
    UnexpectedResponse,
)

if TYPE_CHECKING:
    from datetime import datetime

    from backupjobwatch.arm.responses import Response
    from backupjobwatch.domain.jobs.resource_ids import OperationId, VaultId

_ACCEPTED: Final = (HTTPStatus.OK, HTTPStatus.ACCEPTED)
_UNCERTAIN: Final = (HTTPStatus.REQUEST_TIMEOUT, 499)
"""Refusals after which the provider may go on. 499 means that the client closed the connection."""
_CONFLICTS: Final = (HTTPStatus.CONFLICT, HTTPStatus.LOCKED)
_PASSING_CODES: Final = frozenset({"bmsusererrorobjectlocked", "bmsusererrorconflictingprotectionoperation"})
"""Another operation uses the item. Microsoft does not document the HTTP status of these codes."""
_LASTING_CODES: Final = frozenset({"missingsubscriptionregistration"})
"""Conflicts that do not end on their own."""
CONFLICT_WAIT: Final = timedelta(minutes=2)
"""How long to wait after a conflict without a ``Retry-After``. Another operation takes minutes to hours."""


def read_operation_started(response: Response, vault: VaultId, *, now: datetime) -> OperationId:
    """Return the operation that a request for a backup started. Raise the AzureError that any other answer means."""
    if response.status in _ACCEPTED:
        for name in ("Azure-AsyncOperation", "Location"):
            operation = operation_in(response.headers.get(name), vault)
            if operation is not None:
                return operation
        raise RequestUncertain(
            f"Azure answered the request for a backup with {response.status}, but names no operation.",
            request_id=response.request_id,
        )
    if not is_refusal(response):
        raise RequestUncertain(
            f"Azure may have started a backup or not. {_error_of(response, now)}", request_id=response.request_id
        )
    raise _refusal(response, vault, now)


def is_refusal(response: Response) -> bool:
    """Return whether *response* proves that no backup was started: a 4xx with the error body of Azure Resource Manager."""
    is_client_error = HTTPStatus.BAD_REQUEST <= response.status < HTTPStatus.INTERNAL_SERVER_ERROR
    if not (response.is_from_azure and is_client_error) or response.status in _UNCERTAIN:
        return False
    return any(error.code for error in read_error_body(parse_json(response.body)))


def _refusal(response: Response, vault: VaultId, now: datetime) -> AzureError:
    error = _error_of(response, now)
    if _is_conflict(response):
        return BackupConflict(
            f"{error} The operator repeats the request until the deadline.",
            retry_after=error.retry_after or CONFLICT_WAIT,
            request_id=error.request_id,
        )
    if isinstance(error, AuthorizationFailed):
        message = f"{error} To start a backup, the identity needs the permission {BACKUP_ACTIONS[vault.kind]}."
        return AuthorizationFailed(message, request_id=error.request_id)
    if isinstance(error, JobNotFound | UnexpectedResponse):
        return InvalidTarget(str(error), request_id=error.request_id)
    return error


def _is_conflict(response: Response) -> bool:
    """Return whether the reason of a refusal may pass: another operation, or a lock on the vault."""
    codes = {(error.code or "").lower() for error in read_error_body(parse_json(response.body))}
    return bool(codes & _PASSING_CODES) or (response.status in _CONFLICTS and not codes & _LASTING_CODES)


def _error_of(response: Response, now: datetime) -> AzureError:
    try:
        read_object(response, now=now)
    except AzureError as error:
        return error
    return UnexpectedResponse(f"Azure answered {response.status}.", request_id=response.request_id)
