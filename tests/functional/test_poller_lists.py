"""The poller stays within its budget: by lists, by answers that wait, and never across two identities."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.access import Access
from backupjobwatch.arm.client import ArmClient
from backupjobwatch.arm.credentials import StaticToken
from backupjobwatch.core.arm_ids import JobId, OperationId, VaultId
from backupjobwatch.errors import AuthorizationFailed, AzureUnavailable, JobNotFound, NotAsked, Throttled
from backupjobwatch.poller import Poller
from backupjobwatch.settings import Settings
from demo.simulator import AzureSimulator, Bucket, Fault, Operation
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT
from tests.support.builders import job_payload, running_payload
from tests.support.operator import MovableLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backupjobwatch.core.jobs import Job
    from demo.simulator import Vault

    OpenPoller = Callable[..., Poller]

A = Access(key="team-a/a/1", tokens=StaticToken("token-a"))
B = Access(key="team-b/b/1", tokens=StaticToken("token-b"))
VAULT_ID = VaultId(subscription_id=SUBSCRIPTION_ID, resource_group=RESOURCE_GROUP, name=VAULT)
OTHER_SUBSCRIPTION = "11111111-5e1f-4000-8000-000000000000"
LIST, GET = "/backupJobs$", "/backupJobs/"
DAY = datetime(2026, 3, 4, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _principals(sim: AzureSimulator) -> None:
    sim.tokens.add("token-a", "principal-a")
    sim.tokens.add("token-b", "principal-b")


@pytest.fixture
def open_poller(sim: AzureSimulator) -> Iterator[OpenPoller]:
    clients: list[ArmClient] = []

    def open_poller(**options: Any) -> Poller:
        settings = Settings(azure_endpoint=sim.url, development=True, **options)
        clients.append(ArmClient(settings))
        return Poller(settings, clients[-1])

    yield open_poller
    for client in clients:
        client.close()


def pass_time(seconds: float) -> None:
    """Move this event loop's clock, at once."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MovableLoop)
    loop._advance(seconds)


def job_ids(vault: Vault, count: int) -> list[JobId]:
    """Have so many jobs in progress."""
    names = [f"00000000-0000-4000-8000-{number:012}" for number in range(count)]
    return [JobId.parse(vault.set_job(name, running_payload())) for name in names]


async def ask(poller: Poller, job_id: JobId, access: Access = A, seconds: float = 10) -> Job:
    return await poller.job(access, job_id, interval=timedelta(seconds=seconds))


async def ask_all(poller: Poller, jobs: list[JobId]) -> list[Job | NotAsked]:
    """Ask for one job after the other; all is told at once, though it be that it is not one's turn."""
    answers: list[Job | NotAsked] = []
    for job_id in jobs:
        try:
            answers.append(await ask(poller, job_id))
        except NotAsked as error:
            answers.append(error)
    return answers


# ── one flight per access and thing ──────────────────────────────────────────────────────────────────────────────────


async def operation(poller: Poller, access: Access) -> Any:
    return await poller.operation(access, OperationId(vault=VAULT_ID, name="00000000-0000-4000-8000-0000000000aa"))


async def window(poller: Poller, access: Access) -> Any:
    return await poller.jobs(access, VAULT_ID, start=DAY, end=DAY + timedelta(1))


async def one_job(poller: Poller, access: Access) -> Any:
    return await ask(poller, JobId(vault=VAULT_ID, name="00000000-0000-4000-8000-000000000000"), access)


THINGS = {"job": one_job, "operation": operation, "list": window}


@pytest.fixture
def things(vault: Vault) -> None:
    job_ids(vault, 1)
    vault.add_operation(Operation.succeeding("00000000-0000-4000-8000-0000000000aa", job_ids(vault, 1)[0].name))


@pytest.mark.usefixtures("things")
@pytest.mark.parametrize("thing", THINGS)
async def test_one_flight_for_all_who_ask_for_a_thing(open_poller: OpenPoller, sim: AzureSimulator, thing: str) -> None:
    """Askers of one job, operation or list share a request, whichever of them leaves; the next asks anew."""
    poller = open_poller()
    with sim.hold() as hold:
        asked = [asyncio.create_task(THINGS[thing](poller, A)) for _ in range(4)]
        await hold.arrived()
        asked[0].cancel()
        asked[2].cancel()
        await asyncio.sleep(0.02)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [True, False, True, False]
    assert answers[1] == answers[3]
    assert len(sim.requests) == 1
    assert await THINGS[thing](poller, A) == answers[1]
    assert len(sim.requests) == 2


@pytest.mark.usefixtures("things")
@pytest.mark.parametrize("thing", THINGS)
async def test_two_identities_never_share_a_flight(open_poller: OpenPoller, sim: AzureSimulator, thing: str) -> None:
    """Of two who ask for one thing at the same moment each gets an answer of its own: one the thing, one a refusal."""
    sim.access.revoke("principal-b")
    poller = open_poller()
    with sim.hold():
        first, second = (asyncio.create_task(THINGS[thing](poller, access)) for access in (A, B))
        await sim.requests_arrived(2)
    assert await first
    with pytest.raises(AuthorizationFailed):
        await second
    assert [request.principal for request in sim.requests].count("principal-b") == 1
    assert len({request.authorization_sha256 for request in sim.requests}) == 2


@pytest.mark.usefixtures("things")
@pytest.mark.parametrize("thing", THINGS)
async def test_trouble_is_raised_in_each_that_asked(open_poller: OpenPoller, sim: AzureSimulator, thing: str) -> None:
    """One failure, told to all who wait for it; after that Azure is asked again."""
    poller = open_poller()
    sim.faults.add(Fault.server_error())
    with sim.hold() as hold:
        asked = [asyncio.create_task(THINGS[thing](poller, A)) for _ in range(3)]
        await hold.arrived()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [AzureUnavailable] * 3
    assert await THINGS[thing](poller, A)


# ── the budget ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_when_the_budget_is_spent_the_answer_comes_at_once(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """Nobody waits for a turn; with time the turns come, as many as the rate has brought."""
    poller, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=5), job_ids(vault, 8)
    for job_id in jobs[:5]:
        await ask(poller, job_id, seconds=300)
    with sim.hold():  # which would hold up whoever asks Azure
        for job_id in jobs[5:]:
            with pytest.raises(NotAsked, match="more than the budget|More is asked of Azure than the budget allows"):
                await ask(poller, job_id, seconds=300)
        for thing in (operation, window):
            with pytest.raises(NotAsked):
                await thing(poller, A)
    pass_time(2.5)
    answers = [answer for answer in await ask_all(poller, jobs) if not isinstance(answer, NotAsked)]
    assert len(answers) in (2, 3)
    assert len(sim.requests) <= 8


async def test_one_identitys_budget_is_not_anothers(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """Who has spent his reads has not spent those of others, nor his own of another subscription."""
    poller, jobs = open_poller(azure_reads_per_second=0.01, azure_read_burst=5), job_ids(vault, 6)
    elsewhere = job_ids(sim.add_vault(OTHER_SUBSCRIPTION, "rg", "vault"), 1)[0]
    for job_id in jobs[:5]:
        await ask(poller, job_id, seconds=300)
    with pytest.raises(NotAsked):
        await ask(poller, jobs[5], seconds=300)
    await ask(poller, jobs[5], B, seconds=300)
    await ask(poller, elsewhere, seconds=300)


async def test_further_pages_are_paid_for(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """A long list costs as many reads as it has pages."""
    poller = open_poller(azure_reads_per_second=0.1, azure_read_burst=5)
    job_ids(vault, 12)
    sim.lists.page_size = 2
    await window_of_all(poller)
    assert len(sim.requests) == 6
    pass_time(15)
    with pytest.raises(NotAsked):  # one is still owed
        await window_of_all(poller)
    pass_time(10)
    await window_of_all(poller)


async def window_of_all(poller: Poller) -> None:
    start = datetime(2018, 5, 1, tzinfo=UTC)  # when the jobs of the builders started
    assert len(await poller.jobs(A, VAULT_ID, start=start, end=start + timedelta(28))) == 12


async def test_a_small_remainder_slows_down_before_azure_says_no(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """While Azure's count of what remains falls, reads get rarer; no request is ever refused."""
    poller, jobs = open_poller(azure_reads_per_second=2, azure_read_burst=5), job_ids(vault, 3)
    loop = asyncio.get_running_loop()
    sim.quotas.enable(jobs=Bucket(60, 0.05), now=loop.time)
    for _ in range(300):
        pass_time(1)
        await ask_all(poller, jobs)
    assert sim.quotas.refused == 0
    assert 60 < len(sim.requests) < 60 + 2 * 300


# ── lists in place of GETs ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_crowd_is_answered_from_a_list(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """When more is due than the budget covers, one list answers many, at once and within the budget."""
    poller, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=20), job_ids(vault, 60)
    await ask_all(poller, jobs)
    sim.clear_requests()
    pass_time(10)
    answers = await ask_all(poller, jobs)
    assert all(not isinstance(answer, NotAsked) for answer in answers)
    assert sum(answer.partial for answer in answers if not isinstance(answer, NotAsked)) >= 40
    assert [answer.name for answer in answers if not isinstance(answer, NotAsked)] == [job.name for job in jobs]
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
        await asyncio.sleep(0.05)
        assert len(sim.requests) == 1
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [number for number, answer in enumerate(answers) if isinstance(answer, BaseException)] == [0, 7]
    assert len(sim.requests_to(LIST)) == 1


async def test_ended_jobs_come_first(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """Of a crowd, those that have left the list are fetched whole, though the others ask before them."""
    poller, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=20), job_ids(vault, 60)
    await ask_all(poller, jobs)
    for job_id in jobs[-3:]:
        vault.set_job(job_id.name, job_payload())
    pass_time(6)
    sim.clear_requests()
    answers = await ask_all(poller, jobs)
    ended = [answer for answer in answers[-3:] if not isinstance(answer, NotAsked)]
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
    assert not isinstance(last, NotAsked)
    assert (last.status, last.partial) == ("Failed", False)


async def test_two_identities_never_share_a_list(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """What one identity's list says is not told to another, who may not read the vault; nor is it asked for by it."""
    poller, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=20), job_ids(vault, 40)
    await ask_all(poller, jobs)
    pass_time(10)
    assert any(not isinstance(answer, NotAsked) and answer.partial for answer in await ask_all(poller, jobs))
    sim.access.revoke("principal-b")
    for number, job_id in enumerate(jobs):
        if number < 20:
            with pytest.raises((AuthorizationFailed, NotAsked)):
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
        with pytest.raises(NotAsked, match="left alone"):
            await thing(poller, A)
    pass_time(118)
    with pytest.raises(NotAsked, match="left alone"):
        await ask(poller, jobs[1])
    assert sim.requests == ()
    await ask(poller, elsewhere)
    await ask(poller, jobs[0], B)
    pass_time(3)
    assert all(not isinstance(answer, NotAsked) for answer in await ask_all(poller, jobs))


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
    assert [answer.partial for answer in answers if not isinstance(answer, NotAsked)] == [False, False]
    assert (len(sim.requests_to(LIST)), len(sim.requests_to(GET))) == (0, 2)
