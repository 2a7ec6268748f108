"""The operator's record of a backup request: written early, and restored if a user clears it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.controller.backup_admission import WORKERS
from demo.simulator import Fault, virtual_machine
from tests.functional.controller.test_operator_on_demand import ALLOWED, on_demand, posts
from tests.support.kubernetes import NAME, NAMESPACE
from tests.support.movable_process import running_movable

if TYPE_CHECKING:
    from pathlib import Path

    from demo.simulator import AzureSimulator, ProtectedItem, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator


pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture
def protected(vault: Vault) -> ProtectedItem:
    item = virtual_machine("vm1")
    vault.protection.add(item)
    return item


async def test_a_cleared_record(
    api: KubernetesApi, sim: AzureSimulator, protected: ProtectedItem, start: StartOperator
) -> None:
    """If a user clears the record and the jobs, the operator restores them and requests no second backup."""
    async with start(**ALLOWED) as operator:
        api.create(on_demand())
        before = await api.status(phase="Running")
        body = api.get()
        for name in ("onDemand", "job", "jobs"):
            body["status"].pop(name, None)
        api.objects.put_status((NAMESPACE, NAME), body)
        api.annotate(announce="now")
        await api.until(lambda: api.get()["status"].get("jobs"))
        operator.advance(30)
        assert (await api.status(phase="Running"))["onDemand"] == before["onDemand"]
    assert len(posts(sim)) == 1


async def test_an_accepted_request_is_recorded_at_once(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, protected: ProtectedItem, start: StartOperator
) -> None:
    """The operation is recorded before Azure answers the first poll of it."""

    def accepted() -> dict[str, Any] | None:
        status: dict[str, Any] = api.get().get("status", {})
        return status if status.get("onDemand", {}).get("state") == "Accepted" else None

    async with start(**ALLOWED):
        with sim.hold("/backupOperations/"):
            api.create(on_demand())
            status = await api.until(accepted)
            assert status["reason"] == "Progressing"
            assert status["onDemand"]["operationId"] == vault.protection.started()[0].operation


async def test_stopped_during_the_request(
    api: KubernetesApi, sim: AzureSimulator, protected: ProtectedItem, start: StartOperator, tmp_path: Path
) -> None:
    """An operator that is stopped before Azure answers ends in seconds. The next one finds the job of the request."""
    async with start(**ALLOWED) as operator:
        with sim.hold("/backup$", state_as_of="arrival") as hold:
            api.create(on_demand())
            await hold.arrived()
            await operator.stop()
    assert api.get()["status"]["onDemand"]["state"] == "Requested"
    async with running_movable(sim.url, tmp_path / "log", ON_DEMAND_NAMESPACES=NAMESPACE) as later:
        await later.pass_until(lambda: api.get()["status"]["phase"] == "Running")
    assert api.get()["status"]["onDemand"]["state"] == "Recovered"
    assert [event["reason"] for event in api.events()].count("BackupRequested") == 1
    assert len(posts(sim)) == 1


async def test_a_restored_object(
    api: KubernetesApi, sim: AzureSimulator, protected: ProtectedItem, start: StartOperator
) -> None:
    """
    An object that is restored without its status requests a backup again.

    If its namespace is not allowed during the restore, it fails instead. It then requests nothing until its revision is
    edited.
    """
    async with start(**ALLOWED):
        api.create(on_demand())
        await api.status(phase="Running")
        api.delete()
        api.create(on_demand())
        await api.until(lambda: len(posts(sim)) == 2)
        api.delete()
    async with start():
        api.create(on_demand())
        await api.status(phase="Failed", reason="NamespaceNotAllowed")
    async with start(**ALLOWED) as operator:
        operator.advance(60)
        api.create(on_demand(), name="other")
        await api.until(lambda: len(posts(sim)) == 3)
        assert (await api.status())["reason"] == "NamespaceNotAllowed"
        api.edit(revision="v2")
        await api.until(lambda: len(posts(sim)) == 4)


@pytest.mark.parametrize("is_restarted", [False, True], ids=["same process", "another process"])
async def test_an_edit_after_a_refusal(
    *, api: KubernetesApi, sim: AzureSimulator, protected: ProtectedItem, start: StartOperator, is_restarted: bool
) -> None:
    """After Azure refused the item, an edit that restarts the watch repeats the request with its ID."""

    async def edit(operator: Operator) -> dict[str, Any]:
        api.edit(graceSeconds=7)
        await operator.advance_to("Running", api)
        record: dict[str, Any] = (await api.status())["onDemand"]
        return record

    sim.faults.add(Fault.job_not_found(), path="/backup$", times=1)
    async with start(**ALLOWED) as operator:
        api.create(on_demand())
        refused = (await api.status(phase="Failed", reason="InvalidTarget"))["onDemand"]
        if not is_restarted:
            after = await edit(operator)
    if is_restarted:
        async with start(**ALLOWED) as operator:
            after = await edit(operator)
    assert (after["requestID"], after["attempt"]) == (refused["requestID"], 2)
    assert len(posts(sim)) == 2


async def test_a_later_deadline(
    api: KubernetesApi, sim: AzureSimulator, protected: ProtectedItem, start: StartOperator
) -> None:
    """A watch whose deadline was too short follows the same backup when the deadline is raised."""
    async with start(**ALLOWED) as operator:
        api.create(on_demand())
        before = await api.status(phase="Running")
        api.edit(activeDeadlineSeconds=1)
        await operator.advance_to("Failed", api)
        assert (await api.status())["reason"] == "DeadlineExceeded"
        api.edit(activeDeadlineSeconds=86400)
        sim.clock.advance(700)
        await operator.advance_to("Succeeded", api)
        after = await api.status()
    assert after["onDemand"] == before["onDemand"]
    assert len(posts(sim)) == 1


async def test_many_requests(
    api: KubernetesApi,
    sim: AzureSimulator,
    vault: Vault,
    start: StartOperator,
    tmp_path: Path,
) -> None:
    """A request is recorded only when it is sent. The next operator sends the others, after a stop or a kill."""
    items = [f"vm{number}" for number in range(8)]
    for item in items:
        vault.protection.add(virtual_machine(item))

    def recorded() -> set[str]:
        return {item for item in items if "onDemand" in api.get(item).get("status", {})}

    async with start(**ALLOWED) as operator:
        with sim.hold("/backup$", state_as_of="arrival") as hold:
            for item in items:
                api.create(on_demand(item), item)
            await api.until(lambda: hold.arrivals == WORKERS)
            await api.until(lambda: all(api.get(item).get("status") for item in items))
            assert len(recorded()) == WORKERS
            await operator.stop()
    assert len(recorded()) == WORKERS
    async with running_movable(sim.url, tmp_path / "log", ON_DEMAND_NAMESPACES=NAMESPACE) as later:
        await later.pass_until(lambda: all(api.get(item)["status"]["phase"] == "Running" for item in items))
    started = [each.client_request_id for each in vault.protection.started()]
    assert len(started) == len(items)
    assert set(started) == {api.get(item)["status"]["onDemand"]["requestID"] for item in items}
