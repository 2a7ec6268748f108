"""A watch whose backup request has to wait decides again after the wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from demo.simulator import Fault, virtual_machine
from tests.functional.controller.test_operator_on_demand import ALLOWED, BACKUP, on_demand, posts
from tests.support.builders import JOB_NAME, at, running_payload

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.mark.parametrize(("choice", "state", "requests"), [("Follow", "Followed", 1), ("Fail", "Accepted", 2)])
async def test_a_backup_that_starts_during_the_wait(
    *,
    api: KubernetesApi,
    sim: AzureSimulator,
    vault: Vault,
    start: StartOperator,
    choice: str,
    state: str,
    requests: int,
) -> None:
    """A backup that started while Azure throttled requests for backups counts as running after the pause."""
    vault.protection.add(virtual_machine("vm1"))
    vault.protection.add(virtual_machine("vm2"))
    sim.faults.add(Fault.throttled(retry_after=60), path=BACKUP, times=1)
    async with start(**ALLOWED) as operator:
        api.create(on_demand("vm2"), name="first")
        await api.status("first", reason="Throttled")
        api.edit("first", suspend=True)
        api.create({**on_demand(ifRunning=choice), "pollInterval": "5m"})
        await api.status(reason="Throttled")
        vault.set_job(JOB_NAME, running_payload(entityFriendlyName="vm1", startTime=at(0)))
        await operator.advance_to("Running", api)
        status = await api.status()
    assert status["onDemand"]["state"] == state
    assert (status["job"]["name"] == JOB_NAME) is (choice == "Follow")
    assert len(posts(sim)) == requests
