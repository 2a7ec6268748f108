"""The operator with ``spec.onDemand``: it requests a backup, follows its job, and opens the gate."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from demo.simulator import Fault, backup_instance, backup_policy, database, file_share, virtual_machine
from tests.support.azure import IN_VAULT, RESOURCE_GROUP, SUBSCRIPTION_ID
from tests.support.builders import at, standing
from tests.support.kubernetes import NAMESPACE

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, ProtectedItem, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

BACKUP = "/backup$"
pytestmark = pytest.mark.usefixtures("at_once")

ALLOWED: dict[str, Any] = {"on_demand_namespaces": (NAMESPACE,)}


def on_demand(item: str = "vm1", **fields: Any) -> dict[str, Any]:
    """Return a spec that requests a backup, with a short poll interval."""
    return {"onDemand": {"item": item, **fields}, "vault": IN_VAULT, "revision": "v1", "pollInterval": "10s"}


@pytest.fixture
def vm(vault: Vault) -> ProtectedItem:
    item = virtual_machine("vm1")
    vault.protection.add(item)
    return item


def posts(sim: AzureSimulator) -> list[str]:
    """Return the paths of the requests for backups."""
    return [each.path for each in sim.requests if re.search(BACKUP, each.path)]


@pytest.mark.parametrize(
    ("item", "fields"),
    [
        (virtual_machine("vm1"), {"retainFor": "30d"}),
        (file_share("data"), {}),
        (database("master"), {"backupType": "Full"}),
        (database("systemdb", hana=True), {}),
    ],
    ids=["vm", "share", "sql", "hana"],
)
async def test_backup(  # noqa: PLR0917 -- fixtures
    api: KubernetesApi,
    sim: AzureSimulator,
    vault: Vault,
    start: StartOperator,
    item: ProtectedItem,
    fields: dict[str, Any],
) -> None:
    """One object takes a backup, follows it, and opens the gate. A new revision takes another."""
    vault.protection.add(item)
    async with start(**ALLOWED) as operator:
        api.create(on_demand(item.friendly_name, **fields))
        status = await api.status(phase="Running")
        assert standing(status)["Ready"] == "Unknown"
        record = status["onDemand"]
        (started,) = vault.protection.started()
        assert (started.client_request_id, started.operation) == (record["requestID"], record["operationId"])
        assert status["job"]["activityId"] == record["requestID"]
        sim.clock.advance(700)
        await operator.advance_to("Succeeded", api)
        api.edit(revision="v2")
        status = await api.status(phase="Running", revision="v2")
        assert standing(status)["Ready"] == "Unknown"
        assert status["onDemand"]["requestID"] != record["requestID"]
        sim.clock.advance(700)
        await operator.advance_to("Succeeded", api)
    assert len(vault.protection.started()) == 2


async def test_disk(api: KubernetesApi, sim: AzureSimulator, start: StartOperator) -> None:
    """A Backup vault's instance is backed up by the only rule of its policy."""
    vault = sim.add_backup_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, "bv1")
    vault.protection.names_job_after = 0.0
    vault.protection.add_policy("daily", backup_policy("BackupDaily"))
    vault.protection.add(backup_instance("d-1", policy_id=f"{vault.id}/backupPolicies/daily", friendly_name="d"))
    spec = {**on_demand("d"), "vault": {**IN_VAULT, "name": "bv1", "kind": "BackupVault"}}
    async with start(**ALLOWED) as operator:
        api.create(spec)
        status = await api.status(phase="Running")
        assert status["job"]["activityId"] == status["onDemand"]["requestID"]
        sim.clock.advance(700)
        await operator.advance_to("Succeeded", api)
    assert len(vault.protection.started()) == 1


async def test_an_unknown_item(api: KubernetesApi, vm: ProtectedItem, start: StartOperator) -> None:
    """An unknown item fails the watch, with the choices."""
    async with start(**ALLOWED):
        api.create(on_demand("vm2"))
        status = await api.status(phase="Failed", reason="InvalidTarget")
    assert "It protects: vm1." in status["message"]
    assert "onDemand" not in status


async def test_a_namespace_without_permission(
    api: KubernetesApi, sim: AzureSimulator, vm: ProtectedItem, operator: Operator
) -> None:
    """By default no namespace may request a backup, and Azure gets no request."""
    api.create(on_demand())
    status = await api.status(phase="Failed", reason="NamespaceNotAllowed")
    assert "BACKUPJOBWATCH_ON_DEMAND_NAMESPACES" in status["message"]
    assert list(sim.requests) == []


async def test_a_role_granted_later(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, vm: ProtectedItem, start: StartOperator
) -> None:
    """A 403 is repeated with the same ID until the role is granted."""
    sim.faults.add(Fault.forbidden(), path=BACKUP, times=1)
    async with start(**ALLOWED) as operator:
        api.create(on_demand())
        status = await api.status(reason="AuthorizationFailed")
        assert status["phase"] == "Pending"
        first = status["onDemand"]["requestID"]
        await operator.advance_to("Running", api)
        record = (await api.status())["onDemand"]
    assert (record["requestID"], record["attempt"]) == (first, 2)
    assert len(vault.protection.started()) == 1


async def test_a_missing_role(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, vm: ProtectedItem, start: StartOperator
) -> None:
    """A role that is never granted fails the watch when grace ends."""
    sim.faults.add(Fault.forbidden(), path=BACKUP, times=None)
    async with start(**ALLOWED) as operator:
        api.create({**on_demand(), "graceSeconds": 1})
        await operator.advance_to("Failed", api)
        assert (await api.status())["reason"] == "AuthorizationFailed"
    assert vault.protection.started() == ()


async def test_throttling(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, vm: ProtectedItem, start: StartOperator
) -> None:
    """A 429 is repeated with the same ID."""
    sim.faults.add(Fault.throttled(retry_after=3), path=BACKUP, times=1)
    async with start(**ALLOWED) as operator:
        api.create(on_demand())
        assert (await api.status(reason="Throttled"))["onDemand"]["state"] == "Refused"
        await operator.advance_to("Running", api)
    assert len(vault.protection.started()) == 1


async def test_throttling_of_another_watch(
    api: KubernetesApi, sim: AzureSimulator, vm: ProtectedItem, start: StartOperator
) -> None:
    """After a 429 to one watch, another one reports it while it waits, and records no request."""
    sim.faults.add(Fault.throttled(retry_after=300), path=BACKUP, times=1)
    async with start(**ALLOWED):
        api.create(on_demand(), name="first")
        await api.status("first", reason="Throttled")
        api.create(on_demand(), name="second")
        status = await api.status("second", reason="Throttled")
    assert "SubscriptionRequestsThrottled" in status["message"]
    assert "onDemand" not in status
    assert len(posts(sim)) == 1


async def test_a_conflict(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, vm: ProtectedItem, start: StartOperator
) -> None:
    """A request that conflicts with another operation, or with a lock, is repeated until it is accepted."""
    body = '{"error": {"code": "Conflict", "message": "Another operation is in progress."}}'
    fault = Fault.answer(status=409, body=body, headers={"Retry-After": "1"}, official=True)
    sim.faults.add(fault, path=BACKUP, times=1)
    async with start(**ALLOWED) as operator:
        api.create(on_demand())
        seen = await api.status(reason="BackupConflict")
        assert (seen["phase"], seen["onDemand"]["state"]) == ("Pending", "Refused")
        assert "Conflict: Another operation is in progress" in seen["message"]
        await operator.advance_to("Running", api)
        assert (await api.status())["onDemand"]["attempt"] == 2
    assert len(vault.protection.started()) == 1


@pytest.mark.parametrize("fault", [Fault.server_error(status=504, executed=True), Fault.hang_up(executed=True)])
async def test_a_lost_answer(  # noqa: PLR0917 -- fixtures
    api: KubernetesApi,
    sim: AzureSimulator,
    vault: Vault,
    vm: ProtectedItem,
    start: StartOperator,
    fault: Fault,
) -> None:
    """If the answer is lost, the job of the request is found by its ID, and nothing is requested again."""
    sim.faults.add(fault, path=BACKUP, times=1)
    async with start(**ALLOWED) as operator:
        api.create(on_demand())
        await operator.advance_to("Running", api)
        status = await api.status()
        assert status["onDemand"]["state"] == "Recovered"
        sim.clock.advance(700)
        await operator.advance_to("Succeeded", api)
    (started,) = vault.protection.started()
    assert status["job"]["name"] == started.job


async def test_a_lost_operation(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, vm: ProtectedItem, start: StartOperator
) -> None:
    """If Azure no longer knows the operation of an accepted request, the job is found by the ID of the request."""
    sim.faults.add(Fault.job_not_found(), path="/backupOperations/", times=None)
    async with start(**ALLOWED) as operator:
        api.create(on_demand())
        await operator.advance_to("Running", api)
        status = await api.status()
        sim.clock.advance(700)
        await operator.advance_to("Succeeded", api)
    (started,) = vault.protection.started()
    assert (status["job"]["name"], status["onDemand"]["jobName"]) == (started.job, started.job)
    assert status["onDemand"]["state"] == "Accepted"
    assert len(posts(sim)) == 1


async def test_a_request_that_started_nothing(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, vm: ProtectedItem, start: StartOperator
) -> None:
    """After a 504 without a backup, the watch fails, and a scheduled backup does not open the gate."""
    sim.faults.add(Fault.server_error(status=504), path=BACKUP, times=1)
    async with start(**ALLOWED):
        api.create({**on_demand(), "graceSeconds": 0})
        status = await api.status(reason="TriggerUncertain")
        assert (status["phase"], status["onDemand"]["state"]) == ("Pending", "Uncertain")
        assert "Azure answered 504 Gateway Timeout" in status["message"]
        assert len(posts(sim)) == 1
        api.edit(suspend=True)
        await api.status(reason="Suspended")
        assert (await api.status())["onDemand"] == status["onDemand"]
    assert vault.protection.started() == ()


async def test_follow(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, vm: ProtectedItem, start: StartOperator
) -> None:
    """With ifRunning Follow, a running backup counts, and nothing is requested. Without, the new job fails."""
    async with start(**ALLOWED) as operator:
        api.create(on_demand(), name="first")
        running = await api.status("first", phase="Running")
        api.create(on_demand(ifRunning="Follow"), name="second")
        status = await api.status("second", phase="Running")
        assert status["onDemand"]["state"] == "Followed"
        assert status["job"]["name"] == running["job"]["name"]
        api.create(on_demand(), name="third")
        await operator.advance_to("Running", api, "third")
        sim.clock.advance(5)
        await operator.advance_to("Failed", api, "third")
        assert "spec.onDemand.ifRunning to Follow" in (await api.status("third"))["message"]
    assert len(vault.protection.started()) == 2


async def test_the_limit(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, vm: ProtectedItem, start: StartOperator
) -> None:
    """A namespace requests only so many backups in an hour."""
    async with start(**ALLOWED, on_demand_requests_per_hour=1):
        api.create(on_demand(), name="first")
        await api.status("first", phase="Running")
        api.create(on_demand(), name="second")
        status = await api.status("second", reason="BackupLimitReached")
        assert status["phase"] == "Pending"
        assert "onDemand" not in status
    assert len(posts(sim)) == 1


async def test_a_record_of_another_process(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, vm: ProtectedItem, start: StartOperator
) -> None:
    """A process never sends a request that another one recorded. It looks for the job instead."""
    async with start(**ALLOWED):
        api.create(on_demand())
        status = await api.status(phase="Running")
    record = {**status["onDemand"], "state": "Requested", "requestedAt": at(-3)}
    for name in ("operationId", "jobName"):
        record.pop(name)
    body = api.get()
    kept = ("observedGeneration", "target", "revision", "conditions", "watchStartTime", "reason", "message")
    pending = {"phase": "Pending", "onDemand": record, **{name: status[name] for name in kept}}
    api.delete()
    api.plant({**body, "status": pending})
    async with start(**ALLOWED) as operator:
        await operator.advance_to("Running", api)
        assert (await api.status())["onDemand"]["state"] == "Recovered"
    assert len(vault.protection.started()) == 1
