"""Start backups in the simulator, and follow them to their jobs."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote, urlsplit

import requests

from demo.simulator import (
    AzureSimulator,
    BackupVault,
    ProtectedItem,
    Vault,
    backup_instance,
    backup_policy,
    database,
    file_share,
    virtual_machine,
)
from tests.contract.vault_client import VAULT, send
from tests.support import azure

REQUEST_ID: Final = "0e900001-5e1f-4000-8000-000000000001"
INSTANCE: Final = "disk-harbour-01-disk-harbour-01-d15c0001-5e1f-4000-8000-000000000001"
BODIES: Final[dict[str, dict[str, Any]]] = {
    "VM": {"objectType": "IaasVMBackupRequest", "recoveryPointExpiryTimeInUTC": "2026-04-03T01:00:12Z"},
    "AzureFileShare": {"objectType": "AzureFileShareBackupRequest"},
    "SQLDataBase": {"objectType": "AzureWorkloadBackupRequest", "backupType": "Full", "enableCompression": False},
    "SAPHanaDatabase": {"objectType": "AzureWorkloadBackupRequest", "backupType": "Full", "enableCompression": False},
}
ITEMS: Final = (
    virtual_machine("vm-harbour-01"),
    file_share("documents"),
    database("ledger"),
    database("systemdb", server="hana-host-1", instance="HXE", hana=True),
)


def add_vault(sim: AzureSimulator) -> Vault:
    """Add a Recovery Services vault that protects one item of each workload."""
    vault = sim.add_vault(*VAULT)
    for item in ITEMS:
        vault.protection.add(item)
    return vault


def add_backup_vault(sim: AzureSimulator) -> BackupVault:
    """Add a Backup vault that protects a disk."""
    vault = sim.add_backup_vault(azure.SUBSCRIPTION_ID, azure.RESOURCE_GROUP, "bv-harbour")
    vault.protection.add_policy("daily-disks", backup_policy("BackupDaily", tags=("Default", "Weekly")))
    vault.protection.add(backup_instance(INSTANCE, policy_id=f"{vault.id}/backupPolicies/daily-disks"))
    return vault


def post(
    sim: AzureSimulator, vault: Vault | BackupVault, item: ProtectedItem, body: Any, *, request_id: str = REQUEST_ID
) -> requests.Response:
    version = "2025-07-01" if isinstance(vault, BackupVault) else "2025-02-01"
    headers = {"Authorization": "Bearer demo-token", "x-ms-client-request-id": request_id}
    url = f"{sim.url}{quote(f'{vault.id}/{item.path}/backup')}"
    return requests.post(url, params={"api-version": version}, json=body, headers=headers, timeout=60)


def back_up(
    sim: AzureSimulator, vault: Vault, item: ProtectedItem, *, request_id: str = REQUEST_ID
) -> requests.Response:
    return post(sim, vault, item, {"properties": BODIES[item.workload]}, request_id=request_id)


def rules(name: str = "BackupDaily", **trigger: str) -> dict[str, Any]:
    return {"backupRuleOptions": {"ruleName": name, "triggerOption": trigger}}


def job_of(sim: AzureSimulator, vault: Vault | BackupVault, answer: requests.Response) -> dict[str, Any]:
    """Follow the operation of a response to its job."""
    assert answer.status_code == 202, answer.text
    sim.clock.advance(2)
    operation = send(sim, urlsplit(answer.headers["Azure-AsyncOperation"]).path).json()
    job = send(sim, vault.job_id(operation["properties"]["jobId"].rsplit("/", 1)[-1]))
    assert job.status_code == 200, job.text
    found: dict[str, Any] = job.json()
    return found
