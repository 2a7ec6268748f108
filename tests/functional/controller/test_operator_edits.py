"""The operator while users edit targets, other fields, and suspend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload, running_payload, standing
from tests.support.clock import OperatorClock

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

_FOLLOWED = {"pollInterval": "10s"}


@pytest.mark.parametrize("first", ["InProgress", "Completed", "Failed"])
async def test_a_new_target_restarts_the_watch(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, first: str
) -> None:
    """Another job in the spec of a running or finished watch removes everything about the old job from the status."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload(status=first))})
    before = await api.status(observedGeneration=1)
    vault.set_job(OTHER_JOB_NAME, running_payload(entityFriendlyName="vm2", extendedInfo=None))
    api.edit(jobResourceId=vault.job_id(OTHER_JOB_NAME))
    status = await api.status(observedGeneration=2)
    assert (status["phase"], status["reason"]) == ("Pending", "Progressing")
    status = await api.status(phase="Running")
    assert status["job"]["name"] == OTHER_JOB_NAME
    assert standing(status)["Ready"] == "Unknown"
    assert status["target"] != before["target"]
    assert not {"extendedInfo", "errors", "completionTime"} & status.keys()
    vault.set_job(OTHER_JOB_NAME, job_payload())
    await operator.poll(sim)
    await api.status(phase="Succeeded")


async def test_another_judgement_of_warnings_starts_the_watch_over(
    api: KubernetesApi, vault: Vault, operator: Operator
) -> None:
    """``completedWithWarnings`` is part of the target: after an edit, the operator polls and judges the job again."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload(status="CompletedWithWarnings"))})
    status = await api.status(phase="Failed")
    assert "spec.completedWithWarnings" in status["message"]
    api.edit(completedWithWarnings="Succeeded")
    await api.status(phase="Succeeded", observedGeneration=2)


async def test_other_edits_of_a_finished_watch_only_restamp_it(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Editing pollInterval or suspend of a finished watch updates only the generations, without a request to Azure."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
    before = await api.status(phase="Succeeded")
    api.edit(pollInterval="5m", suspend=True)
    after = await api.status(observedGeneration=2)
    assert len(api.writes()) == 2
    restamped = [{**condition, "observedGeneration": 2} for condition in before["conditions"]]
    assert after == {**before, "observedGeneration": 2, "conditions": restamped}
    assert (len(sim.requests), len(api.events())) == (1, 1)


async def test_another_interval_is_followed_at_once(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A shorter interval takes effect immediately. The watch keeps its target and start time."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "5m"})
    before = await api.status(phase="Running")
    api.edit(**_FOLLOWED)
    after = await api.status(observedGeneration=2)
    assert (after["target"], after["watchStartTime"]) == (before["target"], before["watchStartTime"])
    clock, asked = OperatorClock(operator), len(sim.requests)
    async with clock.frozen():
        await clock.advance_until(lambda: len(sim.requests) >= asked + 2, within=40, step=10)


async def test_a_suspended_watch_sends_no_requests(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Suspending keeps the phase and stops polling. Resuming polls immediately."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), **_FOLLOWED})
    await api.status(phase="Running")
    api.edit(suspend=True)
    status = await api.status(observedGeneration=2)
    assert (status["phase"], status["reason"]) == ("Running", "Suspended")
    assert standing(status) == {
        "Ready": "Unknown", "Succeeded": "Unknown", "Finished": "False", "AzureReachable": "True"
    }  # fmt: skip
    asked = len(sim.requests)
    vault.set_job(JOB_NAME, job_payload())
    await operator.pass_time(10, 7)
    assert len(sim.requests) == asked
    api.edit(suspend=False)
    await api.status(phase="Succeeded", observedGeneration=3)


async def test_a_watch_may_be_created_suspended(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A watch that is created suspended has a status, but no job and no running deadline."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "suspend": True})
    status = await api.status(phase="Pending", reason="Suspended")
    assert not {"job", "watchStartTime", "lastPollTime"} & status.keys()
    assert sim.requests == ()


async def test_suspension_and_its_end_across_a_running_poll(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A watch that is suspended and resumed during a poll is followed to the end of its job."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), **_FOLLOWED})
    await api.status(phase="Running")
    with sim.hold() as hold:
        await operator.advance_until(lambda: hold.arrivals)
        api.edit(suspend=True)
        await operator.idle()
        api.edit(suspend=False)
        await operator.idle()
    await api.status(phase="Running", observedGeneration=3)
    vault.set_job(JOB_NAME, job_payload())
    await operator.advance_to("Succeeded", api)


async def test_suspended_during_a_poll_that_brings_the_end(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A suspended watch does not open its gate, even with the response to an earlier request."""
    job_id = vault.set_job(JOB_NAME, job_payload())
    with sim.hold() as hold:
        api.create({"jobResourceId": job_id})
        await hold.arrived()
        api.edit(suspend=True)
    status = await api.status(observedGeneration=2)
    assert (status["phase"], status["reason"]) == ("Pending", "Suspended")
    api.edit(suspend=False)
    await api.status(phase="Succeeded")
