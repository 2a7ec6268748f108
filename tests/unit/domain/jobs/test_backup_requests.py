"""Requests that start a backup: their bodies, and the operation in the response."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from backupjobwatch.domain.jobs.backup_requests import (
    BackupRequest,
    database_backup,
    instance_backup,
    is_database,
    is_supported,
    item_backup,
    operation_in,
)
from backupjobwatch.domain.jobs.protected_items import parse_backup_instances, parse_protected_items
from backupjobwatch.domain.jobs.resource_ids import OperationId
from tests.support.azure import SUBSCRIPTION_ID, payload
from tests.unit.domain.jobs.test_protected_items import BACKUP_VAULT, RSV

VM, _, _, SHARE, SQL, _, HANA = parse_protected_items(payload("items-all-workloads"), RSV)
DISK = parse_backup_instances(payload("dp-instances"), BACKUP_VAULT)[0]
OPERATION = "09e70001-5e1f-4000-8000-000000000001"
IN_BASE64 = "MDllNzAwMDItNWUxZi00MDAwLTgwMDAtMDAwMDAwMDAwMDAxOzAwMDA="
UNTIL = datetime(2026, 4, 3, 1, 0, 12, 447109, tzinfo=UTC)
LOCATION = f"/subscriptions/{SUBSCRIPTION_ID}/providers/Microsoft.DataProtection/locations/westeurope"


def test_virtual_machine() -> None:
    """Without a time, Azure decides how long to keep the backup of a virtual machine."""
    assert item_backup(VM) == BackupRequest(item=VM, body={"properties": {"objectType": "IaasVMBackupRequest"}})
    assert item_backup(VM, retain_until=UNTIL).body == {
        "properties": {
            "objectType": "IaasVMBackupRequest",
            "recoveryPointExpiryTimeInUTC": "2026-04-03T01:00:12Z",
        }
    }


def test_file_share() -> None:
    """File shares have a type of their own."""
    assert item_backup(SHARE).body == {"properties": {"objectType": "AzureFileShareBackupRequest"}}


@pytest.mark.parametrize("database", [SQL, HANA])
def test_databases(database: Any) -> None:
    """Databases name the type of backup, and never request compression."""
    assert database_backup(database).body == {
        "properties": {
            "objectType": "AzureWorkloadBackupRequest",
            "backupType": "Full",
            "enableCompression": False,
        }
    }
    request = database_backup(database, backup_type="CopyOnlyFull", retain_until=UNTIL)
    assert request.body["properties"]["backupType"] == "CopyOnlyFull"
    assert request.body["properties"]["recoveryPointExpiryTimeInUTC"] == "2026-04-03T01:00:12Z"


def test_backup_instance() -> None:
    """Backup instances name a rule of their policy, and the tag of a retention rule if the spec has one."""
    assert instance_backup(DISK, rule="BackupHourly").body == {
        "backupRuleOptions": {"ruleName": "BackupHourly", "triggerOption": {}}
    }
    assert instance_backup(DISK, rule="BackupHourly", retention_tag="Weekly").body == {
        "backupRuleOptions": {"ruleName": "BackupHourly", "triggerOption": {"retentionTagOverride": "Weekly"}}
    }


@pytest.mark.parametrize(
    ("workload", "supported", "database"),
    [
        ("VM", True, False),
        ("azurefileshare", True, False),
        ("SQLDataBase", True, True),
        ("SAPHanaDatabase", True, True),
        ("SAPHanaDBInstance", False, False),
        ("FileFolder", False, False),
        ("unknown", False, False),
    ],
)
def test_workloads(workload: str, supported: bool, database: bool) -> None:  # noqa: FBT001
    """Only workloads with a request of their own are supported, in any letter case."""
    assert is_supported(replace(VM, workload=workload)) is supported
    assert is_database(workload) is database


def test_any_data_source() -> None:
    """A Backup vault has one kind of request for all data sources."""
    assert is_supported(replace(DISK, workload="Microsoft.New/things"))


@pytest.mark.parametrize("header", ["Azure-AsyncOperation", "Location"])
def test_operation_on_record(header: str) -> None:
    """Both headers of a response name the operation. The signature of their URLs is dropped."""
    url = payload("http-202-trigger-backup")["headers"][header]

    assert operation_in(url, RSV) == OperationId(vault=RSV, name=OPERATION)


@pytest.mark.parametrize(
    "path",
    [
        f"{BACKUP_VAULT}/operationStatus/{IN_BASE64}",
        f"{BACKUP_VAULT}/operationStatus/{IN_BASE64}".replace("resourceGroups", "resourcegroups"),
        f"{BACKUP_VAULT}/operationStatus/{IN_BASE64}".replace("=", "%3D"),
        f"{LOCATION}/operationStatus/{IN_BASE64}",
        f"{LOCATION}/operationResults/{IN_BASE64}",
    ],
)
def test_operation_of_a_backup_vault(path: str) -> None:
    """Backup vaults name the operation in the vault or in its region, in base64."""
    found = operation_in(f"https://management.azure.com{path}?api-version=2025-07-01", BACKUP_VAULT)

    assert found == OperationId(vault=BACKUP_VAULT, name=IN_BASE64)


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "https://[management.azure.com/",
        "https://management.azure.com/",
        f"https://management.azure.com{RSV}",
        f"https://management.azure.com{RSV}/operationsStatus/",
        f"https://management.azure.com{RSV}/operationsStatus/a%2F..%2Fb",
        f"https://management.azure.com{RSV}/backupJobs/{OPERATION}",
        f"https://management.azure.com{RSV}x/operationsStatus/{OPERATION}",
        f"https://management.azure.com{LOCATION}/operationResults/{OPERATION}",
        f"https://management.azure.com{BACKUP_VAULT}/operationsStatus/{OPERATION}",
    ],
)
def test_no_operation(url: str | None) -> None:
    """A URL of another vault or of another kind names no operation."""
    assert operation_in(url, RSV) is None


def test_operation_in_another_subscription() -> None:
    """A regional URL must be of the vault's subscription."""
    other = LOCATION.replace(SUBSCRIPTION_ID, "00000000-0000-0000-0000-000000000000")

    assert operation_in(f"https://management.azure.com{other}/operationStatus/{IN_BASE64}", BACKUP_VAULT) is None
