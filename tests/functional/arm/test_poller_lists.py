"""When more is due than the budget covers, the poller reads lists; what ended comes first."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.errors import AuthorizationFailed, JobNotFound, PollDeferred, Throttled
from demo.simulator import AzureSimulator, Fault
from tests.functional.polling import (
    GET,
    LIST,
    OTHER_SUBSCRIPTION,
    THINGS,
    A,
    B,
    ask,
    ask_all,
    job_ids,
    pass_time,
    turns,
)
from tests.support.azure import SUBSCRIPTION_ID, VAULT
from tests.support.builders import job_payload

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job
    from demo.simulator import Vault
    from tests.functional.conftest import OpenPoller


async def test_a_crowd_is_answered_from_a_list(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """When more is due than the budget covers, one list answers many, at once and within the budget."""
    poller, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=20), job_ids(vault, 60)
    await ask_all(poller, jobs)
    sim.clear_requests()
    pass_time(10)
    answers = await ask_all(poller, jobs)
    assert all(not isinstance(answer, PollDeferred) for answer in answers)
    assert sum(answer.partial for answer in answers if not isinstance(answer, PollDeferred)) >= 40
    assert [answer.name for answer in answers if not isinstance(answer, PollDeferred)] == [job.name for job in jobs]
    assert len(sim.requests_to(LIST)) == 1
    assert len(sim.requests) <= 11
    (listed,) = sim.requests_to(LIST)
    assert listed.query["$filter"] == "status eq 'InProgress'"


async def test_a_crowd_that_asks_at_once_lists_once(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """All who ask while the list is on its way wait for it, whoever of them leaves, and ask for nothing else."""
    poller, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=20), job_ids(vault, 60)
    await ask_all(poller, jobs)
    pass_time(10)
    sim.clear_requests()
    with sim.hold(LIST) as hold:
        asked = [asyncio.create_task(ask(poller, job_id)) for job_id in jobs]
        await hold.arrived()
        asked[0].cancel()  # the one that has sent for it
        asked[7].cancel()
        await turns()
        assert len(sim.requests) == 1
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [number for number, answer in enumerate(answers) if isinstance(answer, BaseException)] == [0, 7]
    assert len(sim.requests_to(LIST)) == 1


async def test_who_asks_as_a_list_lands_holds_nobody_up(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """An asker who comes between the end of a list and the waking of those who waited for it is answered like them."""
    poller, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=20), job_ids(vault, 60)
    await ask_all(poller, jobs)
    pass_time(10)
    asked: list[asyncio.Task[Job]] = []

    async def come() -> None:
        while poller._flights._flights:  # one each turn of the event loop, so that one comes in that very turn
            asked.append(asyncio.create_task(ask(poller, jobs[len(asked) % 60])))
            await asyncio.sleep(0)

    sim.clear_requests()
    with sim.hold(LIST) as hold:
        asked.append(asyncio.create_task(ask(poller, jobs[0])))
        await hold.arrived()
        coming = [asyncio.create_task(come()) for _ in range(2)]
    await asyncio.gather(*coming)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert len(asked) > 2
    assert [
        answer for answer in answers if isinstance(answer, BaseException) and not isinstance(answer, PollDeferred)
    ] == []
    assert len(sim.requests_to(LIST)) == 1


async def test_one_list_at_a_time(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a list is out of date when it lands (the process was suspended), one of those who waited sends for the next."""
    poller, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=20), job_ids(vault, 60)
    await ask_all(poller, jobs)
    pass_time(10)
    sim.clear_requests()
    with sim.hold(LIST) as hold:
        asked = [asyncio.create_task(ask(poller, job_id)) for job_id in jobs]
        await hold.arrived()
        await turns()
    while poller._flights._flights:  # noqa: ASYNC110 -- nothing tells it
        await asyncio.sleep(0)
    pass_time(11)  # the list has landed, and none of those who waited has had a turn
    await asyncio.gather(*asked, return_exceptions=True)
    await turns()
    assert "Exception in callback" not in caplog.text
    assert len(sim.requests_to(LIST)) == 2


async def test_ended_jobs_come_first(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """Of a crowd, those that have left the list are fetched whole, though the others ask before them."""
    poller, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=20), job_ids(vault, 60)
    await ask_all(poller, jobs)
    for job_id in jobs[-3:]:
        vault.set_job(job_id.name, job_payload())
    pass_time(6)
    sim.clear_requests()
    answers = await ask_all(poller, jobs)
    ended = [answer for answer in answers[-3:] if not isinstance(answer, PollDeferred)]
    assert [(job.status, job.partial, len(job.tasks)) for job in ended] == [("Completed", False, 2)] * 3
    assert len(sim.requests) <= 10


@pytest.mark.parametrize("after", ["deleted", "never there"])
async def test_a_job_that_no_list_has_is_asked_for_by_itself(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault, after: str
) -> None:
    """That a list leaves a job out says nothing about it: only its own GET does."""
    poller, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=20), job_ids(vault, 40)
    missing = JobId.parse(vault.job_id("00000000-0000-4000-8000-00000000dead"))
    if after == "deleted":
        missing = jobs[-1]
    await ask_all(poller, jobs)
    if after == "deleted":
        vault.delete_job(missing.name)
    pass_time(10)
    await ask_all(poller, jobs[:-1])
    with pytest.raises(JobNotFound):
        await ask(poller, missing)


async def test_a_filter_that_azure_ignores_does_no_harm(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """An ended job that is in the list is not believed to be running, nor is it taken from the list."""
    poller, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=20), job_ids(vault, 40)
    sim.lists.ignores_filter = True
    await ask_all(poller, jobs)
    vault.set_job(jobs[-1].name, job_payload(status="Failed"))
    pass_time(10)
    last = (await ask_all(poller, jobs))[-1]
    assert not isinstance(last, PollDeferred)
    assert (last.status, last.partial) == ("Failed", False)


async def test_two_identities_never_share_a_list(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """What one identity's list says is not told to another, who may not read the vault; nor is it asked for by it."""
    poller, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=20), job_ids(vault, 40)
    await ask_all(poller, jobs)
    pass_time(10)
    assert any(not isinstance(answer, PollDeferred) and answer.partial for answer in await ask_all(poller, jobs))
    sim.access.revoke("principal-b")
    for number, job_id in enumerate(jobs):
        if number < 20:
            with pytest.raises((AuthorizationFailed, PollDeferred)):
                await ask(poller, job_id, B)
    assert "principal-b" in {request.principal for request in sim.requests}


async def test_a_429_in_a_list_stops_that_identity_in_that_subscription(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """After it neither jobs nor lists nor operations are read, until it is over; others go on as they did."""
    poller, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=20), job_ids(vault, 40)
    elsewhere = job_ids(sim.add_vault(OTHER_SUBSCRIPTION, "rg", "vault"), 1)[0]
    await ask_all(poller, jobs)
    pass_time(10)
    sim.faults.add(Fault.throttled(retry_after=120), path=LIST)
    with pytest.raises(Throttled):
        await ask(poller, jobs[0])
    sim.clear_requests()
    for thing in THINGS.values():
        with pytest.raises(PollDeferred, match="left alone"):
            await thing(poller, A)
    pass_time(118)
    with pytest.raises(PollDeferred, match="left alone"):
        await ask(poller, jobs[1])
    assert sim.requests == ()
    await ask(poller, elsewhere)
    await ask(poller, jobs[0], B)
    pass_time(3)
    await ask_all(poller, jobs)
    pass_time(10)
    assert all(not isinstance(answer, PollDeferred) for answer in await ask_all(poller, jobs))


async def test_when_the_crowd_has_gone_gets_come_back(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """The few that are left are asked for one by one again, with all detail."""
    poller, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=20), job_ids(vault, 40)
    for _ in range(2):
        await ask_all(poller, jobs)
        pass_time(10)
    for _ in range(5):
        await ask_all(poller, jobs[:2])
        pass_time(10)
    sim.clear_requests()
    answers = await ask_all(poller, jobs[:2])
    assert [answer.partial for answer in answers if not isinstance(answer, PollDeferred)] == [False, False]
    assert (len(sim.requests_to(LIST)), len(sim.requests_to(GET))) == (0, 2)


async def test_a_vault_that_cannot_be_listed_holds_no_job_back(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """Where a list has more pages than are read, or is not there, the jobs are asked for one by one, within the budget."""
    for trouble in ("pages", "404"):
        poller, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=20), job_ids(vault, 60)
        if trouble == "pages":
            sim.lists.page_size = 1
        else:
            sim.faults.add(Fault.job_not_found(), path=LIST, times=None)
        await ask_all(poller, jobs)
        sim.clear_requests()
        seen, order = set(), random.Random(7)
        for _ in range(60):
            pass_time(10)
            order.shuffle(jobs)
            answers = await ask_all(poller, jobs)
            seen |= {answer.name for answer in answers if not isinstance(answer, PollDeferred)}
        assert seen == {job_id.name for job_id in jobs}
        assert len(sim.requests_to(LIST)) <= 3 * 50
        assert len(sim.requests) <= 60 * 10 + 50 + 20


async def test_a_list_of_many_pages_is_not_read_for_few_jobs(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """Where a vault's list costs more than a GET for each job that is watched there, these are made."""
    poller, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=20), job_ids(vault, 40)
    sim.lists.page_size = 2
    crowd = job_ids(sim.add_vault(SUBSCRIPTION_ID, "rg", "crowd"), 30)
    for _ in range(4):
        await ask_all(poller, [*crowd, *jobs[:5]])
        pass_time(10)
    sim.clear_requests()
    for _ in range(20):
        await ask_all(poller, [*jobs[:5], *crowd])
        pass_time(10)
    assert sim.requests_to(f"{VAULT}/backupJobs$") == ()
    assert {sim.requests_to(job_id.name) != () for job_id in jobs[:5]} == {True}


async def test_a_crowd_that_comes_while_a_list_is_read(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """Who makes a crowd of the few that are left waits for the list that an earlier crowd has sent for."""
    poller, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=200), job_ids(vault, 5)
    others = job_ids(sim.add_vault(SUBSCRIPTION_ID, "rg", "crowd"), 24)

    async def ask_others(seconds: float) -> None:
        for job_id in others:
            with contextlib.suppress(PollDeferred):
                await ask(poller, job_id, seconds=seconds)

    for job_id in jobs[:4]:
        await ask(poller, job_id)
    await ask_others(20)
    pass_time(5)
    with sim.hold(f"{VAULT}/backupJobs$") as hold:
        first = asyncio.create_task(ask(poller, jobs[0]))
        await hold.arrived()
        await ask_others(300)  # no crowd any more
        await ask_others(61)
        second = asyncio.create_task(ask(poller, jobs[4]))
        await turns()
    assert (await first).name == jobs[0].name
    assert (await second).name == jobs[4].name
    assert len(sim.requests_to(f"{VAULT}/backupJobs$")) == 1
