"""The custom Azure roles have exactly the actions that the operator's requests need."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import pytest

from backupjobwatch.arm.credentials import StaticToken
from backupjobwatch.domain.jobs.backup_requests import BACKUP_ACTIONS, instance_backup
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId, VaultId, VaultKind
from backupjobwatch.domain.polling.queries import PolicyQuery
from demo.simulator import Operation, backup_instance, backup_policy
from tests.functional.polling import IDENTITY, A
from tests.functional.sending import INSTANCE, REQUEST_ID, Sending
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, payload
from tests.support.canary import TOKEN

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.bound_client import BoundClient
    from tests.functional.conftest import OpenClient

FOLDER: Final = Path(__file__).parents[3] / "manifests" / "azure"
ROLE, ON_DEMAND_ROLE = (
    json.loads((FOLDER / name).read_text(encoding="utf-8")) for name in ("role.json", "role-on-demand.json")
)


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


async def test_role_matches_the_requests(sim: AzureSimulator, client: BoundClient) -> None:
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


async def test_role_for_backups(
    sim: AzureSimulator, client: BoundClient, open_client: OpenClient, vault: Vault
) -> None:
    """The second role has exactly the actions that starting a backup needs in addition, for both kinds of vault."""
    sending = Sending(open_client, sim, vault)
    backup_vault = sim.add_backup_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, "v-role")
    policy_id = f"{backup_vault.id}/backupPolicies/daily"
    backup_vault.protection.add_policy("daily", backup_policy("BackupDaily"))
    backup_vault.protection.add(backup_instance(INSTANCE, policy_id=policy_id))
    in_backup_vault = VaultId(
        subscription_id=SUBSCRIPTION_ID, resource_group=RESOURCE_GROUP, name="v-role", kind=VaultKind.BACKUP_VAULT
    )
    tokens, arm = StaticToken(TOKEN), client.arm
    await arm.items_page(tokens, sending.request.item.vault)
    (instance,) = (await arm.items_page(tokens, in_backup_vault)).value.items
    (rule,) = (await arm.get_policy(tokens, PolicyQuery(in_backup_vault, policy_id))).value.rules
    await sending.send()
    request = instance_backup(instance, rule=rule)
    await sending.sender.request_backup(A, IDENTITY, request, request_id=REQUEST_ID)

    assert {action(record.method, record.path) for record in sim.requests} == set(ON_DEMAND_ROLE["Actions"])
    assert set(map(str.lower, BACKUP_ACTIONS.values())) < set(map(str.lower, ON_DEMAND_ROLE["Actions"]))
    assert not set(ON_DEMAND_ROLE["Actions"]) & set(ROLE["Actions"])


@pytest.mark.parametrize("role", [ROLE, ON_DEMAND_ROLE], ids=lambda role: role["Name"])
def test_roles_grant_nothing_else(role: dict[str, Any]) -> None:
    """A role grants nothing else, and its scope is the subscription that the documentation uses."""
    assert role["NotActions"] == role["DataActions"] == role["NotDataActions"] == []
    assert len(set(role["Actions"])) == len(role["Actions"])
    assert role["AssignableScopes"] == ["/subscriptions/00000000-0000-0000-0000-000000000000"]
