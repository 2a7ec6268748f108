"""Which item ``spec.onDemand`` names, and the request for its backup."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.jobs.backup_policies import BackupPolicy
from backupjobwatch.domain.jobs.backup_requests import BackupRequest
from backupjobwatch.domain.jobs.findings import RequestFailure, Waiting
from backupjobwatch.domain.jobs.item_resolution import build_request, resolve_item
from backupjobwatch.domain.jobs.on_demand_backup import OnDemandBackup
from tests.support.builders import NOW
from tests.support.on_demand import BACKUP_VAULT, RSV, VM, database, disk, vm

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.protected_items import ProtectedItem


def backup(item: str | None = VM, **fields: Any) -> OnDemandBackup:
    return OnDemandBackup(vault=RSV, item=item, **fields)


def refusal(found: object) -> str:
    assert isinstance(found, RequestFailure), found
    assert found.reason == "InvalidTarget"
    return found.message


def body(request: object) -> Any:
    assert isinstance(request, BackupRequest), request
    return request.body


@pytest.mark.parametrize("name", [VM, VM.upper()])
def test_name(name: str) -> None:
    """A name is compared without letter case."""
    assert resolve_item(backup(name), [vm("other"), vm()]) == vm()


def test_id() -> None:
    """An ID names one of several items of a name."""
    assert resolve_item(backup(None, item_id=vm(group="b").id.upper()), [vm(), vm(group="b")]) == vm(group="b")


@pytest.mark.parametrize("container", ["VMAppContainer;Compute;rg;sql-2", "SQL-2"])
def test_container(container: str) -> None:
    """The container is its full name, its last part, or the server."""
    items = [database(), database(server="sql-2")]

    assert resolve_item(backup("master", container=container), items) == items[1]


def test_slashes() -> None:
    r"""Backup vaults write a database as ``server/db`` and as ``server\db``."""
    item = disk("server\\db")

    assert resolve_item(OnDemandBackup(vault=BACKUP_VAULT, item="server/db"), [item]) == item


def test_unknown() -> None:
    """An unknown item is refused with the choices."""
    items = [vm("b"), vm("A"), vm("gone", is_soft_deleted=True)]

    assert refusal(resolve_item(backup("x"), items)) == 'The vault protects no item "x". It protects: A, b.'
    assert refusal(resolve_item(backup("x"), [])).endswith("It protects: nothing.")
    many = refusal(resolve_item(backup("x"), [vm(f"vm-{number:02}") for number in range(12)]))
    assert many.endswith("vm-08, vm-09 and 2 more.")


def test_several() -> None:
    """Several items of a name are refused with their containers, or with their IDs."""
    servers = [database(), database(server="sql-2")]
    instances = [database(), database(instance="OTHER")]

    assert "Set spec.onDemand.container to one of: VMAppContainer" in refusal(resolve_item(backup("master"), servers))
    assert "Set spec.onDemand.protectedItemId to one of" in refusal(resolve_item(backup("master"), instances))
    same = [database(instance="a"), database(instance="b")]
    assert "protectedItemId" in refusal(resolve_item(backup("master", container="sql-1"), same))


def test_soft_deleted() -> None:
    """A soft-deleted item is refused, but does not hide its successor."""
    gone = vm(group="old", is_soft_deleted=True)

    assert "soft-deleted" in refusal(resolve_item(backup(), [gone]))
    assert resolve_item(backup(), [gone, vm()]) == vm()


@pytest.mark.parametrize("state", ["ProtectionStopped", "BackupsSuspended", "protectionpaused"])
def test_stopped(state: str) -> None:
    """An item whose protection is stopped is refused."""
    assert state in refusal(resolve_item(backup(), [vm(protection_state=state)]))


@pytest.mark.parametrize("state", ["IRPending", "ProtectionError", "SomethingNew"])
def test_other_states(state: str) -> None:
    """Azure decides about all other states."""
    item = vm(protection_state=state)

    assert resolve_item(backup(), [item]) == item


def test_configuring() -> None:
    """The watch waits while Azure configures the protection."""
    found = resolve_item(backup(), [vm(protection_state="ConfiguringProtection")])

    assert isinstance(found, Waiting)


def test_unsupported() -> None:
    """Workloads without an on-demand backup of this operator are refused."""
    assert "of type SAPHanaDBInstance" in refusal(resolve_item(backup(), [vm(workload="SAPHanaDBInstance")]))


def request(item: ProtectedItem, rules: tuple[str, ...] = (), **fields: Any) -> BackupRequest | RequestFailure:
    return build_request(backup(**fields), item, BackupPolicy(rules=rules), now=NOW)


def test_virtual_machine() -> None:
    """The request for a virtual machine has the end of the retention."""
    assert body(request(vm())) == {"properties": {"objectType": "IaasVMBackupRequest"}}
    kept = body(request(vm(), retain_for=timedelta(days=30)))["properties"]["recoveryPointExpiryTimeInUTC"]
    assert kept == "2018-06-20T09:00:00Z"
    assert "has no backup types" in refusal(request(vm(), backup_type="Full"))
    assert "has passed" in refusal(request(vm(), retain_until=NOW))


def test_database() -> None:
    """A database has types of backup. A running one cannot be followed."""
    assert body(request(database()))["properties"]["backupType"] == "Full"
    assert body(request(database(), backup_type="Log"))["properties"]["backupType"] == "Log"
    assert "Set spec.onDemand.ifRunning to Fail" in refusal(request(database(), follows_running=True))


def test_rules() -> None:
    """A Backup vault's request names the only rule, or the one in the spec."""
    assert body(request(disk(), ("BackupHourly",)))["backupRuleOptions"]["ruleName"] == "BackupHourly"
    chosen = body(request(disk(), ("A", "B"), rule="b", retention_tag="Weekly"))["backupRuleOptions"]
    assert chosen == {"ruleName": "B", "triggerOption": {"retentionTagOverride": "Weekly"}}
    assert "several backup rules. Set spec.onDemand.ruleName to one of: A, B." in refusal(request(disk(), ("A", "B")))
    assert 'has no backup rule "C"' in refusal(request(disk(), ("A", "B"), rule="C"))
    assert "has no backup rule, so" in refusal(request(disk()))
    assert "has no backup rule, so" in refusal(build_request(backup(), disk(), None, now=NOW))
