"""The poller stays within its read budget, which follows Azure's remaining requests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from demo.simulator import AzureSimulator, Bucket, Fault, Operation
from tests.functional.polling import (
    LIST,
    OPERATION,
    OTHER_SUBSCRIPTION,
    QUERIES,
    WINDOW,
    B,
    clock,
    job_ids,
    pass_time,
    uid_of,
)

if TYPE_CHECKING:
    from demo.simulator import Vault
    from tests.functional.conftest import OpenPoller


@pytest.fixture(autouse=True)
def operation(vault: Vault) -> None:
    """An operation and its running job."""
    (job_id,) = job_ids(vault, 1)
    vault.add_operation(Operation.succeeding(OPERATION.name, job_id.name))


async def test_the_budget_is_never_exceeded(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """After the burst, the poller sends requests at the configured rate."""
    polling, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=5), job_ids(vault, 12)
    sim.arm.remaining_requests = None
    sim.faults.add(Fault.forbidden(), path=LIST, times=None)
    polling.require_each(jobs, interval=300)
    await polling.settle()
    assert len(sim.requests) == 5
    for second in range(1, 8):
        pass_time(1)
        await polling.settle()
        assert len(sim.requests) == 5 + second
    await polling.pass_seconds(30)
    assert polling.seen(jobs) == set(jobs)


async def test_each_budget_is_of_one_principal_in_one_subscription(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """Each principal has a separate budget in each subscription."""
    polling, jobs = open_poller(azure_reads_per_second=0.05, azure_read_burst=5), job_ids(vault, 6)
    elsewhere = job_ids(sim.add_vault(OTHER_SUBSCRIPTION, "rg", "vault"), 1)
    for job_id in jobs:
        polling.require_each([job_id], interval=3000)
        await polling.settle()
    assert polling.seen(jobs) == set(jobs[:5])
    polling.require_each(jobs[5:], namespace=B, interval=3000)
    polling.require_each(elsewhere, interval=3000)
    await polling.settle()
    assert polling.job(jobs[5], B) is not None
    assert polling.job(elsewhere[0]) is not None
    assert polling.job(jobs[5]) is None


@pytest.mark.parametrize("kind", QUERIES)
async def test_each_query_is_paid_for(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault, kind: str) -> None:
    """Jobs, operations and lists share one budget. The poller knows why a query waits."""
    polling, jobs = open_poller(azure_reads_per_second=0.1, azure_read_burst=5), job_ids(vault, 6)[1:]
    polling.require_each(jobs, interval=300)
    await polling.settle()
    polling.require("watch", QUERIES[kind], interval=300)
    await polling.settle()
    assert polling.observation(QUERIES[kind]) is None
    assert "used up the read budget" in polling.poller.waiting_for("watch")
    await polling.pass_seconds(9)
    assert polling.observation(QUERIES[kind]) is None
    await polling.pass_seconds(1)
    assert polling.observation(QUERIES[kind]) is not None
    assert len(sim.requests) == 6


async def test_further_pages_are_paid_for(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """A list of six pages takes six tokens. Other reads get tokens in between."""
    polling, jobs = open_poller(azure_reads_per_second=0.1, azure_read_burst=5), job_ids(vault, 12)
    sim.lists.page_size = 2
    polling.require("list", WINDOW, interval=300)
    await polling.settle()
    assert len(sim.requests) == 5
    assert polling.observation(WINDOW, "list") is None
    polling.require_each(jobs[:1], interval=300)
    await polling.pass_seconds(20)
    assert polling.observation(WINDOW, "list") is not None
    assert polling.job(jobs[0]) is not None
    assert len(sim.requests) == 7


async def test_watches_of_one_list_cost_one_list(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """Many watches of one list, each with its own ticks, cost at most two lists per interval."""
    polling = open_poller()
    job_ids(vault, 3)
    for number in range(200):
        polling.require(f"watch-{number}", WINDOW, interval=30)
    await polling.settle()
    sim.clear_requests()
    for number in range(200):  # one interval
        pass_time(0.15)
        polling.poller.mark_due(f"watch-{number}")
        await polling.settle()
    assert len(sim.requests) in (1, 2)


async def test_explicit_requests_come_first(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """Polls that users request take priority, but at most half of the tokens."""
    polling, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=5), job_ids(vault, 100)
    sim.arm.remaining_requests = None
    sim.faults.add(Fault.forbidden(), path=LIST, times=None)
    polling.require_each(jobs)
    await polling.run(12)
    await polling.tick(10)
    since = clock()
    for job_id in jobs[40:70]:
        polling.request(uid_of(job_id))
    await polling.pass_seconds(20)
    explicit = polling.seen(jobs[40:70], since=since)
    others = polling.seen({*jobs} - {*jobs[40:70]}, since=since)
    assert 8 <= len(explicit) <= 13
    assert len(others) >= 8


# ── Azure's remaining requests ───────────────────────────────────────────────────────────────────────────────────────


async def test_few_remaining_requests_slow_the_poller_down(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """The poller slows down while Azure's remaining requests fall, so that Azure refuses none."""
    polling, jobs = open_poller(azure_reads_per_second=2, azure_read_burst=5), job_ids(vault, 3)
    sim.quotas.enable(jobs=Bucket(60, 0.05), now=asyncio.get_running_loop().time)
    for job_id in jobs:
        polling.require_each([job_id], interval=1)
    for _ in range(300):
        await polling.tick(1)
    assert sim.quotas.refused == 0
    assert 60 < len(sim.requests) < 60 + 2 * 300


@pytest.mark.parametrize(
    ("remaining", "share"), [(-1, (0, 0.1)), (25, (0.3, 0.6)), (None, (0.8, 1.1)), (5000, (1.5, 4.1))]
)
async def test_the_rate_follows_the_remainder(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault, remaining: int | None, share: tuple[float, float]
) -> None:
    """Few remaining requests slow the reads down, many speed them up, and no count changes nothing."""
    polling, jobs = open_poller(azure_reads_per_second=2, azure_read_burst=5), job_ids(vault, 40)
    sim.faults.add(Fault.forbidden(), path=LIST, times=None)
    sim.arm.remaining_requests = remaining
    polling.require_each(jobs)
    await polling.run(6)
    sim.clear_requests()
    await polling.run(12)
    assert share[0] * 2 * 120 <= len(sim.requests) <= share[1] * 2 * 120
