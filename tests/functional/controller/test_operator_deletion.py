"""The operator while users delete watches and create others with the same name."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.support.builders import JOB_NAME, job_payload, running_payload
from tests.support.gates import argo_cd
from tests.support.gates.verdicts import judge
from tests.support.kubernetes import EVENT_POSTS, NAME, STATUS_WRITES

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

_FOLLOWED = {"pollInterval": "10s"}


@pytest.mark.parametrize("moment", ["polling", "writing", "telling", "running", "finished"])
async def test_deletion_is_immediate_and_final(
    *,
    api: KubernetesApi,
    sim: AzureSimulator,
    vault: Vault,
    operator: Operator,
    caplog: pytest.LogCaptureFixture,
    moment: str,
) -> None:
    """After a deletion at any moment, the operator sends no request about the watch to Azure or the API server."""
    caplog.set_level(logging.INFO)
    job_id = vault.set_job(JOB_NAME, job_payload() if moment == "finished" else running_payload())
    held = {"polling": sim.hold("backupJobs")} if moment == "polling" else {}
    line = {"writing": STATUS_WRITES, "telling": EVENT_POSTS}.get(moment)
    hold = api.traffic.hold(line) if line else held.get(moment)
    api.create({"jobResourceId": job_id, **_FOLLOWED})
    if hold is None:
        await api.until(api.events)
    else:
        await hold.arrived()
    api.delete()
    await operator.idle()
    if hold is not None:
        hold.release()
    await operator.idle()
    asked, told = len(sim.requests), len(api.traffic.matching(NAME))
    await operator.pass_time(10, 3)
    assert (len(sim.requests), len(api.traffic.matching(NAME))) == (asked, told)
    assert [record.message for record in caplog.records if record.levelno > logging.WARNING] == []


async def test_a_watch_that_waits_for_a_finalizer_is_left_alone(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A deleted watch that still has a finalizer is neither polled nor written."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), **_FOLLOWED}, finalizers=["example.com/x"])
    await api.until(api.events)
    await operator.idle()
    api.delete()
    assert "deletionTimestamp" in api.get()["metadata"]
    await operator.idle()
    asked = len(sim.requests)
    await operator.pass_time(10, 3)
    await operator.advance_until(lambda: len(api.traffic.matching("^GET .*backupjobwatches$")) > 3)
    assert (len(sim.requests), len(api.writes())) == (asked, 1)


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize(("job_status", "health"), [("Completed", "Healthy"), ("Failed", "Degraded")])
async def test_a_hook_that_finishes_while_it_is_deleted(
    api: KubernetesApi, vault: Vault, job_status: str, health: str
) -> None:
    """The verdict that the operator writes after the deletion of a hook ends the sync of Argo CD."""
    job_id = vault.set_job(JOB_NAME, job_payload(status=job_status))
    with api.traffic.hold(STATUS_WRITES) as hold:
        api.create({"jobResourceId": job_id}, finalizers=[argo_cd.HOOK_FINALIZER])
        await hold.arrived()
        api.delete()
    await api.until(lambda: api.get()["status"].get("phase") in {"Succeeded", "Failed"})
    watch = api.get()
    assert watch["status"]["observedGeneration"] == watch["metadata"]["generation"] == 2
    assert judge(watch)["Argo CD"] == health


async def test_an_object_of_the_same_name_is_another_object(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """A finished watch that is deleted and recreated is polled again and gets a new Event."""
    async with start():
        for told in (1, 2):
            api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
            await api.events_emitted(told)
            api.delete()
    assert len(sim.requests) == 2
    assert len({event["involvedObject"]["uid"] for event in api.events()}) == 2
