"""The custom Azure role has exactly the actions that the operator's requests need."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId, VaultId, VaultKind
from demo.simulator import Operation
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, payload

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator
    from tests.functional.bound_client import BoundClient

ROLE: Final = json.loads((Path(__file__).parents[3] / "manifests" / "azure" / "role.json").read_text(encoding="utf-8"))


def action(method: str, path: str) -> str:
    """
    Return the action that a request needs: the resource types of the path, and "read", or "action" for a POST.

    https://learn.microsoft.com/azure/role-based-access-control/resource-provider-operations
    """
    verb = {"GET": "read", "POST": "action"}[method]
    if path.endswith("/fetchCrossRegionRestoreJob"):
        return f"Microsoft.DataProtection/subscriptions/resourceGroups/providers/locations/{path.rpartition('/')[2]}/action"
    provider, *types = unquote(path).partition("/providers/")[2].split("/")
    return "/".join([provider, *types[::2], verb])


async def test_role_is_what_is_asked(sim: AzureSimulator, client: BoundClient) -> None:
    """The actions of the role are exactly those of all requests of the client, for both kinds of vault."""
    for kind, job in (
        (VaultKind.RECOVERY_SERVICES, "job-iaasvm-completed"),
        (VaultKind.BACKUP_VAULT, "dp-job-aks-failed"),
    ):
        add = sim.add_vault if kind is VaultKind.RECOVERY_SERVICES else sim.add_backup_vault
        vault = add(SUBSCRIPTION_ID, RESOURCE_GROUP, "v-role")
        body = payload(job)
        name = body["name"]
        vault.set_job(name, body)
        vault.add_operation(Operation.succeeding("00000000-0000-4000-8000-00000000000a", name))
        id_ = VaultId(subscription_id=SUBSCRIPTION_ID, resource_group=RESOURCE_GROUP, name="v-role", kind=kind)
        await client.get_job(JobId(vault=id_, name=name))
        await client.list_jobs(id_)
        await client.read_operation(OperationId(vault=id_, name="00000000-0000-4000-8000-00000000000a"))
    await _read_secondary_region(sim, client)
    asked = {action(record.method, record.path) for record in sim.requests}
    assert asked == set(ROLE["Actions"])


async def _read_secondary_region(sim: AzureSimulator, client: BoundClient) -> None:
    """Read a cross-region restore, and the operation that started it."""
    vault = sim.add_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, "v-role").secondary("westus")
    body = payload("crr-job-iaasvm-completed")
    vault.set_job(body["name"], body)
    vault.add_operation(Operation.succeeding("ODk5NDc5OA==", body["name"], after=0))
    id_ = VaultId(
        subscription_id=SUBSCRIPTION_ID, resource_group=RESOURCE_GROUP, name="v-role", secondary_region="westus"
    )
    await client.get_secondary_job(JobId(vault=id_, name=body["name"]))
    backup_vault = sim.add_backup_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, "v-role").secondary("westus")
    restore = payload("dp-crr-job-postgres-completed")
    backup_vault.set_job(restore["name"], restore)
    backup_vault.add_operation(Operation.succeeding("b3A=", restore["name"], after=0))
    in_backup_vault = replace(id_, kind=VaultKind.BACKUP_VAULT, primary_region="eastus")
    await client.get_secondary_job(JobId(vault=in_backup_vault, name=restore["name"]))
    await client.read_operation(OperationId(vault=in_backup_vault, name="b3A="))
    await client.read_operation(OperationId(vault=id_, name="ODk5NDc5OA=="))


def test_role_grants_nothing_else() -> None:
    """The role grants nothing else, and its scope is the subscription that the documentation uses."""
    assert ROLE["NotActions"] == ROLE["DataActions"] == ROLE["NotDataActions"] == []
    assert len(set(ROLE["Actions"])) == len(ROLE["Actions"])
    assert ROLE["AssignableScopes"] == ["/subscriptions/00000000-0000-0000-0000-000000000000"]
