"""Protected items and backup instances: what they say, and the URL that starts their backup."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from backupjobwatch.domain.jobs.protected_items import (
    ProtectedItem,
    parse_backup_instances,
    parse_protected_items,
)
from backupjobwatch.domain.jobs.resource_ids import VaultId, VaultKind
from backupjobwatch.errors import UnexpectedResponse
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT, payload

RSV = VaultId(subscription_id=SUBSCRIPTION_ID, resource_group=RESOURCE_GROUP, name=VAULT)
BACKUP_VAULT = VaultId(
    subscription_id=SUBSCRIPTION_ID, resource_group=RESOURCE_GROUP, name="bv-harbour", kind=VaultKind.BACKUP_VAULT
)
CONTAINER = "iaasvmcontainerv2;rg-harbour-apps;vm-harbour-01"
VM_ID = f"{RSV}/backupFabrics/Azure/protectionContainers/IaasVMContainer;{CONTAINER}/protectedItems/VM;{CONTAINER}"
INSTANCE_ID = f"{BACKUP_VAULT}/backupInstances/disk-harbour-01-d15c0001-5e1f-4000-8000-000000000001"


def items() -> tuple[ProtectedItem, ...]:
    return parse_protected_items(payload("items-all-workloads"), RSV)


def instances() -> tuple[ProtectedItem, ...]:
    return parse_backup_instances(payload("dp-instances"), BACKUP_VAULT)


def item(resource_id: object = VM_ID, **properties: Any) -> ProtectedItem | None:
    found = parse_protected_items({"value": [{"id": resource_id, "properties": properties}]}, RSV)
    return found[0] if found else None


def instance(resource_id: object = INSTANCE_ID, **properties: Any) -> ProtectedItem | None:
    found = parse_backup_instances({"value": [{"id": resource_id, "properties": properties}]}, BACKUP_VAULT)
    return found[0] if found else None


def test_virtual_machine() -> None:
    """A virtual machine has its friendly name and Azure's container name, which lacks the prefix of the ID."""
    first = items()[0]

    assert first == ProtectedItem(
        id=VM_ID.replace("/subscriptions/", "/Subscriptions/"),
        vault=RSV,
        name="vm-harbour-01",
        container=CONTAINER,
        server=None,
        instance=None,
        workload="VM",
        protection_state="Protected",
        is_soft_deleted=False,
        policy_id=f"{RSV}/backupPolicies/DefaultPolicy",
    )
    assert first.path_name == f"VM;{CONTAINER}"


def test_workloads_on_record() -> None:
    """Container, server and instance distinguish items of the same name."""
    assert [(each.name, each.workload, each.server, each.instance, each.protection_state) for each in items()] == [
        ("vm-harbour-01", "VM", None, None, "Protected"),
        ("vm-harbour-02", "VM", None, None, "IRPending"),
        ("vm-harbour-03", "VM", None, None, "ProtectionStopped"),
        ("documents", "AzureFileShare", None, None, "Protected"),
        ("master", "SQLDataBase", "sql-host-1", "MSSQLSERVER", "Protected"),
        ("master", "SQLDataBase", "sql-host-2", "MSSQLSERVER", "Protected"),
        ("systemdb", "SAPHanaDatabase", "hana-host-1", "HXE", "ProtectionStopped"),
    ]
    assert [each.name for each in items() if each.is_soft_deleted] == ["vm-harbour-03"]
    assert [each.name for each in items() if each.policy_id is None] == ["vm-harbour-03", "systemdb"]


def test_instances_on_record() -> None:
    """Backup instances have the type, the set and the policy of their data source, and no container."""
    assert [(each.name, each.workload, each.server, each.protection_state) for each in instances()] == [
        ("disk-harbour-01", "Microsoft.Compute/disks", "disk-harbour-01", "ProtectionConfigured"),
        ("aks-harbour\\apps", "Microsoft.ContainerService/managedClusters", "aks-harbour", "ProtectionConfigured"),
        ("pg-harbour/orders", "Microsoft.DBforPostgreSQL/servers/databases", "pg-harbour", "ConfiguringProtection"),
    ]
    assert {(each.container, each.instance, each.is_soft_deleted) for each in instances()} == {(None, None, False)}
    assert instances()[0].policy_id == f"{BACKUP_VAULT}/backupPolicies/daily-disks"
    assert instances()[0].path_name == "disk-harbour-01-disk-harbour-01-d15c0001-5e1f-4000-8000-000000000001"


def test_backup_path() -> None:
    """The path is in the vault of the watch, and only container and item are from Azure's ID, encoded once."""
    assert items()[0].backup_path == (
        f"{RSV}/backupFabrics/Azure/protectionContainers/"
        "IaasVMContainer%3Biaasvmcontainerv2%3Brg-harbour-apps%3Bvm-harbour-01/protectedItems/"
        "VM%3Biaasvmcontainerv2%3Brg-harbour-apps%3Bvm-harbour-01/backup"
    )
    assert items()[5].backup_path.endswith("/protectedItems/SQLDataBase%3Bmssqlserver%3Bmaster/backup")
    assert instances()[0].backup_path == f"{BACKUP_VAULT}/backupInstances/{instances()[0].path_name}/backup"


def test_same_id() -> None:
    """IDs compare without letter case, a slash at the end, and percent-encoding."""
    first = items()[0]

    assert all(map(first.has_id, (VM_ID, VM_ID.upper(), VM_ID.replace(";", "%3B"), f"{VM_ID}/")))
    assert not first.has_id(items()[1].id)
    assert instances()[0].has_id(instances()[0].id.upper())


@pytest.mark.parametrize(
    "resource_id",
    [
        None,
        7,
        "",
        str(RSV),
        VM_ID.replace(VAULT, "rsv-other"),
        VM_ID.replace("/protectedItems/", "/items/"),
        f"{VM_ID}/backup",
        VM_ID.replace(f"VM;{CONTAINER}", ".."),
        VM_ID.replace(f"IaasVMContainer;{CONTAINER}", "%2E%2E"),
        VM_ID.replace(f"VM;{CONTAINER}", "a%2Fb"),
        f"{VM_ID}\x1b[2J",
        VM_ID + "x" * 1024,
        INSTANCE_ID,
    ],
)
def test_other_ids(resource_id: object) -> None:
    """An entry is skipped unless its ID is that of an item of this vault: its names become part of a URL."""
    assert item(resource_id, friendlyName="vm-harbour-01") is None


@pytest.mark.parametrize(
    "resource_id",
    [
        VM_ID,
        INSTANCE_ID.replace("bv-harbour", "bv-other"),
        f"{BACKUP_VAULT}/backupInstances/..",
        f"{BACKUP_VAULT}/backupInstances/",
        f"{INSTANCE_ID}/recoveryPoints",
    ],
)
def test_other_instance_ids(resource_id: str) -> None:
    """The same applies to backup instances."""
    assert instance(resource_id, friendlyName="disk-harbour-01") is None


def test_missing_fields() -> None:
    """An entry without fields has the names in its ID and an unknown workload and state."""
    empty, other = item(), instance()

    assert empty is not None
    assert (empty.name, empty.workload, empty.protection_state) == ("vm-harbour-01", "unknown", "unknown")
    assert (empty.container, empty.server, empty.policy_id) == (None, None, None)
    assert other is not None
    assert (other.name, other.workload, other.protection_state) == (other.path_name, "unknown", "unknown")
    assert (other.server, other.policy_id) == (None, None)


def test_other_fields_of_an_instance() -> None:
    """Name and state of an instance come from other fields if the usual ones are missing."""
    found = instance(
        dataSourceInfo={"resourceName": "disk-harbour-01"}, protectionStatus={"status": "ProtectionConfigured"}
    )

    assert found is not None
    assert (found.name, found.protection_state) == ("disk-harbour-01", "ProtectionConfigured")


@pytest.mark.parametrize(("state", "is_soft_deleted"), [("SoftDeleted", True), ("softdeleting", True), ("New", False)])
def test_soft_deleted_instance(state: str, is_soft_deleted: bool) -> None:  # noqa: FBT001
    """A backup instance is soft-deleted by its state."""
    found = instance(currentProtectionState=state)

    assert found is not None
    assert found.is_soft_deleted is is_soft_deleted


@pytest.mark.parametrize("value", [None, "true", 1, False])
def test_not_soft_deleted(value: object) -> None:
    """Only ``true`` means that an item is soft-deleted."""
    found = item(isScheduledForDeferredDelete=value)

    assert found is not None
    assert not found.is_soft_deleted


@pytest.mark.parametrize(
    "policy_id",
    [
        7,
        "",
        "p" * 1025,
        "daily-disks",
        f"{BACKUP_VAULT}/backupPolicies/..",
        f"{BACKUP_VAULT}/backupPolicies/a/b",
        f"{RSV}/backupPolicies/daily-disks",
        f"{BACKUP_VAULT}/backupPolicies/a\x1b[2J",
    ],
)
def test_other_policies(policy_id: object) -> None:
    """The ID of a policy is dropped unless it is a policy of this vault."""
    found = instance(policyInfo={"policyId": policy_id})

    assert found is not None
    assert found.policy_id is None


@pytest.mark.parametrize("body", [{}, {"value": None}, {"value": {}}, {"value": "text"}])
def test_no_list(body: dict[str, Any]) -> None:
    """A response without a list is an error: an item that it does not show may exist."""
    with pytest.raises(UnexpectedResponse, match="list of protected items"):
        parse_protected_items(body, RSV)
    with pytest.raises(UnexpectedResponse, match="list of protected items"):
        parse_backup_instances(body, BACKUP_VAULT)


def test_entries_that_are_no_objects() -> None:
    """Entries that are no objects are skipped."""
    assert parse_protected_items({"value": [None, "text", {"id": VM_ID, "properties": None}]}, RSV)[0].id == VM_ID


def test_damaged_item() -> None:
    """An item with an ID of another vault has no URL to start a backup."""
    foreign = replace(items()[0], id=VM_ID.replace(VAULT, "rsv-other"))

    with pytest.raises(ValueError, match="of its vault"):
        _ = foreign.backup_path
