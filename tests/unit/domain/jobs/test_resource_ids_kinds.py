"""Resource IDs of both vault kinds, and IDs of operations."""

from __future__ import annotations

import pytest

from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId, VaultId, VaultKind, is_operation_id
from tests.support.builders import JOB_ID, JOB_NAME, OPERATION, RESOURCE_GROUP, SUBSCRIPTION, VAULT, VAULT_ID

BACKUP_VAULT_ID = VAULT_ID.replace("RecoveryServices/vaults", "DataProtection/backupVaults")
BACKUP_VAULT_JOB = f"{BACKUP_VAULT_ID}/backupJobs/{JOB_NAME}"
BASE64 = "MDllNzAwMDItNWUxZi00MDAwLTgwMDAtMDAwMDAwMDAwMDAxOzAwMDA="


def vault(kind: VaultKind, group: str = RESOURCE_GROUP) -> VaultId:
    return VaultId(subscription_id=SUBSCRIPTION, resource_group=group, name=VAULT, kind=kind)


@pytest.mark.parametrize(
    ("written", "kind"), [(JOB_ID, VaultKind.RECOVERY_SERVICES), (BACKUP_VAULT_JOB, VaultKind.BACKUP_VAULT)]
)
def test_kind(written: str, kind: VaultKind) -> None:
    """A job's ID gives the kind of its vault in any letter case, and keeps its text."""
    for text in (written, written.upper(), written.lower()):
        parsed = JobId.parse(text)
        assert parsed.vault.kind is kind
        assert parsed == JobId(vault=vault(kind), name=JOB_NAME)
        assert str(parsed) == text


def test_same_names_in_both_kinds() -> None:
    """Vaults of the same name but different kinds differ, and so do their jobs."""
    assert vault(VaultKind.BACKUP_VAULT) != vault(VaultKind.RECOVERY_SERVICES)
    assert JobId.parse(BACKUP_VAULT_JOB) != JobId.parse(JOB_ID)


@pytest.mark.parametrize(
    "text",
    [
        JOB_ID.replace("/vaults/", "/backupVaults/"),
        JOB_ID.replace("RecoveryServices", "DataProtection"),
        BACKUP_VAULT_JOB.replace("backupVaults", "vaults"),
        BACKUP_VAULT_JOB.replace("backupJobs", "backupInstances"),
        BACKUP_VAULT_JOB.replace(JOB_NAME, BASE64),
    ],
)
def test_mixed_kinds(text: str) -> None:
    """An ID that mixes both kinds is rejected, and the message shows both forms."""
    with pytest.raises(ValueError, match=r"RecoveryServices/vaults.*DataProtection/backupVaults"):
        JobId.parse(text)


def test_paths() -> None:
    """A Backup vault, its list of jobs and its jobs have the paths that Azure documents."""
    job_id = JobId.parse(BACKUP_VAULT_JOB)

    assert job_id.vault.url_path == BACKUP_VAULT_ID
    assert job_id.vault.jobs_url_path == f"{BACKUP_VAULT_ID}/backupJobs"
    assert job_id.url_path == BACKUP_VAULT_JOB


def test_names_of_kinds() -> None:
    """Each kind has the name of spec.vault.kind and the name in resource IDs."""
    assert {kind.value: kind.provider for kind in VaultKind} == {
        "RecoveryServices": "Microsoft.RecoveryServices/vaults",
        "BackupVault": "Microsoft.DataProtection/backupVaults",
    }


@pytest.mark.parametrize(
    ("kind", "name", "path"),
    [
        (VaultKind.RECOVERY_SERVICES, OPERATION, f"{VAULT_ID}/backupOperations/{OPERATION}"),
        (VaultKind.BACKUP_VAULT, OPERATION, f"{BACKUP_VAULT_ID}/operationStatus/{OPERATION}"),
        (VaultKind.BACKUP_VAULT, BASE64, f"{BACKUP_VAULT_ID}/operationStatus/{BASE64.replace('=', '%3D')}"),
        (VaultKind.BACKUP_VAULT, "a+b_c==", f"{BACKUP_VAULT_ID}/operationStatus/a%2Bb_c%3D%3D"),
    ],
)
def test_operations(kind: VaultKind, name: str, path: str) -> None:
    """An operation's path depends on the kind of vault and encodes base64. Its text is unchanged."""
    operation = OperationId(vault=vault(kind), name=name)

    assert operation.url_path == path
    assert str(operation).rsplit("/", 1)[-1] == name


def test_operation_in_a_group_of_another_script() -> None:
    """Each segment of an operation's path is encoded, including the resource group."""
    operation = OperationId(vault=vault(VaultKind.BACKUP_VAULT, "größe(1)"), name=BASE64)

    assert "/resourceGroups/gr%C3%B6%C3%9Fe%281%29/" in operation.url_path
    assert operation.url_path.isascii()


def test_operations_apart() -> None:
    """Base64 is case-sensitive. The vault's ID is not."""
    one = OperationId(vault=vault(VaultKind.BACKUP_VAULT), name=BASE64)

    assert one == OperationId(vault=vault(VaultKind.BACKUP_VAULT, RESOURCE_GROUP.upper()), name=BASE64)
    assert one != OperationId(vault=vault(VaultKind.BACKUP_VAULT), name=BASE64.lower())
    assert one != OperationId(vault=vault(VaultKind.RECOVERY_SERVICES), name=BASE64)


@pytest.mark.parametrize("text", [OPERATION, BASE64, "a", "a" * 256, "A-b_c+d="])
def test_is_operation_id(text: str) -> None:
    """An operation ID is a GUID, or base64 of either alphabet."""
    assert is_operation_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a" * 257,
        "a/b",
        "a?b",
        "a b",
        "a%2fb",
        "..",
        "a\n",
        "é",
        f"https://management.azure.com{VAULT_ID}/backupOperations/{OPERATION}?api-version=2025-02-01&t=1",
        f"{OPERATION}?api-version=2025-02-01",
    ],
)
def test_no_operation_ids(text: str) -> None:
    """A URL, or text that could change the meaning of one, is not an operation ID."""
    assert not is_operation_id(text)


def test_lists() -> None:
    """Each kind of vault has its own list of what it protects."""
    assert vault(VaultKind.RECOVERY_SERVICES).items_url_path == f"{VAULT_ID}/backupProtectedItems"
    assert vault(VaultKind.BACKUP_VAULT).items_url_path == f"{BACKUP_VAULT_ID}/backupInstances"
