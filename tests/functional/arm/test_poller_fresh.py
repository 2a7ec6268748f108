"""The poller gets fresh results while lists replace GETs, and falls back to GETs if lists fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backupjobwatch.errors import AzureUnavailable
from demo.simulator import AzureSimulator, Fault
from tests.functional.polling import (
    GET,
    LIST,
    clock,
    job_ids,
    pass_time,
    turns,
    uid_of,
)
from tests.support.builders import job_payload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backupjobwatch.domain.jobs.resource_ids import JobId
    from demo.simulator import Vault
    from tests.functional.conftest import OpenPoller
    from tests.functional.polling import Polling

TIGHT = {"azure_reads_per_second": 1, "azure_read_burst": 20}
HEARTBEAT = 300.0
"""Seconds before the poller retries a list that Azure refused."""


def ended(polling: Polling, jobs: Sequence[JobId]) -> list[JobId]:
    """Return those of *jobs* whose end the poller has seen."""
    return [job_id for job_id in jobs if (job := polling.job(job_id)) is not None and job.ended]


async def crowd(polling: Polling, jobs: Sequence[JobId]) -> None:
    """Poll more jobs than the budget covers, so that lists replace GETs."""
    polling.require_each(jobs)
    await polling.run(3)


async def test_a_fresh_result_is_read_at_once(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """A request by a user does not wait for the next list. The poller sends a GET first."""
    polling, jobs = open_poller(**TIGHT), job_ids(vault, 60)
    await crowd(polling, jobs)
    await polling.pass_seconds(3)
    vault.set_job(jobs[0].name, job_payload(status="Failed"))
    sim.clear_requests()
    await polling.settle()
    assert ended(polling, jobs) == []
    polling.request(uid_of(jobs[0]))
    await polling.pass_seconds(1)
    assert ended(polling, jobs) == jobs[:1]
    assert len(sim.requests_to(jobs[0].name)) == 1
    polling.request(uid_of(jobs[0]))  # an ended job never changes
    await polling.pass_seconds(3)
    assert len(sim.requests_to(jobs[0].name)) == 1


async def test_a_fresh_result_does_not_join_a_list_that_fails(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """A query that must be fresh uses neither the entries nor the error of a list in flight."""
    polling, jobs = open_poller(**TIGHT), job_ids(vault, 60)
    await crowd(polling, jobs)
    with sim.hold(LIST) as hold:
        pass_time(10)
        for job_id in jobs:
            polling.poller.mark_due(uid_of(job_id))
        await hold.arrived()
        pass_time(1)
        since = clock()
        vault.set_job(jobs[0].name, job_payload())
        sim.faults.add(Fault.server_error(), path=LIST, times=1)
        polling.request(uid_of(jobs[0]))
        while not ended(polling, jobs[:1]):
            await turns()
    await polling.settle()
    assert polling.seen(jobs[:1], since=since) == {jobs[0]}
    assert polling.error(jobs[0], uid_of(jobs[0])) is None


async def test_a_fresh_result_from_a_list_while_gets_are_paused(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """While GETs are paused, the poller requests a list to get a fresh result."""
    polling, jobs = open_poller(), job_ids(vault, 2)
    polling.require_each(jobs, interval=300)
    await polling.settle()
    sim.faults.add(Fault.throttled(retry_after=240, by_provider=True), path=GET, times=1)
    pass_time(3)
    since = clock()
    polling.request(uid_of(jobs[0]))
    await polling.settle()
    assert jobs[0] in polling.seen(jobs, since=since)
    assert polling.error(jobs[0], uid_of(jobs[0])) is None


# ── refused lists ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "fault", [Fault.forbidden(), Fault.job_not_found(), Fault.truncated(), Fault.not_an_object()], ids=lambda x: x.kind
)
async def test_a_failed_list_does_not_delay_jobs(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault, fault: Fault
) -> None:
    """If a list fails, the poller reads each job within the budget and retries the list after a heartbeat."""
    polling, jobs = open_poller(**TIGHT, heartbeat=HEARTBEAT), job_ids(vault, 60)
    sim.arm.remaining_requests = None
    sim.faults.add(fault, path=LIST, times=None)
    began = clock()
    polling.require_each(jobs)
    await polling.run(8)
    assert len(sim.requests_to(LIST)) == 1
    assert polling.seen(jobs) == set(jobs)
    assert {polling.error(job_id, uid_of(job_id)) for job_id in jobs} == {None}
    assert len(sim.requests) <= 20 + (clock() - began)
    await polling.run(20)
    assert len(sim.requests_to(LIST)) == 1
    sim.faults.clear()
    sim.clear_requests()
    await polling.run(4)
    assert sim.requests_to(LIST)


async def test_an_outage_of_lists_is_over_with_the_next_interval(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """A 503 for a list is the result of its jobs. The next interval requests the list again."""
    polling, jobs = open_poller(**TIGHT), job_ids(vault, 60)
    await crowd(polling, jobs)
    sim.clear_requests()
    rule = sim.faults.add(Fault.server_error(status=503), path=LIST, times=1)
    await polling.run(1)
    assert rule.used == 1
    failed = [job_id for job_id in jobs if isinstance(polling.error(job_id, uid_of(job_id)), AzureUnavailable)]
    assert len(failed) >= 40
    vault.set_job(jobs[-1].name, job_payload())
    await polling.run(2)
    assert ended(polling, jobs) == jobs[-1:]
    assert {polling.error(job_id, uid_of(job_id)) for job_id in jobs} == {None}


async def test_a_429_to_a_list_does_not_pause_gets(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """While lists are paused, the poller reads each job. After the pause it uses lists again."""
    polling, jobs = open_poller(**TIGHT), job_ids(vault, 60)
    await crowd(polling, jobs)
    sim.faults.add(Fault.throttled(retry_after=120, by_provider=True), path=LIST, times=1)
    await polling.tick(10)
    sim.clear_requests()
    since = clock()
    await polling.run(11)
    assert sim.requests_to(LIST) == ()
    assert polling.seen(jobs, since=since) == set(jobs)
    assert {polling.error(job_id, uid_of(job_id)) for job_id in jobs} == {None}
    await polling.run(4)
    assert sim.requests_to(LIST)
