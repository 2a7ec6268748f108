"""The list of the requests that the operator sends."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from backupjobwatch.arm.allowed_requests import ALLOWED_REQUESTS, is_allowed
from backupjobwatch.domain.jobs.protected_items import parse_backup_instances, parse_protected_items
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId, VaultId, VaultKind
from backupjobwatch.domain.polling.queries import PolicyQuery
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT, payload
from tests.support.builders import JOB_NAME, OPERATION

RSV: Final = VaultId(subscription_id=SUBSCRIPTION_ID, resource_group=RESOURCE_GROUP, name=VAULT)
BACKUP_VAULT: Final = VaultId(
    subscription_id=SUBSCRIPTION_ID, resource_group=RESOURCE_GROUP, name="bv-harbour", kind=VaultKind.BACKUP_VAULT
)
SECONDARY: Final = (
    replace(RSV, secondary_region="westus"),
    replace(BACKUP_VAULT, secondary_region="westus", primary_region="eastus"),
)
VM: Final = parse_protected_items(payload("items-all-workloads"), RSV)[0]
DISK: Final = parse_backup_instances(payload("dp-instances"), BACKUP_VAULT)[0]
READS: Final = (
    "/subscriptions",
    *(JobId(vault=vault, name=JOB_NAME).url_path for vault in (RSV, BACKUP_VAULT)),
    *(OperationId(vault=vault, name=OPERATION).url_path for vault in (RSV, BACKUP_VAULT)),
    *(path for vault in (RSV, BACKUP_VAULT) for path in (vault.jobs_url_path, vault.items_url_path)),
    PolicyQuery(BACKUP_VAULT, f"{BACKUP_VAULT}/backupPolicies/daily").url_path,
    *(OperationId(vault=vault, name=OPERATION).url_path for vault in SECONDARY),
)
POSTS: Final = (
    VM.backup_path,
    DISK.backup_path,
    *(JobId(vault=vault, name=JOB_NAME).secondary_url_path for vault in SECONDARY),
)


def test_all_requests() -> None:
    """Each request of the operator is on the list, with its own method only, and the list has no others."""
    for path in READS:
        assert (is_allowed("GET", path), is_allowed("POST", path)) == (True, False), path
        assert is_allowed("GET", path.upper()), path
    for path in POSTS:
        assert (is_allowed("GET", path), is_allowed("POST", path)) == (False, True), path
    assert {method for method, _ in ALLOWED_REQUESTS} == {"GET", "POST"}
    assert len([path for method, path in ALLOWED_REQUESTS if method == "POST"]) == len(POSTS)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "HEAD", "get", ""])
def test_other_methods(method: str) -> None:
    """No other method is allowed."""
    assert not any(is_allowed(method, path) for path in (*READS, *POSTS))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/subscriptions/",
        f"{RSV}",
        f"{RSV}/backupJobs/",
        f"{RSV}/backupJobs/{JOB_NAME}/cancel",
        f"{RSV}/backupJobs/..",
        f"{RSV}/backupJobs/%2E%2e",
        f"{RSV}/./backupJobs",
        f"{RSV}/backupJobs/x%2F..",
        VM.backup_path.replace("/protectedItems/", "/protectedItems/x%2F..%2F"),
        DISK.backup_path.replace("/backupInstances/", "/backupInstances/..%2f"),
        DISK.backup_path.replace("/backupInstances/", "/backupInstances/x%5C%2E.%5c"),
        DISK.backup_path.replace("/backupInstances/", "/backupInstances/x\\..\\"),
        f"{VM.backup_path}/",
        VM.backup_path.replace("/backup", "/restore"),
        VM.backup_path.removesuffix("/backup"),
        VM.backup_path.replace("/Azure/", "/Other/"),
        f"{DISK.backup_path.removesuffix('backup')}restore",
        f"https://evil.example{DISK.backup_path}",
        f"//evil.example{DISK.backup_path}",
    ],
)
def test_other_paths(path: str) -> None:
    """No other path is allowed, and no dot segment, which an HTTP library or a server would resolve."""
    assert not is_allowed("GET", path)
    assert not is_allowed("POST", path)
