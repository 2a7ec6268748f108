"""The operator requests no backup for a watch that is suspended, deleted or past its deadline by then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from demo.simulator import Fault, virtual_machine
from tests.functional.controller.test_operator_on_demand import ALLOWED, on_demand, posts
from tests.functional.watch_groups import FINISHED, deadline_passed, phase
from tests.support.azure import IN_VAULT
from tests.support.kubernetes import STATUS_WRITES

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi

ITEMS = "/backupProtectedItems$"
READ_AGAIN = "^GET .*/backupjobwatches/nightly$"
"""The last read of a watch, between its record and its request."""


@pytest.fixture(autouse=True)
def _protected(vault: Vault) -> None:
    vault.protection.add(virtual_machine("vm1"))


@pytest.mark.parametrize("moment", ["before the record", "after the record"])
@pytest.mark.parametrize("end", ["suspended", "deleted"])
async def test_a_watch_that_ends_before_its_request(
    *, api: KubernetesApi, sim: AzureSimulator, start: StartOperator, moment: str, end: str
) -> None:
    """The operator requests no backup for a suspended or deleted watch, even if its record is written."""
    async with start(**ALLOWED):
        with sim.hold(ITEMS) if moment == "before the record" else api.traffic.hold(READ_AGAIN) as hold:
            api.create(on_demand())
            await hold.arrived()
            assert ("onDemand" in api.get().get("status", {})) is (moment == "after the record")
            if end == "suspended":
                api.edit(suspend=True)
                await api.status(reason="Suspended")
            else:
                api.delete()
        await another_is_reconciled(api)
    assert posts(sim) == []


async def test_a_deadline_after_the_record(api: KubernetesApi, sim: AzureSimulator, start: StartOperator) -> None:
    """If the deadline passes after the record is written, the request is not sent, even before the watch has failed."""
    async with start(**ALLOWED) as operator:
        with api.traffic.hold(READ_AGAIN) as read:
            api.create({**on_demand(), "activeDeadlineSeconds": 5})
            await read.arrived()
            with api.traffic.hold(STATUS_WRITES):
                await deadline_passed(api)
                read.release()
                (request,) = api.traffic.matching(READ_AGAIN)
                await api.until(lambda: request.status)
        await operator.advance_until(lambda: phase(api) in FINISHED)
        status = api.get()["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert posts(sim) == []


async def test_a_conflict_until_the_deadline(api: KubernetesApi, sim: AzureSimulator, start: StartOperator) -> None:
    """A conflict that lasts until the deadline fails the watch then, with Azure's message."""
    body = '{"error": {"code": "ScopeLocked", "message": "The vault is locked."}}'
    sim.faults.add(Fault.answer(status=409, body=body, official=True), path="/backup$", times=None)
    async with start(**ALLOWED) as operator:
        api.create({**on_demand(), "activeDeadlineSeconds": 5})
        await api.status(reason="BackupConflict")
        await deadline_passed(api)
        await operator.advance_until(lambda: phase(api) in FINISHED)
        status = api.get()["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert "ScopeLocked: The vault is locked" in status["message"]


@pytest.mark.usefixtures("at_once")
async def test_a_deadline_during_the_request(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """If the deadline passes before Azure answers, the watch fails, but its record gets the operation.

    A later deadline then restarts the watch, which follows that backup.
    """
    async with start(**ALLOWED) as operator:
        with sim.hold("/backup$", state_as_of="arrival") as hold:
            api.create(on_demand())
            await hold.arrived()
            api.edit(activeDeadlineSeconds=1)
            await deadline_passed(api)
            await operator.advance_until(lambda: phase(api) in FINISHED)
            assert api.get()["status"]["onDemand"]["state"] == "Requested"
        await api.until(lambda: api.get()["status"]["onDemand"]["state"] == "Accepted")
        status = api.get()["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
        assert status["onDemand"]["operationId"] == vault.protection.started()[0].operation
        await api.until(lambda: "BackupRequested" in [event["reason"] for event in api.events()])
        api.edit(activeDeadlineSeconds=86400)
        await operator.advance_to("Running", api)
    assert len(posts(sim)) == 1


@pytest.mark.parametrize("path", [ITEMS, "/backup$"], ids=["items", "request"])
async def test_a_deadline_before_another_attempt(
    api: KubernetesApi, sim: AzureSimulator, start: StartOperator, path: str
) -> None:
    """If Azure refuses all requests until the deadline, the operator requests no backup after it."""
    sim.faults.add(Fault.throttled(retry_after=1), path=path, times=None)
    async with start(**ALLOWED) as operator:
        api.create(on_demand())
        await api.status(reason="Throttled")
        api.edit(activeDeadlineSeconds=1)
        await deadline_passed(api)
        sim.faults.clear()
        before = len(posts(sim))
        await operator.advance_until(lambda: phase(api) in FINISHED)
        status = api.get()["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert len(posts(sim)) == before


async def another_is_reconciled(api: KubernetesApi) -> None:
    """Wait until the operator has reconciled another watch."""
    spec: dict[str, Any] = {"jobName": "7ddead57-bcb9-4269-ac31-6a1b57588700", "vault": IN_VAULT}
    api.create(spec, name="other")
    await api.status("other", reason="JobNotVisible")
