"""The simulator's secondary regions answer as Azure does in its recorded responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
import requests

from demo.simulator import Bucket, Operation
from tests.contract.simulator_client import TOKEN
from tests.support import azure

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault

LOCATION: Final = f"/subscriptions/{azure.SUBSCRIPTION_ID}/providers/Microsoft.RecoveryServices/locations/westus"


def send(sim: AzureSimulator, method: str, path: str, version: str = "2021-11-15", **body: Any) -> requests.Response:
    return requests.request(
        method,
        f"{sim.url}{LOCATION}/{path}",
        params={"api-version": version},
        headers=TOKEN,
        json=body or None,
        timeout=30,
    )


@pytest.mark.parametrize("name", azure.payload_names("crr-job-"))
def test_sends_payloads_unchanged(sim: AzureSimulator, vault: Vault, name: str) -> None:
    """A job is read with a POST that names its vault in any letter case. The vault itself does not know it."""
    payload = azure.payload(name)
    path = vault.secondary("westus").set_job(payload["name"], payload)
    body = {"resourceId": vault.id.upper(), "jobName": payload["name"]}
    assert send(sim, "POST", "backupCrrJob", **body).json() == payload
    assert send(sim, "POST", "backupCrrJob", **{**body, "resourceId": vault.id + "x"}).status_code == 404
    assert send(sim, "POST", "backupCrrJob", **{**body, "jobName": "none"}).status_code == 404
    assert requests.get(f"{sim.url}{path}?api-version=2025-02-01", headers=TOKEN, timeout=30).status_code == 404


@pytest.mark.parametrize("name", azure.payload_names("dp-crr-job-"))
def test_sends_payloads_of_backup_vaults(sim: AzureSimulator, name: str) -> None:
    """A job of a Backup vault has the vault's ID. The path has the vault's group, and the body the vault's region."""
    payload = azure.payload(name)
    backup_vault = sim.add_backup_vault(azure.SUBSCRIPTION_ID, azure.RESOURCE_GROUP, "bv-harbour")
    backup_vault.secondary("westus").set_job(payload["name"], payload)
    group = f"{azure.SUBSCRIPTION_ID}/resourceGroups/{azure.RESOURCE_GROUP}"
    url = f"{sim.url}{LOCATION.replace('RecoveryServices', 'DataProtection')}"
    url = f"{url.replace(azure.SUBSCRIPTION_ID, group)}/fetchCrossRegionRestoreJob?api-version=2025-07-01"
    vault_id = payload["id"].partition("/backupJobs/")[0]
    body = {"sourceBackupVaultId": vault_id, "jobId": payload["name"], "sourceRegion": "eastus"}
    assert requests.post(url, headers=TOKEN, json=body, timeout=30).json() == payload
    assert requests.post(url, headers=TOKEN, json={**body, "jobId": "x"}, timeout=30).status_code == 404
    assert requests.post(url, headers=TOKEN, json={**body, "sourceRegion": ""}, timeout=30).status_code == 400


def test_sends_operations_unchanged(sim: AzureSimulator, vault: Vault) -> None:
    """An operation is read with a GET, and its ID is the path."""
    payload = azure.payload("crr-opstatus-succeeded-job")
    vault.secondary("westus").set_operation(payload["name"], payload)
    assert send(sim, "GET", f"backupCrrOperationsStatus/{payload['name']}").json() == payload
    assert send(sim, "GET", "backupCrrOperationsStatus/none").status_code == 404


def test_refuses(sim: AzureSimulator, vault: Vault) -> None:
    """The paths have API versions, methods and an action of their own."""
    body = {"resourceId": vault.id, "jobName": "none"}
    assert send(sim, "POST", "backupCrrJob", version="2025-02-01", **body).status_code == 400
    assert send(sim, "GET", "backupCrrJob").status_code == 405
    sim.access.grant("demo-principal", vault.id)
    refused = send(sim, "POST", "backupCrrJob", **body)
    assert refused.status_code == 403
    assert "'Microsoft.RecoveryServices/locations/backupCrrJob/action'" in refused.json()["error"]["message"]


def test_posts_count_as_writes(sim: AzureSimulator, vault: Vault) -> None:
    """A POST counts as a write, a GET as a read."""
    sim.quotas.enable(writes=Bucket(1, 0.001))
    vault.secondary("westus").add_operation(Operation.succeeding("op"))
    body = {"resourceId": vault.id, "jobName": "none"}
    counted = send(sim, "POST", "backupCrrJob", **body)
    assert counted.headers["x-ms-ratelimit-remaining-subscription-writes"] == "0"
    refused = send(sim, "POST", "backupCrrJob", **body)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1000")
    assert "Number of 'write' requests" in refused.json()["error"]["message"]
    assert send(sim, "GET", "backupCrrOperationsStatus/op").status_code == 200
