"""A leader that loses its Lease stops before another may lead, and its late writes are refused."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

import pytest

from tests.functional.leaders import (
    DEADLINE,
    DURATION,
    ELECTION,
    LEASE,
    RENEWALS,
    RETRY,
    advance_until,
    deposed,
    ended,
    holder,
    processes,
    ready,
    standby,
    take_over,
)
from tests.support.builders import JOB_NAME, job_payload, running_payload
from tests.support.clock import OperatorClock
from tests.support.kubernetes import STATUS_WRITES

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


async def test_a_leader_that_cannot_renew_stops_before_another_may_begin(
    api: KubernetesApi, vault: Vault, start: StartOperator
) -> None:
    """If renewals fail, the leader stops at its deadline, before a standby may acquire the Lease."""
    vault.set_job(JOB_NAME, running_payload())
    async with contextlib.AsyncExitStack() as stack:
        async with deposed(start(**ELECTION)) as leader:
            other = await stack.enter_async_context(standby(start))
            leads = holder(api)
            refusal = api.traffic.fail(RENEWALS, status=500, times=None)
            other.advance(DEADLINE / 2)
            async with OperatorClock(leader).frozen():
                leader.advance(DEADLINE / 2)
                await api.until(lambda: refusal.used)
                assert await ready(leader)
            leader.advance(DEADLINE / 2)
            await ended(leader)
        assert holder(api) == leads
        refusal.end()
        await take_over(api, other)


async def test_a_leader_without_an_api_server_ends(api: KubernetesApi, start: StartOperator) -> None:
    """A leader that cannot reach the API server stops at its deadline. Its successor waits before it leads."""
    async with deposed(start(**ELECTION)) as leader:
        await api.go_away()
        leader.advance(DEADLINE)
        await ended(leader)
    await api.come_back()
    async with standby(start) as again:
        await take_over(api, again)


async def test_polls_end_with_the_term(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """When the Lease is lost, the operator cancels a poll in flight and never writes its result."""
    with sim.hold() as hold:
        async with deposed(start(**ELECTION)) as leader:
            api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
            await hold.arrived()
            api.leases.put(LEASE, holderIdentity="somebody", leaseDurationSeconds=DURATION)
            leader.advance(RETRY)
            await ended(leader)
        hold.release()
    assert api.traffic.matching(STATUS_WRITES) == []
    assert holder(api) == "somebody"


async def test_a_late_write_is_refused(
    api: KubernetesApi, vault: Vault, start: StartOperator, start_process: StartProcess
) -> None:
    """If a leader hangs during a write and another takes over, the late write fails with 409."""
    process = await start_process()
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "10s"})
    await api.events_emitted(1)
    async with standby(start) as other:
        with api.traffic.hold(STATUS_WRITES) as hold:
            api.edit(pollInterval="30s")
            async with asyncio.timeout(120):
                await hold.arrived()
            hold.stop_holding()
            process.send(signal.SIGSTOP)
            vault.set_job(JOB_NAME, job_payload())
            await take_over(api, other)
            await advance_until(api, lambda: api.get()["status"]["phase"] == "Succeeded", other)
            written = await api.status()
        await api.until(lambda: [each.status for each in api.traffic.matching(STATUS_WRITES)].count(409) == 1)
        process.send(signal.SIGCONT)
        assert await asyncio.to_thread(process.wait) == 1
        assert "is held by" in process.log
        assert "Traceback" not in process.log
        assert await api.status() == written
        assert [event["reason"] for event in await api.events_emitted(2)] == ["JobInProgress", "JobCompleted"]
