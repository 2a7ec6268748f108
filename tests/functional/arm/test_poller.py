"""The poller asks once for all who ask for one job, and not at all while Azure wants to be left alone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.arm.client import ArmClient
from backupjobwatch.arm.credentials import StaticToken
from backupjobwatch.arm.identities import Credential
from backupjobwatch.arm.poller import Poller
from backupjobwatch.domain.jobs.job import Job
from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.errors import AzureUnavailable, PollDeferred, Throttled
from backupjobwatch.observability.metrics.instruments import Metrics
from backupjobwatch.settings import Settings
from demo.simulator import AzureSimulator, Fault
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload
from tests.support.canary import TOKEN
from tests.support.operator import MovableLoop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.simulator import Vault


class Asker:
    """Asks a poller for jobs, always with the same access."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._access = Credential(key="operator", principal="operator", tokens=StaticToken(TOKEN))

    async def job(self, job_id: JobId) -> Job:
        return await self._poller.job(self._access, job_id, interval=timedelta(seconds=30))


@pytest.fixture
def poller(sim: AzureSimulator) -> Iterator[Asker]:
    settings = Settings(azure_endpoint=sim.url, development=True)
    client = ArmClient(settings, Metrics())
    yield Asker(Poller(settings, client, Metrics()))
    client.close()


@pytest.fixture
def job_id(vault: Vault) -> JobId:
    return JobId.parse(vault.set_job(JOB_NAME, job_payload()))


@pytest.fixture
def other_job_id(vault: Vault) -> JobId:
    return JobId.parse(vault.set_job(OTHER_JOB_NAME, job_payload()))


def pass_time(seconds: float) -> None:
    """Move this event loop's clock."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MovableLoop)
    loop.advance(seconds)


async def test_one_flight_for_all_who_ask_for_a_job(
    poller: Asker, sim: AzureSimulator, job_id: JobId, other_job_id: JobId
) -> None:
    """Askers of one job, in any letter case, share a request; another job has its own; later ones ask anew."""
    with sim.hold():
        shouted = JobId.parse(str(job_id).upper())
        asked = [asyncio.create_task(poller.job(each)) for each in (job_id, shouted, job_id, other_job_id)]
        await sim.requests_arrived(2)
    jobs = await asyncio.gather(*asked)
    assert all(isinstance(job, Job) for job in jobs)
    assert len(sim.requests) == 2
    await poller.job(job_id)
    assert len(sim.requests) == 3


async def test_an_asker_that_leaves_takes_nobody_with_it(poller: Asker, sim: AzureSimulator, job_id: JobId) -> None:
    """A cancelled asker, even the first, ends neither the request nor the others' wait."""
    with sim.hold() as hold:
        first, second = (asyncio.create_task(poller.job(job_id)) for _ in range(2))
        await hold.arrived()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    assert isinstance(await second, Job)
    assert len(sim.requests) == 1


async def test_when_all_askers_leave_the_flight_lands_alone(poller: Asker, sim: AzureSimulator, job_id: JobId) -> None:
    """A request that nobody waits for any more is joined by the next asker."""
    with sim.hold() as hold:
        only = asyncio.create_task(poller.job(job_id))
        await hold.arrived()
        only.cancel()
        late = asyncio.create_task(poller.job(job_id))
        await asyncio.sleep(0.05)
    assert isinstance(await late, Job)
    assert len(sim.requests) == 1


async def test_trouble_is_an_answer_for_all(poller: Asker, sim: AzureSimulator, job_id: JobId) -> None:
    """Trouble is raised in each that asked; the next time Azure is asked again."""
    sim.faults.add(Fault.server_error())
    with sim.hold() as hold:
        asked = [asyncio.create_task(poller.job(job_id)) for _ in range(3)]
        await hold.arrived()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [AzureUnavailable] * 3
    assert isinstance(await poller.job(job_id), Job)


@pytest.mark.parametrize("fault", [Fault.throttled(retry_after=60), Fault.server_error(status=503, retry_after=60)])
async def test_a_retry_after_stops_the_subscription_and_no_other(
    poller: Asker, sim: AzureSimulator, job_id: JobId, other_job_id: JobId, fault: Fault
) -> None:
    """Azure throttles by subscription: all its jobs are left alone until then, and at once after; others go on."""
    elsewhere = sim.add_vault("11111111-5e1f-4000-8000-000000000000", "rg", "vault")
    elsewhere_id = JobId.parse(elsewhere.set_job(JOB_NAME, job_payload()))
    sim.faults.add(fault)
    with pytest.raises((Throttled, AzureUnavailable)):
        await poller.job(job_id)
    for each in (job_id, other_job_id, JobId.parse(str(job_id).upper())):
        with pytest.raises(PollDeferred, match="left alone"):
            await poller.job(each)
    assert isinstance(await poller.job(elsewhere_id), Job)
    assert len(sim.requests) == 2
    pass_time(58)
    await asyncio.sleep(0)
    with pytest.raises(PollDeferred):
        await poller.job(other_job_id)
    pass_time(3)
    await asyncio.sleep(0)
    assert isinstance(await poller.job(other_job_id), Job)


async def test_a_shorter_wait_does_not_shorten_a_longer_one(
    poller: Asker, sim: AzureSimulator, job_id: JobId, other_job_id: JobId
) -> None:
    """Of two answers that come in one after the other the later end counts."""
    sim.faults.add(Fault.throttled(retry_after=600), path=JOB_NAME)
    sim.faults.add(Fault.throttled(retry_after=1), path=OTHER_JOB_NAME)
    with sim.hold(OTHER_JOB_NAME) as hold:
        short = asyncio.create_task(poller.job(other_job_id))
        await hold.arrived()
        with pytest.raises(Throttled):
            await poller.job(job_id)
    with pytest.raises(Throttled):
        await short
    pass_time(500)
    await asyncio.sleep(0)
    with pytest.raises(PollDeferred):
        await poller.job(job_id)
    pass_time(101)
    await asyncio.sleep(0)
    assert isinstance(await poller.job(job_id), Job)


async def test_a_wait_of_nothing_is_none(poller: Asker, sim: AzureSimulator, job_id: JobId) -> None:
    """Retry-After: 0 stops nobody."""
    sim.faults.add(Fault.throttled(retry_after=0))
    with pytest.raises(Throttled):
        await poller.job(job_id)
    assert isinstance(await poller.job(job_id), Job)
