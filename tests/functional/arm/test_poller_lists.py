"""If more polls are due than the budget covers, the poller reads lists. Ended jobs come first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.errors import JobNotFound, Throttled
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
from tests.support.azure import SUBSCRIPTION_ID, VAULT
from tests.support.builders import job_payload, running_payload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.simulator import Vault
    from tests.functional.conftest import OpenPoller
    from tests.functional.polling import Polling

TIGHT = {"azure_reads_per_second": 1, "azure_read_burst": 20}


def filters(sim: AzureSimulator) -> list[str | None]:
    """Return the filters of the requested lists."""
    return [request.query.get("$filter") for request in sim.requests_to(LIST)]


def ended(polling: Polling, jobs: Sequence[JobId]) -> list[JobId]:
    """Return those of *jobs* whose end the poller has seen."""
    return [job_id for job_id in jobs if (job := polling.job(job_id)) is not None and job.ended]


async def crowd(polling: Polling, jobs: Sequence[JobId]) -> None:
    """Poll more jobs than the budget covers, so that lists replace GETs."""
    polling.require_each(jobs)
    await polling.run(3)


async def test_one_list_serves_many_due_polls(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """If more polls are due than the budget covers, one list per interval answers them all."""
    polling, jobs = open_poller(**TIGHT), job_ids(vault, 60)
    await crowd(polling, jobs)
    sim.clear_requests()
    since = clock()
    await polling.run(3)
    assert polling.seen(jobs, since=since) == set(jobs)
    assert len(sim.requests_to(LIST)) in (3, 4)
    assert len(sim.requests) <= 30 + 20
    assert set(filters(sim)) == {"status eq 'InProgress'"}
    assert not ended(polling, jobs)


async def test_many_watches_at_once_list_once(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """Polls that become due while a list is in flight wait for it, even if other watches are released."""
    polling, jobs = open_poller(**TIGHT), job_ids(vault, 60)
    await crowd(polling, jobs)
    sim.clear_requests()
    since = clock()
    with sim.hold(LIST) as hold:
        pass_time(10)
        for job_id in jobs:
            polling.poller.mark_due(uid_of(job_id))
        await hold.arrived()
        polling.release(jobs[:1])
        polling.release(jobs[7:8])
        for job_id in jobs[8:]:
            polling.poller.mark_due(uid_of(job_id))
        await turns()
    await polling.settle()
    left = [*jobs[1:7], *jobs[8:]]
    assert polling.seen(left, since=since) == set(left)
    assert len(sim.requests_to(LIST)) == 1


async def test_ended_jobs_come_first(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """The poller first reads the details of jobs that are missing from the list."""
    polling, jobs = open_poller(**TIGHT), job_ids(vault, 60)
    await crowd(polling, jobs)
    for job_id in jobs[-3:]:
        vault.set_job(job_id.name, job_payload())
    sim.clear_requests()
    await polling.tick(10)
    await polling.pass_seconds(4)
    found = [polling.job(job_id) for job_id in jobs[-3:]]
    assert [(job.status, job.partial, len(job.tasks)) for job in found if job] == [("Completed", False, 2)] * 3


async def test_many_ended_jobs_are_listed_with_their_end(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """If many jobs end at once, one list of all jobs reports their end instead of a GET for each."""
    polling, jobs = open_poller(**TIGHT), job_ids(vault, 60)
    sim.arm.remaining_requests = None
    await crowd(polling, jobs)
    for job_id in jobs:
        vault.set_job(job_id.name, job_payload())
    sim.clear_requests()
    await polling.tick(10)
    await polling.pass_seconds(9)
    assert ended(polling, jobs) == jobs
    assert any("startTime" in (each or "") for each in filters(sim))
    assert len(sim.requests) <= 20 + 19
    sim.clear_requests()
    await polling.run(7)  # the details follow
    assert [job for job_id in jobs if (job := polling.job(job_id)) is None or job.partial] == []


async def test_the_end_is_seen_while_gets_are_refused(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """While GETs are throttled, a list reports the end of a job."""
    polling, jobs = open_poller(), job_ids(vault, 4)
    polling.require_each(jobs)
    await polling.run(2)
    sim.faults.add(Fault.throttled(retry_after=240, by_provider=True), path=GET, times=None)
    await polling.tick(10)
    for job_id in jobs:
        vault.set_job(job_id.name, job_payload())
    await polling.run(4)
    assert ended(polling, jobs) == jobs
    assert len(sim.requests_to(GET)) <= 4 * 4


@pytest.mark.parametrize("after", ["deleted", "never there"])
async def test_a_job_that_no_list_has_is_read_by_itself(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault, after: str
) -> None:
    """Only its own GET, never a list, shows that a job does not exist."""
    polling, jobs = open_poller(**TIGHT), job_ids(vault, 40)
    missing = jobs[-1] if after == "deleted" else JobId.parse(vault.job_id("00000000-0000-4000-8000-00000000dead"))
    await crowd(polling, [*jobs[:-1], missing])
    if after == "deleted":
        vault.delete_job(missing.name)
    await polling.run(2)
    assert isinstance(polling.error(missing, uid_of(missing)), JobNotFound)
    assert sim.requests_to(missing.name)


async def test_a_filter_that_azure_ignores_does_no_harm(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """If Azure ignores the filter, a listed job that has failed is not taken for a running one."""
    polling, jobs = open_poller(**TIGHT), job_ids(vault, 40)
    sim.lists.ignores_filter = True
    await crowd(polling, jobs)
    vault.set_job(jobs[-1].name, job_payload(status="Failed"))
    await polling.run(2)
    last = polling.job(jobs[-1])
    assert last is not None
    assert (last.status, last.partial) == ("Failed", False)


async def test_gets_resume_for_few_jobs(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """When few jobs remain, the poller reads each of them in full again."""
    polling, jobs = open_poller(**TIGHT), job_ids(vault, 40)
    await crowd(polling, jobs)
    polling.release(jobs[2:])
    await polling.run(3)
    sim.clear_requests()
    since = clock()
    await polling.tick(10)
    assert [job.partial for job_id in jobs[:2] if (job := polling.job(job_id))] == [False, False]
    assert polling.seen(jobs[:2], since=since) == set(jobs[:2])
    assert (len(sim.requests_to(LIST)), len(sim.requests_to(GET))) == (0, 2)


async def test_a_list_of_many_pages_is_not_read_for_few_jobs(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """If a list costs more requests than one GET per watched job, the poller sends the GETs."""
    polling, jobs = open_poller(**TIGHT), job_ids(vault, 40)
    sim.lists.page_size = 2
    many = job_ids(sim.add_vault(SUBSCRIPTION_ID, "rg", "crowd"), 30)
    polling.require_each([*many, *jobs[:5]])
    await polling.run(8)
    sim.clear_requests()
    await polling.run(10)
    assert sim.requests_to(f"{VAULT}/backupJobs$") == ()
    assert {sim.requests_to(job_id.name) != () for job_id in jobs[:5]} == {True}


async def test_an_entry_is_used_for_a_watch_that_comes_later(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """A watch that is created between two lists gets its first result from the latest list."""
    polling, jobs = open_poller(**TIGHT), job_ids(vault, 61)
    await crowd(polling, jobs[:60])
    await polling.pass_seconds(2)
    sim.clear_requests()
    polling.require_each(jobs[60:], interval=30)
    assert polling.job(jobs[60]) is not None
    vault.set_job(jobs[60].name, running_payload(status="Cancelling"))
    await polling.run(2)
    late = polling.job(jobs[60])
    assert late is not None
    assert late.status == "Cancelling"
    assert not isinstance(polling.error(jobs[60], uid_of(jobs[60])), Throttled)
