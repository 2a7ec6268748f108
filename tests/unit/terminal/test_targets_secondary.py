"""Cross-region restores: IDs, URLs and options, parsed into a spec."""

from __future__ import annotations

import json

import pytest

from backupjobwatch.terminal.targets import InvalidTarget, NeedsVault, Vault, read_item, read_target
from tests.support.azure import SUBSCRIPTION_ID, payload, payload_names
from tests.support.builders import JOB_ID, JOB_NAME, RESOURCE_GROUP, SUBSCRIPTION, VAULT
from tests.support.canary import WORD

ARM = "https://management.azure.com"
BASE64 = "ZmE0MDQxZmYtMzg4OC00YjQ1LWI1ZTgtMDgwMzgyMjk2N2Fj"
SIGNED = f"?api-version=2021-11-15&t=638000000000000000&c=MII{WORD}&s={WORD}&h={WORD}"
PATH = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.RecoveryServices/locations/eastus/backupJobs/{JOB_NAME}"
OF_BACKUP_VAULT = f"{ARM}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.DataProtection/locations/eastus"
GIVEN: Vault = {"resourceGroup": RESOURCE_GROUP, "name": VAULT}
NAMED: Vault = {"subscriptionId": SUBSCRIPTION, **GIVEN, "kind": "RecoveryServices"}
REGION: Vault = {"secondaryRegion": "eastus"}
IN_REGION: Vault = {**NAMED, **REGION}
REGIONS: Vault = {**REGION, "primaryRegion": "westus"}


def test_job() -> None:
    """The ID of a job has the secondary region instead of the vault. An option names the region for other IDs."""
    spec = {"jobName": JOB_NAME, "vault": IN_REGION}
    assert read_target(PATH, endpoint=ARM, vault=GIVEN) == spec
    assert read_target(JOB_ID, endpoint=ARM, vault=REGION) == spec
    assert read_target(JOB_NAME, endpoint=ARM, vault=IN_REGION) == spec


@pytest.mark.parametrize("collection", ["backupCrrOperationsStatus", "backupCrrOperationResults"])
def test_operation(collection: str) -> None:
    """The URL of an operation has the region, and its ID alone needs the option."""
    spec = {"operationId": BASE64, "vault": IN_REGION}
    url = f"{ARM}{PATH.replace('backupJobs', collection).replace(JOB_NAME, BASE64)}{SIGNED}"
    assert read_target(url, endpoint=ARM, vault=GIVEN) == spec
    assert read_target(BASE64, endpoint=ARM, vault=IN_REGION, operation=True) == spec


def test_backup_vault() -> None:
    """A restore of a Backup vault needs the options of both regions, because its URL may be of either."""
    vault: Vault = {**NAMED, "kind": "BackupVault"}
    url = f"{OF_BACKUP_VAULT}/operationStatus/{BASE64}{SIGNED}"
    spec = {"operationId": BASE64, "vault": {**vault, **REGIONS}}
    assert read_target(url, endpoint=ARM, vault={**vault, **REGIONS}) == spec
    with pytest.raises(NeedsVault, match=r"Add --primary-region\.$"):
        read_target(url, endpoint=ARM, vault={**vault, **REGION})
    with pytest.raises(InvalidTarget, match=r"^--primary-region needs --secondary-region and --vault-kind BackupVault"):
        read_target(JOB_NAME, endpoint=ARM, vault={**NAMED, "primaryRegion": "westus"})


def test_incomplete() -> None:
    """A message names the options that are missing or wrong."""
    with pytest.raises(NeedsVault, match=r"does not identify its vault\. Add --resource-group and --vault-name\.$"):
        read_target(PATH, endpoint=ARM)
    with pytest.raises(InvalidTarget, match=r"--secondary-region eastus, got westus\. Remove --secondary-region"):
        read_target(PATH, endpoint=ARM, vault={**GIVEN, "secondaryRegion": "westus"})


@pytest.mark.parametrize("name", payload_names("crr-job-"))
def test_json(name: str) -> None:
    """The JSON of a job also names its vault, so it needs no options. Options take precedence."""
    job = payload(name)
    spec = read_target(json.dumps(job), endpoint=None)
    vault = {"subscriptionId": SUBSCRIPTION_ID, "resourceGroup": "rg-harbour-backup", "name": "rsv-harbour"}
    expected = {**vault, "kind": "RecoveryServices", "secondaryRegion": "westus"}
    assert spec == {"jobName": job["name"], "vault": expected}
    assert read_target(json.dumps([job]), endpoint=None, vault={"name": "v2"})["vault"] == {**expected, "name": "v2"}
    with pytest.raises(NeedsVault, match=r"Add --resource-group and --vault-name\.$"):
        read_target(json.dumps({"id": job["id"]}), endpoint=None)


def test_item() -> None:
    """An item's next job cannot be followed in a secondary region."""
    message = (
        r"^--item must not be set with --secondary-region\. Identify the cross-region restore with its ID or the URL"
    )
    with pytest.raises(InvalidTarget, match=message):
        read_item({"latest": {"item": "vm1"}}, IN_REGION)
