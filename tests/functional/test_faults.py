"""Hours of faults, in Azure and in etcd, that the operator's clock shortens to minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from demo.simulator import Fault
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload, running_payload
from tests.support.clock import OperatorClock
from tests.support.kubernetes import EVENT_POSTS, NAME, STATUS_WRITES

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

HOUR = 3600


async def test_an_hour_of_throttling(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, going: str
) -> None:
    """While Azure throttles for an hour, all watches together send one request per Retry-After. Then all succeed."""
    names = [f"watch-{number}" for number in range(5)]
    for name in names:
        api.create({"jobResourceId": going, "pollInterval": "10s"}, name)
        await api.status(name, phase="Running")
    sim.faults.add(Fault.throttled(retry_after=60), times=None)
    clock = OperatorClock(operator)
    asked, until = len(sim.requests), clock.elapsed + HOUR
    while clock.elapsed < until:
        await clock.advance(10)
    assert 10 < len(sim.requests) - asked <= HOUR / 60 + 1
    statuses = [api.get(name)["status"] for name in names]
    assert {(status["phase"], status["reason"]) for status in statuses} == {("Running", "Throttled")}
    sim.faults.clear()
    vault.set_job(OTHER_JOB_NAME, job_payload())
    for name in names:
        await operator.advance_to("Succeeded", api, name)
    told = [(event["involvedObject"]["name"], event["reason"]) for event in await api.events_emitted(15)]
    assert len(set(told)) == 15


@pytest.mark.parametrize(
    "fault",
    [Fault.reset(), Fault.truncated(), Fault.html(), Fault.server_error(), Fault.unauthorized(), Fault.not_an_object()],
    ids=lambda fault: fault.kind,
)
async def test_every_second_answer_is_broken(
    *, api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, going: str, fault: Fault
) -> None:
    """The operator follows a job from start to end even if every second response of Azure is broken."""
    for _ in range(200):
        sim.faults.add(fault, times=1)
        sim.faults.add(Fault(kind="true"), times=1)
    api.create({"jobResourceId": going, "pollInterval": "10s"})
    await operator.advance_to("Running", api)
    await operator.poll(sim, times=4)
    assert api.get()["status"]["phase"] == "Running"
    vault.set_job(OTHER_JOB_NAME, job_payload())
    await operator.advance_to("Succeeded", api)
    assert [write["phase"] for write in api.writes()][-1] == "Succeeded"
    assert "Failed" not in {write["phase"] for write in api.writes()}


async def test_an_hour_without_azure(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, going: str
) -> None:
    """While Azure is unreachable for an hour, the phase stays Running. Afterwards the operator sees the end."""
    api.create({"jobResourceId": going, "pollInterval": "10s"})
    await api.status(phase="Running")
    clock = OperatorClock(operator)
    await sim.stop()
    until = clock.elapsed + HOUR
    while clock.elapsed < until:
        await clock.advance(30)
    assert (await api.status(reason="AzureUnavailable"))["phase"] == "Running"
    vault.set_job(OTHER_JOB_NAME, job_payload())
    await sim.start()
    await operator.advance_to("Succeeded", api)
    assert sorted(event["reason"] for event in await api.events_emitted(3)) == [
        "AzureUnavailable",
        "JobCompleted",
        "JobInProgress",
    ]


async def test_a_name_that_stops_to_resolve(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator, going: str
) -> None:
    """An operator that cannot resolve Azure's name keeps the last status. The next operator continues from it."""
    api.create({"jobResourceId": going, "pollInterval": "10s"})
    async with start():
        await api.status(phase="Running")
    seen = api.get()["status"]["job"]
    async with start(azure_endpoint="https://azure.invalid") as operator:
        await operator.advance_until(lambda: api.get()["status"]["reason"] == "AzureUnavailable")
        status = api.get()["status"]
        assert (status["phase"], status["job"]) == ("Running", seen)
        assert "resolve" in status["message"]
    vault.set_job(OTHER_JOB_NAME, job_payload())
    async with start() as operator:
        await operator.advance_to("Succeeded", api)


async def test_half_an_hour_without_an_api_server(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, going: str
) -> None:
    """After a 30-minute outage, the API server has lost its history. The operator catches up and repeats no Event."""
    api.create({"jobResourceId": going, "pollInterval": "10s"})
    api.create({"jobResourceId": going, "pollInterval": "10s"}, "unwanted")
    await api.events_emitted(2)
    clock = OperatorClock(operator)
    await api.go_away()
    vault.set_job(OTHER_JOB_NAME, job_payload())
    api.delete("unwanted")
    api.create({"jobResourceId": going}, "new")
    until = clock.elapsed + HOUR / 2
    while clock.elapsed < until:
        await clock.advance(30)
    assert await operator.probe("/healthz") == 200
    api.compact()
    await api.come_back()
    for name in (NAME, "new"):
        await operator.advance_to("Succeeded", api, name)
    told = [(event["involvedObject"]["name"], event["reason"]) for event in api.events()]
    assert len(set(told)) == len(told)


@pytest.mark.parametrize("line", [STATUS_WRITES, EVENT_POSTS], ids=["status", "event"])
async def test_a_slow_etcd(api: KubernetesApi, vault: Vault, operator: Operator, line: str) -> None:
    """Requests that time out but still take effect cause one status, one Event, and no early gate."""
    with api.traffic.hold(line) as hold:
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "pollInterval": "10s"})
        await hold.arrived()
        await operator.pass_time(10, 6)
        assert hold.arrivals >= 2
    await operator.advance_to("Succeeded", api)
    await operator.advance_until(api.events)
    await operator.pass_time(120)
    assert [event["reason"] for event in api.events()] == ["JobCompleted"]
    assert len([write for write in api.writes() if write["phase"] == "Succeeded"]) == 1


@pytest.mark.parametrize("status", [500, 503, 504])
async def test_an_etcd_that_times_out(api: KubernetesApi, vault: Vault, operator: Operator, status: int) -> None:
    """Nothing is lost if 30 requests in a row time out in etcd, every third after it took effect."""
    message = "etcdserver: request timed out"
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "10s"})
    await api.status(phase="Running")
    for number in range(30):
        api.traffic.fail("", status=status, message=message, late=number % 3 == 0)
    vault.set_job(JOB_NAME, job_payload())
    await operator.advance_to("Succeeded", api)
    await operator.advance_until(lambda: len(api.events()) == 2)
    assert [event["reason"] for event in api.events()] == ["JobInProgress", "JobCompleted"]
