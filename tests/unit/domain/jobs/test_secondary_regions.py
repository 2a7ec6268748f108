"""Vaults, jobs and operations of cross-region restores, which belong to a secondary region."""

from __future__ import annotations

import pytest

from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId, VaultId, VaultKind, is_region, vault_id
from tests.support.builders import JOB_NAME, RESOURCE_GROUP, SUBSCRIPTION, VAULT

BASE64 = "ODk5NDc5ODY2MTgyNDU2ODI5MjtpZA=="
LOCATION = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.RecoveryServices/locations/westus"


def vault(region: str | None = "westus") -> VaultId:
    return vault_id(SUBSCRIPTION, RESOURCE_GROUP, VAULT, VaultKind.RECOVERY_SERVICES, secondary_region=region)


@pytest.mark.parametrize("text", ["westus", "westus2", "eastus2euap", "usgovvirginia", "uk"])
def test_region(text: str) -> None:
    """Names of regions have lowercase letters and digits."""
    assert is_region(text)


@pytest.mark.parametrize(
    "text", ["", "w", "West US", "westUS", "west-us", "2west", "w" * 51, "westus\n", "../x", "we\u017ftus"]
)
def test_no_region(text: str) -> None:
    """Display names, and characters that could change a URL, are refused."""
    assert not is_region(text)


def test_a_region_is_a_part_of_the_identity() -> None:
    """Jobs of the same name in the vault's region and in secondary regions never share a result."""
    assert vault() == vault()
    assert len({vault(), vault("eastus"), vault(None)}) == 3
    assert len({JobId(vault=vault(region), name=JOB_NAME) for region in ("westus", "eastus", None)}) == 3
    assert len({OperationId(vault=vault(region), name=BASE64) for region in ("westus", "eastus", None)}) == 3


def test_paths() -> None:
    """The vault keeps its own paths. Jobs and operations also have paths in the region."""
    job, operation = JobId(vault=vault(), name=JOB_NAME), OperationId(vault=vault(), name=BASE64)

    assert (str(vault()), vault().secondary_location) == (str(vault(None)), LOCATION)
    assert job.url_path == JobId(vault=vault(None), name=JOB_NAME).url_path
    assert job.secondary_url_path == f"{LOCATION}/backupCrrJob"
    assert job.secondary_body == {"resourceId": str(vault(None)), "jobName": JOB_NAME}
    assert operation.url_path == f"{LOCATION}/backupCrrOperationsStatus/{BASE64.replace('=', '%3D')}"


def test_backup_vault() -> None:
    """The requests about a Backup vault are below its resource group, and name its own region."""
    backup_vault = vault_id(
        SUBSCRIPTION, RESOURCE_GROUP, VAULT, VaultKind.BACKUP_VAULT, secondary_region="westus", primary_region="eastus"
    )
    job, operation = JobId(vault=backup_vault, name=JOB_NAME), OperationId(vault=backup_vault, name="b3A=")
    location = LOCATION.replace("RecoveryServices", "DataProtection")
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"

    assert job.secondary_url_path == location.replace(f"/subscriptions/{SUBSCRIPTION}", group) + (
        "/fetchCrossRegionRestoreJob"
    )
    assert job.secondary_body == {"sourceRegion": "eastus", "sourceBackupVaultId": str(backup_vault), "jobId": JOB_NAME}
    assert operation.url_path == f"{location}/operationStatus/b3A%3D"
