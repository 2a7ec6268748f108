"""The poller reads what a vault protects, and the policy of a Backup vault, like lists of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backupjobwatch.domain.jobs.backup_policies import BackupPolicy
from backupjobwatch.domain.jobs.resource_ids import VaultId, VaultKind
from backupjobwatch.domain.polling.observations import ItemList
from backupjobwatch.domain.polling.queries import PolicyQuery, ProtectedItems
from backupjobwatch.errors import AuthorizationFailed, JobNotFound, UnexpectedResponse
from demo.simulator import Fault, backup_instance, backup_policy, virtual_machine
from tests.functional.polling import VAULT_ID, WINDOW, A, B
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID

if TYPE_CHECKING:
    from backupjobwatch.domain.polling.queries import Query
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import OpenPoller
    from tests.functional.polling import Polling

ITEMS = ProtectedItems(VAULT_ID)
PATH = "/backupProtectedItems$"
BACKUP_VAULT = VaultId(
    subscription_id=SUBSCRIPTION_ID, resource_group=RESOURCE_GROUP, name="bv-harbour", kind=VaultKind.BACKUP_VAULT
)
POLICY = PolicyQuery(BACKUP_VAULT, f"{BACKUP_VAULT}/backupPolicies/daily")


def result_of(polling: Polling, query: Query) -> object:
    observation = polling.observation(query, "one")
    return None if observation is None else observation.result


async def test_items(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """All pages of the list are read, once for all watches that require it."""
    polling, sim.lists.page_size = open_poller(), 2
    for number in range(5):
        vault.protection.add(virtual_machine(f"vm-{number}"))
    for uid in ("one", "two"):
        polling.require(uid, ITEMS)
    await polling.settle()
    result = result_of(polling, ITEMS)

    assert isinstance(result, ItemList)
    assert [item.name for item in result.items] == [f"vm-{number}" for number in range(5)]
    assert len(sim.requests_to(PATH)) == 3


async def test_items_and_jobs(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """A vault has one list at a time, so that the lists do not mix up their pages."""
    polling, sim.lists.page_size = open_poller(), 1
    for number in range(3):
        vault.protection.add(virtual_machine(f"vm-{number}"))
    polling.require("one", ITEMS, WINDOW)
    await polling.settle()
    result = result_of(polling, ITEMS)

    assert isinstance(result, ItemList)
    assert len(result.items) == 3
    assert polling.error(WINDOW, "one") is None
    kinds = [record.path.rsplit("/", 1)[-1] for record in sim.requests]
    assert kinds in (["backupProtectedItems"] * 3 + ["backupJobs"], ["backupJobs"] + ["backupProtectedItems"] * 3)


async def test_refused(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """An error is the result of the query of this identity only. The next poll replaces it."""
    polling = open_poller()
    sim.faults.add(Fault.forbidden(), principal="principal-a")
    sim.faults.add(Fault.answer(body="{}", official=True), principal="principal-b")
    polling.require("one", ITEMS, namespace=A)
    polling.require("two", ITEMS, namespace=B)
    await polling.settle()

    assert isinstance(polling.observations("one")[ITEMS].error, AuthorizationFailed)
    assert isinstance(polling.observations("two")[ITEMS].error, UnexpectedResponse)


async def test_policy(open_poller: OpenPoller, sim: AzureSimulator) -> None:
    """The instances of a Backup vault and the policy of one of them are read."""
    polling = open_poller()
    vault = sim.add_backup_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, "bv-harbour")
    polling.require("one", POLICY, ProtectedItems(BACKUP_VAULT))
    await polling.settle()
    assert isinstance(polling.error(POLICY, "one"), JobNotFound)
    vault.protection.add_policy("daily", backup_policy("BackupDaily"))
    vault.protection.add(backup_instance("disk-1", policy_id=POLICY.policy_id))
    await polling.tick()
    result = result_of(polling, ProtectedItems(BACKUP_VAULT))

    assert result_of(polling, POLICY) == BackupPolicy(rules=("BackupDaily",), retention_tags=("Default",))
    assert isinstance(result, ItemList)
    assert [item.policy_id for item in result.items] == [POLICY.policy_id]
