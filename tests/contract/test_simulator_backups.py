"""The simulator starts backups on demand like Azure: 202, an operation, and a job with the client request ID."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import requests

from tests.contract.backup_client import (
    ITEMS,
    REQUEST_ID,
    add_backup_vault,
    add_vault,
    back_up,
    job_of,
    post,
    rules,
)
from tests.contract.vault_client import follow, send

if TYPE_CHECKING:
    from demo.simulator import (
        AzureSimulator,
        BackupVault,
        ProtectedItem,
        Vault,
    )


@pytest.fixture
def vault(sim: AzureSimulator) -> Vault:
    return add_vault(sim)


@pytest.fixture
def backup_vault(sim: AzureSimulator) -> BackupVault:
    return add_backup_vault(sim)


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.workload)
def test_backup(sim: AzureSimulator, vault: Vault, item: ProtectedItem) -> None:
    """The 202 has no body and names the operation, which names a job with the ID of the request."""
    answer = back_up(sim, vault, item)

    assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (202, b"", "0")
    assert answer.headers["Retry-After"] == "60"
    assert answer.headers["x-ms-client-request-id"] == REQUEST_ID
    operation = vault.protection.started()[0].operation
    base = f"{sim.url}{vault.id}/{item.path}"
    assert answer.headers["Azure-AsyncOperation"] == f"{base}/operationsStatus/{operation}?api-version=2025-02-01"
    assert answer.headers["Location"] == f"{base}/operationResults/{operation}?api-version=2025-02-01"
    properties = job_of(sim, vault, answer)["properties"]
    assert (properties["activityId"], properties["status"]) == (REQUEST_ID, "InProgress")
    assert (properties["operation"], properties["entityFriendlyName"]) == ("Backup", item.friendly_name)
    sim.clock.advance(600)
    properties = send(sim, vault.job_id(vault.protection.started()[0].job)).json()["properties"]
    assert (properties["activityId"], properties["status"]) == (REQUEST_ID, "Completed")
    listed = [job for page in follow(sim, f"{vault.id}/backupJobs") for job in page]
    assert [job["properties"]["activityId"] for job in listed] == [REQUEST_ID]


def test_names_of_a_database(sim: AzureSimulator, vault: Vault) -> None:
    """The server and the type of a database backup appear at its end."""
    name = job_of(sim, vault, back_up(sim, vault, ITEMS[2]))["name"]
    sim.clock.advance(600)
    properties = send(sim, vault.job_id(name)).json()["properties"]

    assert (properties["entityFriendlyName"], properties["operation"]) == ("ledger [sql-host-1]", "Backup (Full)")
    assert properties["isUserTriggered"] is True


def test_backup_of_an_instance(sim: AzureSimulator, backup_vault: BackupVault) -> None:
    """A Backup vault names the operation in the vault, its result in the region, and the retention tag in the job."""
    item = backup_vault.protection.items()[0]
    answer = post(sim, backup_vault, item, rules(retentionTagOverride="Weekly"))
    operation = backup_vault.protection.started()[0].operation

    assert (answer.status_code, answer.content, answer.headers["Retry-After"]) == (202, b"", "30")
    assert urlsplit(answer.headers["Azure-AsyncOperation"]).path == f"{backup_vault.id}/operationStatus/{operation}"
    assert send(sim, urlsplit(answer.headers["Location"]).path).status_code == 202
    job = job_of(sim, backup_vault, answer)
    result = send(sim, urlsplit(answer.headers["Location"]).path).json()
    assert result == {"objectType": "OperationJobExtendedInfo", "jobId": backup_vault.job_id(job["name"])}
    assert job["properties"]["activityID"] == REQUEST_ID
    assert job["properties"]["backupInstanceId"] == f"{backup_vault.id}/{item.path}"
    sim.clock.advance(600)
    properties = send(sim, backup_vault.job_id(job["name"])).json()["properties"]
    assert properties["status"] == "Completed"
    assert properties["extendedInfo"]["additionalDetails"] == {"RetentionTag": "Weekly"}


def test_the_same_id_twice(sim: AzureSimulator, vault: Vault) -> None:
    """The ID of a request does not prevent a second backup, whose job fails while the first one runs."""
    first, second = (job_of(sim, vault, back_up(sim, vault, ITEMS[0])) for _ in range(2))

    assert first["name"] != second["name"]
    assert {job["properties"]["activityId"] for job in (first, second)} == {REQUEST_ID}
    assert (first["properties"]["status"], second["properties"]["status"]) == ("InProgress", "Failed")
    (error,) = second["properties"]["errorDetails"]
    assert (error["errorCode"], error["errorTitle"]) == (400249, "UserErrorBackupOperationInProgress")
    assert second["properties"]["duration"] == "PT1.3S"
    assert sim.backup_requests() == {f"{vault.id}/{ITEMS[0].path}": 2}
    sim.clock.advance(600)
    assert job_of(sim, vault, back_up(sim, vault, ITEMS[0]))["properties"]["status"] == "InProgress"


def test_conflict_of_databases(sim: AzureSimulator, vault: Vault) -> None:
    """A conflicting SQL backup fails after three minutes. Databases of other names do not conflict."""
    back_up(sim, vault, ITEMS[2])
    second = job_of(sim, vault, back_up(sim, vault, ITEMS[2]))
    other = job_of(sim, vault, back_up(sim, vault, ITEMS[3]))
    sim.clock.advance(180)

    properties = send(sim, vault.job_id(second["name"])).json()["properties"]
    assert (properties["status"], properties["errorDetails"][0]["errorCode"]) == ("Failed", 510008)
    assert send(sim, vault.job_id(other["name"])).json()["properties"]["status"] == "InProgress"


def test_conflict_in_a_backup_vault(sim: AzureSimulator, backup_vault: BackupVault) -> None:
    """A conflicting backup of an instance is a failed job as well."""
    item = backup_vault.protection.items()[0]
    post(sim, backup_vault, item, rules())
    properties = job_of(sim, backup_vault, post(sim, backup_vault, item, rules()))["properties"]

    assert (properties["status"], properties["errorDetails"][0]["code"]) == (
        "Failed", "UserErrorMaxConcurrentOperationLimitReached",
    )  # fmt: skip


def test_lists(sim: AzureSimulator, vault: Vault, backup_vault: BackupVault) -> None:
    """Lists of items have pages and, in a Recovery Services vault, filters."""
    path = f"{vault.id}/backupProtectedItems"
    sim.lists.page_size = 3
    pages = follow(sim, path)

    assert [[item["properties"]["friendlyName"] for item in page] for page in pages] == [
        ["vm-harbour-01", "documents", "ledger"], ["systemdb"],
    ]  # fmt: skip
    first = pages[0][0]
    assert (first["id"], first["name"]) == (f"{vault.id}/{ITEMS[0].path}", ITEMS[0].name)
    assert first["type"] == "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems"
    filtered = follow(sim, path, filter="backupManagementType eq 'AzureIaasVM' and itemType eq 'VM'")
    assert [item["name"] for item in filtered[0]] == [ITEMS[0].name]
    assert send(sim, path, filter="nonsense").status_code == 400
    (instance,) = send(sim, f"{backup_vault.id}/backupInstances").json()["value"]
    assert instance["type"] == "Microsoft.DataProtection/backupVaults/backupInstances"


def test_policies(sim: AzureSimulator, backup_vault: BackupVault) -> None:
    """A policy has its rules. An unknown one is 404."""
    policy = send(sim, f"{backup_vault.id}/backupPolicies/daily-disks").json()

    assert [(rule["name"], rule["objectType"]) for rule in policy["properties"]["policyRules"]] == [
        ("BackupDaily", "AzureBackupRule"), ("Default", "AzureRetentionRule"), ("Weekly", "AzureRetentionRule"),
    ]  # fmt: skip
    assert policy["type"] == "Microsoft.DataProtection/backupVaults/backupPolicies"
    assert send(sim, f"{backup_vault.id}/backupPolicies/none").status_code == 404


def test_control(sim: AzureSimulator, vault: Vault) -> None:
    """The control API reports the started backups and the number of requests."""
    back_up(sim, vault, ITEMS[0])
    reported = requests.get(f"{sim.url}/_simulator/backups", timeout=60).json()

    assert reported["requests"] == {f"{vault.id}/{ITEMS[0].path}": 1}
    (started,) = reported["started"]
    assert (started["vault"], started["item"]) == (vault.id, ITEMS[0].path)
    assert started["client_request_id"] == REQUEST_ID


def test_unknown_results(sim: AzureSimulator, backup_vault: BackupVault) -> None:
    """The result of an unknown operation is 404."""
    location = f"/subscriptions/{backup_vault.subscription_id}/providers/Microsoft.DataProtection/locations/westeurope"
    assert send(sim, f"{location}/operationResults/none").status_code == 404
