"""The poller stays within its budget, with one request for all who ask for one thing, and never across two identities."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.domain.jobs.latest_window import list_filter
from backupjobwatch.errors import (
    AuthorizationFailed,
    AzureUnavailable,
    JobNotFound,
    OperationWithoutJob,
    PollDeferred,
    Throttled,
)
from demo.simulator import AzureSimulator, Bucket, Fault, Operation
from tests.functional.polling import (
    OTHER_SUBSCRIPTION,
    THINGS,
    VAULT_ID,
    A,
    B,
    ask,
    ask_all,
    job_ids,
    operation,
    pass_time,
    turns,
    window,
)

if TYPE_CHECKING:
    from backupjobwatch.arm.poller import Poller
    from demo.simulator import Vault
    from tests.functional.conftest import OpenPoller


TEN = timedelta(seconds=10)


@pytest.fixture
def things(vault: Vault) -> None:
    job_ids(vault, 1)
    vault.add_operation(Operation.succeeding("00000000-0000-4000-8000-0000000000aa", job_ids(vault, 1)[0].name))


# ── one flight per access and thing ──────────────────────────────────────────────────────────────────────────────────


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
        await turns()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [True, False, True, False]
    assert answers[1] == answers[3]
    assert len(sim.requests) == 1
    pass_time(5)
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
            with pytest.raises(PollDeferred, match="More is asked of Azure than the budget allows"):
                await ask(poller, job_id, seconds=300)
        for thing in (operation, window):
            with pytest.raises(PollDeferred):
                await thing(poller, A)
    pass_time(2.5)
    answers = [answer for answer in await ask_all(poller, jobs) if not isinstance(answer, PollDeferred)]
    assert len(answers) in (2, 3)
    assert len(sim.requests) <= 8


async def test_one_identitys_budget_is_not_anothers(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """Who has spent his reads has not spent those of others, nor his own of another subscription."""
    poller, jobs = open_poller(azure_reads_per_second=0.05, azure_read_burst=5), job_ids(vault, 6)
    elsewhere = job_ids(sim.add_vault(OTHER_SUBSCRIPTION, "rg", "vault"), 1)[0]
    for job_id in jobs[:5]:
        await ask(poller, job_id, seconds=3000)
    with pytest.raises(PollDeferred):
        await ask(poller, jobs[5], seconds=3000)
    await ask(poller, jobs[5], B, seconds=3000)
    await ask(poller, elsewhere, seconds=3000)


async def test_further_pages_are_paid_for(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """A long list costs as many reads as it has pages."""
    poller = open_poller(azure_reads_per_second=0.1, azure_read_burst=5)
    job_ids(vault, 12)
    sim.lists.page_size = 2
    await window_of_all(poller)
    assert len(sim.requests) == 6
    pass_time(15)
    with pytest.raises(PollDeferred):  # one is still owed
        await window_of_all(poller)
    pass_time(10)
    await window_of_all(poller)


@pytest.mark.parametrize("thing", ["operation", "list"])
async def test_a_stop_is_kept_for_those_who_ask_for_no_job(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault, thing: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What is forgotten after an hour is what nobody uses: not Azure's wish to be left alone, when somebody else comes."""
    caplog.set_level(logging.ERROR, "backupjobwatch.arm.poller")
    poller = open_poller()
    job_ids(vault, 1)
    for _ in range(13):
        with contextlib.suppress(OperationWithoutJob, JobNotFound):
            await THINGS[thing](poller, A)
        pass_time(300)
    sim.faults.add(Fault.throttled(retry_after=600))
    with pytest.raises(Throttled):
        await THINGS[thing](poller, A)
    with contextlib.suppress(OperationWithoutJob, JobNotFound):
        await THINGS[thing](poller, B)
    gc.collect()  # the error that was raised holds what was known, and so does pytest if it is logged
    with pytest.raises(PollDeferred, match="left alone"):
        await THINGS[thing](poller, A)


async def test_those_who_wait_for_a_job_share_lists(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """Many who wait in one vault, each at its own moment of the interval, cost two lists an interval; others their own."""
    poller = open_poller()
    job_ids(vault, 3)
    for _ in range(200):
        assert len(await window(poller, A, seconds=30)) == 3
        pass_time(0.3)
    assert len(sim.requests) <= 4
    await window(poller, B, seconds=30)
    assert len(sim.requests) <= 5
    assert "principal-b" in {request.principal for request in sim.requests}


async def window_of_all(poller: Poller) -> None:
    start = datetime(2018, 5, 1, tzinfo=UTC)  # when the jobs of the builders started
    assert len(await poller.jobs(A, VAULT_ID, filter_=list_filter(start, start + timedelta(28)), interval=TEN)) == 12


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


async def test_a_negative_remainder_slows_down(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """Azure reports -1 when nothing is left: the read rate falls to its minimum, for as long as Azure reports it."""
    poller, jobs = open_poller(azure_reads_per_second=2, azure_read_burst=5), job_ids(vault, 3)
    counts = []
    for sim.arm.remaining_requests in (-1, 249):
        sim.clear_requests()
        for _ in range(300):
            pass_time(1)
            await ask_all(poller, jobs)
        counts.append(len(sim.requests))
    assert counts[0] < 300 * 2 * 0.1
    assert counts[1] > 300 * 2 * 0.7


async def test_a_429_to_a_renewed_token_is_heeded(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """401 with claims, then 429: no request before Retry-After is over, and then the job is read."""
    (job_id,), poller = job_ids(vault, 1), open_poller()
    sim.faults.add(Fault.claims_challenge(), times=1)
    throttled = sim.faults.add(Fault.throttled(retry_after=60), times=1)
    with pytest.raises(Throttled):
        await ask(poller, job_id)
    pass_time(50)
    with pytest.raises(PollDeferred):
        await ask(poller, job_id)
    assert (throttled.used, len(sim.requests)) == (1, 2)
    pass_time(11)
    assert (await ask(poller, job_id)).name == job_id.name
