"""Answers to the request that starts a backup: an operation, a definite refusal, or an uncertain result."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
import requests

from backupjobwatch.arm.backup_answers import is_refusal, read_operation_started
from backupjobwatch.arm.responses import Response
from backupjobwatch.domain.jobs.resource_ids import OperationId
from backupjobwatch.errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    AzureError,
    BackupConflict,
    InvalidTarget,
    RequestUncertain,
    Throttled,
    VaultNotFound,
)
from tests.support.azure import payload, payload_names
from tests.unit.arm.test_allowed_requests import BACKUP_VAULT, RSV

NOW: Final = datetime(2026, 3, 4, 1, 0, 0, tzinfo=UTC)
REQUEST_ID: Final = "e9702101-5e1f-4000-8000-000000000001"
ACCEPTED: Final = payload("http-202-trigger-backup")["headers"]
OPERATION: Final = "09e70001-5e1f-4000-8000-000000000001"
REFUSED: Final = {"error": {"code": "Code", "message": "Message."}}


def answer(status: int, body: Any = b"", *, request_id: str | None = REQUEST_ID, **headers: str) -> Response:
    every = {**headers, **({} if request_id is None else {"x-ms-request-id": request_id})}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = requests.structures.CaseInsensitiveDict({name.replace("_", "-"): value for name, value in every.items()})
    return Response(status=status, headers=names, body=content)


def error_of(given: Response, vault: Any = RSV) -> AzureError:
    with pytest.raises(AzureError) as caught:
        read_operation_started(given, vault, now=NOW)
    return caught.value


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize("names", [("Azure-AsyncOperation", "Location"), ("Azure-AsyncOperation",), ("Location",)])
def test_accepted(status: int, names: tuple[str, ...]) -> None:
    """Either header names the operation. An accepted request has no body, and may have no request ID."""
    for request_id in (REQUEST_ID, None):
        given = answer(status, request_id=request_id, **{name: ACCEPTED[name] for name in names})
        assert read_operation_started(given, RSV, now=NOW) == OperationId(vault=RSV, name=OPERATION)


@pytest.mark.parametrize("status", [200, 202])
def test_without_a_url(status: int) -> None:
    """An accepted request without a usable URL has probably started a backup."""
    for headers in ({}, {"Azure-AsyncOperation": "text"}, {"Location": ACCEPTED["Location"].replace("rsv-", "x-")}):
        error = error_of(answer(status, **headers))
        assert type(error) is RequestUncertain
        assert "names no operation" in str(error)
        assert error.request_id == REQUEST_ID


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidTarget),
        (401, AuthenticationFailed),
        (403, AuthorizationFailed),
        (404, InvalidTarget),
        (405, InvalidTarget),
        (409, BackupConflict),
        (423, BackupConflict),
        (429, Throttled),
    ],
)
def test_definite(status: int, kind: type[AzureError]) -> None:
    """A 4xx with Azure's error body means that no backup was started."""
    error = error_of(answer(status, REFUSED))

    assert type(error) is kind
    assert "Code: Message" in str(error)
    assert error.request_id == REQUEST_ID
    assert is_refusal(answer(status, REFUSED))


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (409, "ScopeLocked", BackupConflict),
        (409, "AnotherOperationInProgress", BackupConflict),
        (400, "BMSUserErrorObjectLocked", BackupConflict),
        (400, "BMSUserErrorConflictingProtectionOperation", BackupConflict),
        (409, "MissingSubscriptionRegistration", InvalidTarget),
        (400, "BMSUserErrorInvalidInput", InvalidTarget),
    ],
)
def test_conflicts(status: int, code: str, kind: type[AzureError]) -> None:
    """A conflict with another operation or a lock may pass. A missing registration does not."""
    assert type(error_of(answer(status, {"error": {"code": code, "message": "Message."}}))) is kind


def test_wait_after_a_conflict() -> None:
    """A conflict is tried again after Azure's Retry-After, or after two minutes."""
    assert error_of(answer(409, REFUSED, Retry_After="17")).retry_after == timedelta(seconds=17)
    assert error_of(answer(423, REFUSED)).retry_after == timedelta(minutes=2)


def test_missing_vault() -> None:
    """A 404 of the gateway means that the vault does not exist."""
    assert type(error_of(answer(404, REFUSED, x_ms_failure_cause="gateway"))) is VaultNotFound


@pytest.mark.parametrize(
    ("vault", "action"),
    [
        (RSV, "Microsoft.RecoveryServices/Vaults/backupFabrics/protectionContainers/protectedItems/backup/action"),
        (BACKUP_VAULT, "Microsoft.DataProtection/backupVaults/backupInstances/backup/action"),
    ],
)
def test_missing_permission(vault: Any, action: str) -> None:
    """A 403 names the permission that the identity needs."""
    assert str(error_of(answer(403, REFUSED), vault)).endswith(f"the identity needs the permission {action}.")


def test_throttled() -> None:
    """A 429 keeps Azure's Retry-After."""
    assert error_of(answer(429, REFUSED, Retry_After="17")).retry_after == timedelta(seconds=17)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 499])
def test_failures_of_azure(status: int) -> None:
    """After an error of the server or a time-out, a backup may have been started, even with Azure's error body."""
    error = error_of(answer(status, REFUSED))

    assert type(error) is RequestUncertain
    assert "may have started a backup or not" in str(error)
    assert "Code: Message" in str(error)


@pytest.mark.parametrize("status", [100, 201, 204, 206, 301, 307, 400, 401, 403, 404, 429, 503])
@pytest.mark.parametrize(
    ("body", "request_id"),
    [
        (b"", REQUEST_ID),
        (b"<html><title>Blocked</title></html>", REQUEST_ID),
        (b"{}", REQUEST_ID),
        ([], REQUEST_ID),
        ({"error": {"message": "Message."}}, REQUEST_ID),
        (REFUSED, None),
        (b'{"error": {"co', REQUEST_ID),
    ],
)
def test_answers_of_others(status: int, body: Any, request_id: str | None) -> None:
    """A proxy's answer says nothing about the backup: it lacks a request ID or Azure's error code."""
    given = answer(status, body, request_id=request_id)

    assert type(error_of(given)) is RequestUncertain
    assert not is_refusal(given)


def test_unexpected_success_status() -> None:
    """Azure's body with another status is uncertain."""
    assert type(error_of(answer(201, {"value": []}))) is RequestUncertain


@pytest.mark.parametrize("name", [name for name in payload_names("error-") if "-4" in name])
def test_refusals_on_record(name: str) -> None:
    """Each recorded 4xx with an error code is definite. Its message quotes Azure."""
    recorded = payload(name)
    body = recorded["body"]
    given = answer(recorded["status"], body, **{key: str(value) for key, value in recorded["headers"].items()})
    error = error_of(given)

    assert isinstance(error, RequestUncertain) is not is_refusal(given)
    if isinstance(error, RequestUncertain):
        assert not {"error", "Message"} & body.keys()
