"""``spec.vault.secondaryRegion``: which specs are valid, and what it identifies."""

from __future__ import annotations

from typing import Any

import pytest

from backupjobwatch.domain.api.spec import target_digest
from backupjobwatch.domain.api.target import parse_source
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId
from backupjobwatch.errors import InvalidSpec
from tests.support.builders import JOB_NAME, OPERATION, VAULT_ID, VAULT_REF

BASE64 = "ODk5NDc5ODY2MTgyNDU2ODI5MjtpZA=="
IN_REGION = {**VAULT_REF, "secondaryRegion": "westus"}
LOCATION = f"{VAULT_ID.partition('/resourceGroups')[0]}/providers/Microsoft.RecoveryServices/locations/westus"
NOT_WITHOUT = "spec.vault.primaryRegion must not be set without spec.vault.secondaryRegion and kind BackupVault"
ALSO_SET = "For a cross-region restore, also set spec.vault.secondaryRegion"


@pytest.mark.parametrize("name", [BASE64, OPERATION])
def test_operation(name: str) -> None:
    """An operation in a secondary region has an ID in base64, or a GUID."""
    source = parse_source({"operationId": name, "vault": IN_REGION})
    assert isinstance(source, OperationId)
    assert (source.name, source.vault.secondary_region) == (name, "westus")


def test_job() -> None:
    """A job in a secondary region is identified by its GUID."""
    source = parse_source({"jobName": JOB_NAME, "vault": IN_REGION})
    assert isinstance(source, JobId)
    assert source.vault.secondary_region == "westus"


def test_backup_vault() -> None:
    """A restore of a Backup vault needs both regions."""
    vault = {**IN_REGION, "kind": "BackupVault", "primaryRegion": "eastus"}
    source = parse_source({"jobName": JOB_NAME, "vault": vault})
    assert (source.vault.primary_region, source.vault.secondary_region) == ("eastus", "westus")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"jobName": JOB_NAME, "vault": {**VAULT_REF, "secondaryRegion": "West US"}},
            'spec.vault.secondaryRegion must be the name of a region, such as westus, got "West US"',
        ),
        (
            {"jobName": JOB_NAME, "vault": {**VAULT_REF, "secondaryRegion": 7}},
            "spec.vault.secondaryRegion must be the name of a region",
        ),
        (
            {"jobName": JOB_NAME, "vault": {**IN_REGION, "kind": "BackupVault"}},
            "spec.vault.primaryRegion must be set with spec.vault.secondaryRegion and kind BackupVault",
        ),
        ({"jobName": JOB_NAME, "vault": {**IN_REGION, "primaryRegion": "eastus"}}, NOT_WITHOUT),
        ({"jobName": JOB_NAME, "vault": {**VAULT_REF, "kind": "BackupVault", "primaryRegion": "eastus"}}, NOT_WITHOUT),
        (
            {"jobName": JOB_NAME, "vault": {**IN_REGION, "primaryRegion": "East US"}},
            'spec.vault.primaryRegion must be the name of a region, such as westus, got "East US"',
        ),
        (
            {"latest": {"item": "vm1"}, "vault": IN_REGION},
            (
                "spec.latest must not be set with spec.vault.secondaryRegion. Identify the cross-region restore with "
                "spec.jobName or spec.operationId"
            ),
        ),
        ({"operationId": BASE64, "vault": VAULT_REF}, ALSO_SET),
        ({"operationId": f"{LOCATION}/backupCrrOperationsStatus/{BASE64}?s=x", "vault": VAULT_REF}, ALSO_SET),
        (
            {"jobResourceId": f"{LOCATION}/backupJobs/{JOB_NAME}"},
            "For a cross-region restore, set spec.jobName, and spec.vault with secondaryRegion",
        ),
    ],
)
def test_invalid(spec: dict[str, Any], message: str) -> None:
    """A message says how to identify a cross-region restore."""
    with pytest.raises(InvalidSpec) as refused:
        parse_source(spec)
    assert message in str(refused.value)


def test_digest() -> None:
    """The region is a part of the target."""
    digests = {target_digest({"jobName": JOB_NAME, "vault": vault}) for vault in (VAULT_REF, IN_REGION)}
    assert len(digests) == 2
