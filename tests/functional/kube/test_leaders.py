"""Tests of several operators with one Lease: one leads, the others are standbys and take over seamlessly."""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
import requests

from tests.functional.leaders import (
    DURATION,
    ELECTION,
    LEASE,
    LEASE_READS,
    RENEWALS,
    RETRY,
    advance_until,
    holder,
    processes,
    ready,
    standby,
    take_over,
    until_ready,
)
from tests.functional.notifying import EVERYBODYS_TURN, SETTINGS, webhook
from tests.support.builders import JOB_NAME, job_payload, running_payload
from tests.support.clock import OperatorClock
from tests.support.kubernetes import EVENT_POSTS, STATUS_WRITES
from tests.support.receiver import Receiver
from tests.support.scrape import Scrape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.functional.leaders import StartProcess
    from tests.support.kubernetes import KubernetesApi


@pytest.fixture
def start_process(api: KubernetesApi, sim: AzureSimulator, tmp_path: Path) -> Iterator[StartProcess]:
    with processes(api, sim, tmp_path) as start_process:
        yield start_process


# ── leader and standby ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_one_leads_and_both_are_ready(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """A standby is live and ready. It follows no watch, sends Azure no request, and reads only the Lease."""
    async with start(**ELECTION) as leader, standby(start) as other:
        leads = holder(api)
        api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "10s"})
        await api.events_emitted(1)
        asked, reads = len(sim.requests), len(api.traffic.matching(LEASE_READS))
        await advance_until(api, lambda: len(sim.requests) >= asked + 5, leader, other)
        assert len(api.traffic.matching(LEASE_READS)) > reads + 20
        assert len(api.traffic.matching("^GET .*/backupjobwatches$")) < 8  # of the leader only, including its resyncs
        assert api.watched == 1
        assert holder(api) == leads
        assert await ready(leader)
        assert await ready(other)


async def test_metrics_show_the_leader(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """A standby serves metrics too, but without watches. The leader metric moves with the Lease."""
    async with contextlib.AsyncExitStack() as stack:
        async with start(**ELECTION) as leader:
            other = await stack.enter_async_context(standby(start))
            api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload())})
            await api.events_emitted(1)
            scrapes = [await Scrape.of(each) for each in (leader, other)]
            for name in ("backupjobwatch_leader", "backupjobwatch_watches"):
                assert [scrape.value(name) for scrape in scrapes] == [1, 0]
        await take_over(api, other)
        scrape = await Scrape.until(other, lambda each: each.value("backupjobwatch_watches") == 1)
        assert scrape.value("backupjobwatch_leader") == 1


async def test_days_as_standby(api: KubernetesApi, start: StartOperator) -> None:
    """A standby stays live and ready after days, and after an outage of the API server."""
    api.leases.put(LEASE, holderIdentity="somebody", leaseDurationSeconds=10**6)
    async with standby(start) as operator:
        await operator.pass_time(3600, 100)
        reads = len(api.traffic.matching(LEASE_READS))
        await api.go_away()
        operator.advance(60)
        await until_ready(operator)
        await api.come_back()
        operator.advance(60)
        await api.until(lambda: len(api.traffic.matching(LEASE_READS)) > reads)


async def test_not_ready_without_the_crd(api: KubernetesApi, start: StartOperator) -> None:
    """An operator without the CRD never requests the Lease and is not ready, so that a rolling update stops."""
    api.crd_installed = False
    async with start(watching=False, **ELECTION) as operator:
        await api.until(lambda: api.traffic.matching("^GET .*/backupjobwatches$"))
        await operator.idle()
        assert await operator.probe("/readyz") == 503
        assert api.traffic.matching("/leases") == []


async def test_not_ready_without_permission_for_the_lease(api: KubernetesApi, start: StartOperator) -> None:
    """An operator that may not read or write the Lease is live but not ready."""
    refusal = api.traffic.fail("/leases", status=403, times=None)
    async with start(watching=False, **ELECTION) as operator:
        await api.until(lambda: refusal.used)
        await operator.idle()
        assert (await operator.probe("/healthz"), await operator.probe("/readyz")) == (200, 503)
        refusal.end()
        operator.advance(RETRY)
        await api.until(lambda: api.watched)
        await operator.idle()
        assert await ready(operator)


async def test_shards_act_side_by_side(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """Operators with different namespaces and Leases lead at the same time, each in its own namespaces."""
    job_id = vault.set_job(JOB_NAME, job_payload())
    async with (
        start(**ELECTION, namespaces="team-a", lease_name="backupjobwatch-a"),
        start(**ELECTION, namespaces="team-b", lease_name="backupjobwatch-b"),
    ):
        for namespace in ("team-a", "team-b"):
            api.create({"jobResourceId": job_id}, namespace=namespace)
            await api.status(namespace=namespace, phase="Succeeded")
        await api.events_emitted(2)
    leases = {request.path for request in api.traffic.matching("^POST .*/leases$|^PUT .*/leases/")}
    assert {path.rpartition("/")[2] for path in leases} == {"leases", "backupjobwatch-a", "backupjobwatch-b"}


async def test_without_election_there_is_no_lease(api: KubernetesApi, start: StartOperator) -> None:
    """By default, the operator requests no Lease and needs no permission for it."""
    async with start() as operator:
        await operator.idle()
    assert api.traffic.matching("/leases") == []


# ── hand-over ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_graceful_stop_hands_over_at_once(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """A stopping leader releases the Lease, and a standby acquires it at its next read. Each Event appears once."""
    job_id = vault.set_job(JOB_NAME, running_payload())
    async with contextlib.AsyncExitStack() as stack:
        async with start(**ELECTION):
            other = await stack.enter_async_context(standby(start))
            api.create({"jobResourceId": job_id, "pollInterval": "10s"})
            before = await api.status(phase="Running")
            await api.events_emitted(1)
        assert "" in [each["holderIdentity"] for each in api.leases.history]  # the standby may hold it already
        vault.set_job(JOB_NAME, job_payload())
        await take_over(api, other)
        assert await ready(other)
        await advance_until(api, lambda: api.get()["status"]["phase"] == "Succeeded", other)
        assert (await api.status())["watchStartTime"] == before["watchStartTime"]
        assert [event["reason"] for event in await api.events_emitted(2)] == ["JobInProgress", "JobCompleted"]
    assert api.leases.get(LEASE)["spec"]["leaseTransitions"] == 1


@pytest.mark.parametrize("meanwhile", ["nothing", "a scrape on a kept connection", "a delivery to be tried again"])
async def test_a_stop_is_not_delayed(api: KubernetesApi, vault: Vault, start: StartOperator, meanwhile: str) -> None:
    """Open scrape connections and pending deliveries do not trigger kopf's 5 s wait for unknown tasks."""
    with requests.Session() as session:
        async with Receiver() as receiver, start(**ELECTION, **SETTINGS) as leader:
            if meanwhile.startswith("a scrape"):
                url = f"http://127.0.0.1:{leader.settings.metrics_port}/metrics"
                assert (await asyncio.to_thread(session.get, url, timeout=60)).status_code == HTTPStatus.OK
            elif meanwhile.startswith("a delivery"):
                receiver.then = 503
                api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "notify": [webhook(receiver.url)]})
                await receiver.received()
            await leader.idle()
            leader.finish()
            async with asyncio.timeout(120):
                while holder(api) != "":  # noqa: ASYNC110 -- no event to await
                    await asyncio.sleep(0.05)


async def test_slow_writes_do_not_delay_renewals(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """The leader renews the Lease even while all its concurrent status writes hang."""
    job_id = vault.set_job(JOB_NAME, running_payload())
    patient = {"lease_renew_deadline": "60s", "lease_duration": "90s"}  # a busy machine may need longer than usual
    with api.traffic.hold(STATUS_WRITES) as hold:
        async with start(**ELECTION, **patient, **EVERYBODYS_TURN) as leader:
            for number in range(150):
                api.create({"jobResourceId": job_id}, f"watch-{number}")
            await hold.arrived()
            await leader.idle()
            before = len(api.traffic.matching(RENEWALS))
            await advance_until(api, lambda: len(api.traffic.matching(RENEWALS)) >= before + 3, leader)
            assert await ready(leader)
            hold.release()


async def test_the_lease_is_released_after_the_last_write(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """A stopping leader holds the Lease until it has written the result of its last reconcile."""
    async with start(**ELECTION) as leader:
        with sim.hold() as hold:
            api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
            await hold.arrived()
            async with OperatorClock(leader).frozen():  # the stop has a time limit
                leader.finish()
                await leader.idle()
                assert holder(api) != ""
    lines = [request.line for request in api.traffic.requests if request.method != "GET"]
    assert [line.rpartition("/")[2] for line in lines if "leases" not in line] == ["status", "events"]
    assert "leases" in lines[-1]
    assert holder(api) == ""


async def test_a_crash_hands_over_within_the_duration(
    api: KubernetesApi, vault: Vault, start: StartOperator, start_process: StartProcess
) -> None:
    """After SIGKILL, no operator acts until the Lease expires. Then the standby leads. Each Event appears once."""
    process = await start_process()
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "10s"})
    await api.events_emitted(1)
    async with standby(start) as other:
        dead = holder(api)
        async with OperatorClock(other).frozen():
            process.kill()
            vault.set_job(JOB_NAME, job_payload())
            await other.pass_time(DURATION - RETRY - 1)
            assert (holder(api), api.watched) == (dead, 0)
        await take_over(api, other)
        await advance_until(api, lambda: api.get()["status"]["phase"] == "Succeeded", other)
        assert [event["reason"] for event in await api.events_emitted(2)] == ["JobInProgress", "JobCompleted"]


async def test_killed_between_the_write_and_its_event(
    api: KubernetesApi, vault: Vault, start: StartOperator, start_process: StartProcess
) -> None:
    """If a leader dies between a status write and its Event, the next leader emits that Event once."""
    process = await start_process()
    async with standby(start) as other:
        with api.traffic.hold(EVENT_POSTS) as hold:
            api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
            await hold.arrived()
            process.kill()
        await take_over(api, other)
        assert [event["reason"] for event in await api.events_emitted(1)] == ["JobCompleted"]
        await other.idle()
    assert (len(api.events()), len(api.writes())) == (1, 1)
