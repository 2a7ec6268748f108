"""Protected items, records and watches with ``spec.onDemand``, as starting points for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.api.backup_record import BackupRecord, RecordState
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.protected_items import ProtectedItem
from backupjobwatch.domain.jobs.resource_ids import VaultKind, vault_id
from tests.support.builders import NOW, RESOURCE_GROUP, SUBSCRIPTION, VAULT, VAULT_REF, watch_body

if TYPE_CHECKING:
    from collections.abc import Mapping

RSV: Final = vault_id(SUBSCRIPTION, RESOURCE_GROUP, VAULT, VaultKind.RECOVERY_SERVICES)
BACKUP_VAULT: Final = vault_id(SUBSCRIPTION, RESOURCE_GROUP, "bv1", VaultKind.BACKUP_VAULT)
BACKUP_VAULT_REF: Final = {**VAULT_REF, "name": "bv1", "kind": "BackupVault"}
VM: Final = "uttestvmub1"
"""The item of ``builders.job_payload``."""
REQUEST_ID: Final = "5c0a31f4-9d1e-4f6e-8a53-0f6b8f6d5e01"
PROCESS: Final = "p1"


def vm(name: str = VM, group: str = "rg", **fields: Any) -> ProtectedItem:
    """Return a protected virtual machine."""
    container = f"iaasvmcontainerv2;{group};{name}"
    item = ProtectedItem(
        id=f"{RSV}/backupFabrics/Azure/protectionContainers/IaasVMContainer;{container}/protectedItems/VM;{container}",
        vault=RSV,
        name=name,
        container=container,
        server=None,
        instance=None,
        workload="VM",
        protection_state="Protected",
        is_soft_deleted=False,
        policy_id=f"{RSV}/backupPolicies/DefaultPolicy",
    )
    return replace(item, **fields)


def database(
    name: str = "master", server: str = "sql-1", instance: str = "MSSQLSERVER", **fields: Any
) -> ProtectedItem:
    """Return a protected SQL database."""
    container = f"VMAppContainer;compute;rg;{server}"
    path = f"protectionContainers/{container}/protectedItems/SQLDataBase;{instance};{name}"
    return vm(
        name,
        **{
            "id": f"{RSV}/backupFabrics/Azure/{path}",
            "container": container,
            "server": server,
            "instance": instance,
            "workload": "SQLDataBase",
            **fields,
        },
    )


def disk(name: str = "disk1", **fields: Any) -> ProtectedItem:
    """Return a backup instance of a Backup vault."""
    return vm(
        name,
        **{
            "id": f"{BACKUP_VAULT}/backupInstances/{name}-d15c0001-5e1f-4000-8000-000000000001",
            "vault": BACKUP_VAULT,
            "container": None,
            "workload": "Microsoft.Compute/disks",
            "protection_state": "ProtectionConfigured",
            "policy_id": f"{BACKUP_VAULT}/backupPolicies/daily",
            **fields,
        },
    )


def on_demand_spec(**fields: Any) -> dict[str, Any]:
    """Return a spec that requests a backup of ``VM``. *fields* are those of ``onDemand``."""
    return {"onDemand": {"item": VM, **fields}, "vault": VAULT_REF}


def record(state: RecordState = RecordState.REQUESTED, **fields: Any) -> BackupRecord:
    """Return the record of a request at ``NOW``."""
    written: dict[str, Any] = {"request_id": REQUEST_ID, **fields}
    return replace(
        BackupRecord(state=state, revision=None, requested_at=NOW, process=PROCESS, item=vm().id, item_name=VM),
        **written,
    )


def requested_watch(known: BackupRecord | None = None, spec: Mapping[str, Any] | None = None, **status: Any) -> Watch:
    """Return a pending watch whose status has the record *known*."""
    body = watch_body(on_demand_spec() if spec is None else spec)
    body["status"] = {
        "observedGeneration": 1,
        "phase": "Pending",
        "reason": "Progressing",
        "message": "m",
        "target": Watch.from_body(body).target,
        "watchStartTime": "2018-05-21T09:00:00Z",
        **({} if known is None else {"onDemand": known.to_status()}),
        **status,
    }
    return Watch.from_body(body)
