"""The operator while users request immediate polls."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.builders import JOB_NAME, job_payload, running_payload
from tests.support.kubernetes import EVENT_POSTS, STATUS_WRITES

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

_FOLLOWED = {"pollInterval": "10s"}


async def test_a_request_is_acknowledged_after_the_poll_that_it_triggers(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """requestedAt triggers a poll immediately, however recent the last one is. Its echo comes with the result."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "5m"})
    await api.status(phase="Running")
    vault.set_job(JOB_NAME, job_payload())
    asked = time.monotonic()
    api.annotate(reconcile_fluxcd_io__requestedAt="one")
    status = await api.status(phase="Succeeded")
    assert time.monotonic() - asked < 60  # far less than the interval
    assert (status["lastHandledReconcileAt"], status["observedGeneration"]) == ("one", 1)
    assert len(sim.requests) == 2


async def test_requests_are_limited_to_one_in_ten_seconds(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Anyone who may annotate an object can request polls. The operator grants one request every ten seconds."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "5m"})
    await api.status(phase="Running")
    for moment in range(4):
        for number in range(50):
            api.annotate(reconcile_fluxcd_io__requestedAt=f"{moment}.{number}")
            await asyncio.sleep(0.001)
        assert len(sim.requests) <= 2 + moment  # the first poll, and the first request
        operator.advance(10)
    await operator.advance_until(lambda: api.get()["status"].get("lastHandledReconcileAt") == "3.49")


async def test_requests_are_limited_while_status_writes_fail(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Azure gets one request every ten seconds at most, even while no status write succeeds."""
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
        await operator.idle()
    await api.until(lambda: len(sim.requests) > asked)
    await operator.idle()
    assert len(sim.requests) == asked + 1


async def test_an_empty_request_is_none(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """An annotation without a value triggers no poll."""
    spec = {"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "5m"}
    api.create(spec, annotations={"reconcile.fluxcd.io/requestedAt": ""})
    await api.status(phase="Running")
    await operator.pass_time(11)
    assert len(sim.requests) == 1


@pytest.mark.parametrize("moment", ["being told", "told"])
async def test_a_request_on_a_finished_watch_is_only_acknowledged(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, moment: str
) -> None:
    """A finished watch echoes the request immediately, even before its Event is posted, and Azure gets no request."""
    with api.traffic.hold(EVENT_POSTS) as hold:
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
        before = await api.status(phase="Succeeded")
        await hold.arrived()
        if moment == "told":
            hold.release()
            await api.until(api.events)
        api.annotate(reconcile_fluxcd_io__requestedAt="two")
        await operator.idle()
    after = await api.status(lastHandledReconcileAt="two")
    assert after == {**before, "lastHandledReconcileAt": "two"}
    await operator.advance_until(lambda: len(api.traffic.matching("^GET .*backupjobwatches$")) > 5)
    assert (len(sim.requests), len(api.writes())) == (1, 2)


async def test_a_request_on_a_suspended_watch_is_only_acknowledged(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A suspended watch echoes the request without polling."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "suspend": True})
    await api.status(reason="Suspended")
    api.annotate(reconcile_fluxcd_io__requestedAt="three")
    await operator.advance_until(lambda: "lastHandledReconcileAt" in api.get()["status"])
    assert sim.requests == ()


@pytest.mark.parametrize("value", ["", "x" * 100_000, "first\nsecond"], ids=["empty", "endless", "two lines"])
async def test_any_request_can_be_echoed(api: KubernetesApi, vault: Vault, operator: Operator, value: str) -> None:
    """The first write echoes any value of the annotation, up to the length limit."""
    annotations = {"reconcile.fluxcd.io/requestedAt": value}
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())}, annotations=annotations)
    await api.until(api.events)
    await operator.idle()
    (status,) = api.writes()
    assert status.get("lastHandledReconcileAt", "") == value[:256]


async def test_a_request_during_a_poll_gets_one_of_its_own(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A request that arrives during a poll triggers another poll."""
    job_id = vault.set_job(JOB_NAME, running_payload())
    with sim.hold() as hold:
        api.create({"jobResourceId": job_id, "pollInterval": "5m"})
        await hold.arrived()
        api.annotate(reconcile_fluxcd_io__requestedAt="later")
    assert "lastHandledReconcileAt" not in await api.status(phase="Running")
    await operator.advance_until(lambda: api.get()["status"].get("lastHandledReconcileAt") == "later")
    assert len(sim.requests) == 2
