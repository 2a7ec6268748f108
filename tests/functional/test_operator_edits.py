"""The whole operator, while people edit: targets, other fields, suspension, requests for a poll at once, deletion."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload, running_payload, standing
from tests.support.kubernetes import EVENT_POSTS, NAME, STATUS_WRITES

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

_FOLLOWED = {"pollInterval": "10s"}


@pytest.mark.parametrize("first", ["InProgress", "Completed", "Failed"])
async def test_a_new_target_starts_the_watch_over(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, first: str
) -> None:
    """Another job in the spec of a running or finished watch: nothing of the old one is left in the status."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload(status=first))})
    before = await api.status(observedGeneration=1)
    vault.set_job(OTHER_JOB_NAME, running_payload(entityFriendlyName="vm2", extendedInfo=None))
    api.edit(jobResourceId=vault.job_id(OTHER_JOB_NAME))
    status = await api.status(observedGeneration=2)
    assert (status["phase"], status["job"]["name"]) == ("Running", OTHER_JOB_NAME)
    assert standing(status)["Ready"] == "Unknown"
    assert status["target"] != before["target"]
    assert not {"extendedInfo", "errors", "completionTime"} & status.keys()
    vault.set_job(OTHER_JOB_NAME, job_payload())
    await operator.poll(sim)
    await api.status(phase="Succeeded")


async def test_another_judgement_of_warnings_starts_the_watch_over(
    api: KubernetesApi, vault: Vault, operator: Operator
) -> None:
    """What counts as success is part of the target: the job is asked about again, and judged anew."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload(status="CompletedWithWarnings"))})
    status = await api.status(phase="Failed")
    assert "spec.completedWithWarnings" in status["message"]
    api.edit(completedWithWarnings="Succeeded")
    await api.status(phase="Succeeded", observedGeneration=2)


async def test_other_edits_of_a_finished_watch_only_restamp_it(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """pollInterval and suspend of a finished watch: one write that changes the generations alone; Azure is not asked."""
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
    """A running watch that is to be polled more often is, and keeps what it has."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "5m"})
    before = await api.status(phase="Running")
    api.edit(**_FOLLOWED)
    after = await api.status(observedGeneration=2)
    assert (after["target"], after["watchStartTime"]) == (before["target"], before["watchStartTime"])
    asked = len(sim.requests)
    for _ in range(3):
        operator.advance(10)
        await asyncio.sleep(0.1)
    assert len(sim.requests) >= asked + 2


async def test_a_suspended_watch_asks_nothing(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Suspension keeps the phase and stops the polls; its end brings one at once."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), **_FOLLOWED})
    await api.status(phase="Running")
    api.edit(suspend=True)
    status = await api.status(observedGeneration=2)
    assert (status["phase"], status["reason"]) == ("Running", "Suspended")
    assert standing(status) == {
        "Ready": "Unknown", "Succeeded": "Unknown", "Finished": "False", "AzureReachable": "Unknown"
    }  # fmt: skip
    asked = len(sim.requests)
    vault.set_job(JOB_NAME, job_payload())
    for _ in range(7):
        operator.advance(10)
        await asyncio.sleep(0.05)
    assert len(sim.requests) == asked
    api.edit(suspend=False)
    await api.status(phase="Succeeded", observedGeneration=3)


async def test_a_watch_may_be_created_suspended(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A watch that begins suspended has a status, but neither a job nor a deadline that runs."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "suspend": True})
    status = await api.status(phase="Pending", reason="Suspended")
    assert not {"job", "watchStartTime", "lastPollTime"} & status.keys()
    assert sim.requests == ()


async def test_suspension_and_its_end_across_a_running_poll(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Suspended and resumed while a timer's poll is under way, the watch is followed on: to the job's end."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), **_FOLLOWED})
    await api.status(phase="Running")
    with sim.hold() as hold:
        await operator.advance_until(lambda: hold.arrivals)
        api.edit(suspend=True)
        await asyncio.sleep(0.1)
        api.edit(suspend=False)
        await asyncio.sleep(0.1)
    await api.status(phase="Running", observedGeneration=3)
    vault.set_job(JOB_NAME, job_payload())
    await operator.advance_to("Succeeded", api)


async def test_suspended_during_a_poll_that_brings_the_end(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A suspended watch does not open its gate, even with an answer that was asked for before."""
    job_id = vault.set_job(JOB_NAME, job_payload())
    with sim.hold() as hold:
        api.create({"jobResourceId": job_id})
        await hold.arrived()
        api.edit(suspend=True)
    status = await api.status(observedGeneration=2)
    assert (status["phase"], status["reason"]) == ("Pending", "Suspended")
    api.edit(suspend=False)
    await api.status(phase="Succeeded")


async def test_a_request_is_acknowledged_after_the_poll_that_it_asks_for(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """requestedAt brings a poll at once, however short ago the last one was, and its echo comes with the result."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "5m"})
    await api.status(phase="Running")
    vault.set_job(JOB_NAME, job_payload())
    asked = time.monotonic()
    api.annotate(reconcile_fluxcd_io__requestedAt="one")
    status = await api.status(phase="Succeeded")
    assert time.monotonic() - asked < 1.0
    assert (status["lastHandledReconcileAt"], status["observedGeneration"]) == ("one", 1)
    assert len(sim.requests) == 2


async def test_requests_are_granted_every_ten_seconds_at_most(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Anybody who may annotate an object can ask for polls: of hundreds of requests, one in ten seconds is granted."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "5m"})
    await api.status(phase="Running")
    for moment in range(4):
        for number in range(50):
            api.annotate(reconcile_fluxcd_io__requestedAt=f"{moment}.{number}")
            await asyncio.sleep(0.001)
        assert len(sim.requests) <= 2 + moment  # the first poll, and the first request
        operator.advance(10)
    await operator.advance_until(lambda: api.get()["status"].get("lastHandledReconcileAt") == "3.49")


async def test_requests_are_no_more_frequent_while_the_status_cannot_be_written(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Azure is asked every ten seconds at most, also where no write succeeds that would acknowledge a request."""
    refusal = api.traffic.fail(STATUS_WRITES, status=422, times=None)
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "5m"})
    await api.until(lambda: refusal.used)
    refusal.end()
    await operator.advance_to("Running", api)
    asked = len(sim.requests)
    api.traffic.fail(STATUS_WRITES, status=422, times=None)
    operator.advance(11)
    for number in range(5):
        api.annotate(reconcile_fluxcd_io__requestedAt=str(number))
        await asyncio.sleep(0.05)
    assert len(sim.requests) == asked + 1


async def test_an_empty_request_is_none(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """An annotation without a value asks for nothing."""
    spec = {"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "5m"}
    api.create(spec, annotations={"reconcile.fluxcd.io/requestedAt": ""})
    await api.status(phase="Running")
    await asyncio.sleep(0.1)
    operator.advance(11)
    await asyncio.sleep(0.1)
    assert len(sim.requests) == 1


@pytest.mark.parametrize("moment", ["being told", "told"])
async def test_a_request_on_a_finished_watch_is_acknowledged_and_no_more(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, moment: str
) -> None:
    """A frozen status takes the echo at once, also while its end is being told, and Azure is not asked."""
    with api.traffic.hold(EVENT_POSTS) as hold:
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
        before = await api.status(phase="Succeeded")
        await hold.arrived()
        if moment == "told":
            hold.release()
            await api.until(api.events)
        api.annotate(reconcile_fluxcd_io__requestedAt="two")
        await asyncio.sleep(0.1)
    after = await api.status(lastHandledReconcileAt="two")
    assert after == {**before, "lastHandledReconcileAt": "two"}
    await operator.advance_until(lambda: len(api.traffic.matching("^GET .*backupjobwatches$")) > 5)
    assert (len(sim.requests), len(api.writes())) == (1, 2)


async def test_a_request_on_a_suspended_watch_is_acknowledged_and_asks_nothing(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Whoever waits for the echo on a suspended watch gets it."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "suspend": True})
    await api.status(reason="Suspended")
    api.annotate(reconcile_fluxcd_io__requestedAt="three")
    await operator.advance_until(lambda: "lastHandledReconcileAt" in api.get()["status"])
    assert sim.requests == ()


@pytest.mark.parametrize("value", ["", "x" * 100_000, "first\nsecond"], ids=["empty", "endless", "two lines"])
async def test_any_request_can_be_echoed(api: KubernetesApi, vault: Vault, operator: Operator, value: str) -> None:
    """Whatever the annotation holds is acknowledged with the first write, as far as there is room."""
    annotations = {"reconcile.fluxcd.io/requestedAt": value}
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())}, annotations=annotations)
    await api.until(api.events)
    await asyncio.sleep(0.1)
    (status,) = api.writes()
    assert status.get("lastHandledReconcileAt", "") == value[:256]


async def test_a_request_during_a_poll_gets_one_of_its_own(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A poll that was under way when it was asked for one is not what was asked for."""
    job_id = vault.set_job(JOB_NAME, running_payload())
    with sim.hold() as hold:
        api.create({"jobResourceId": job_id, "pollInterval": "5m"})
        await hold.arrived()
        api.annotate(reconcile_fluxcd_io__requestedAt="later")
    assert "lastHandledReconcileAt" not in await api.status(phase="Running")
    await operator.advance_until(lambda: api.get()["status"].get("lastHandledReconcileAt") == "later")
    assert len(sim.requests) == 2


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
    """Deleted at any moment, a watch is gone at once, and neither Azure nor the API server hears of it again."""
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
    await asyncio.sleep(0.1)
    if hold is not None:
        hold.release()
    await asyncio.sleep(0.1)
    asked, told = len(sim.requests), len(api.traffic.matching(NAME))
    for _ in range(3):
        operator.advance(10)
        await asyncio.sleep(0.05)
    assert (len(sim.requests), len(api.traffic.matching(NAME))) == (asked, told)
    assert [record.message for record in caplog.records if record.levelno > logging.WARNING] == []


async def test_a_watch_that_waits_for_a_finalizer_is_left_alone(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Deleted, but held by somebody's finalizer, a watch is neither polled nor written to."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), **_FOLLOWED}, finalizers=["example.com/x"])
    await api.until(api.events)
    await asyncio.sleep(0.1)
    api.delete()
    assert "deletionTimestamp" in api.get()["metadata"]
    await asyncio.sleep(0.1)
    asked = len(sim.requests)
    for _ in range(3):
        operator.advance(10)
        await asyncio.sleep(0.05)
    await operator.advance_until(lambda: len(api.traffic.matching("^GET .*backupjobwatches$")) > 3)
    assert (len(sim.requests), len(api.writes())) == (asked, 1)


async def test_an_object_of_the_same_name_is_another_object(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """A finished watch that is deleted and made anew is polled, judged and told about anew."""
    async with start():
        for told in (1, 2):
            api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
            await api.events_told(told)
            api.delete()
    assert len(sim.requests) == 2
    assert len({event["involvedObject"]["uid"] for event in api.events()}) == 2
