"""The operator with lists for many watches: a change in a list reaches its watch before the watch's own tick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.support.builders import job_payload, running_payload
from tests.support.clock import OperatorClock

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi

CROWDED: Final = {"azure_reads_per_second": 0.2, "azure_read_burst": 60, "heartbeat": "1h"}
WATCHES: Final = 30
SELDOM: Final = "5m"


def job_name(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def name(number: int) -> str:
    return f"watch-{number}"


async def watch_each(api: KubernetesApi, sim: AzureSimulator, vault: Vault) -> None:
    """Create the watches, only one with a short interval, and wait until all have been polled."""
    sim.arm.remaining_requests = None  # a high count would raise the rate until it covers all polls
    for number in range(WATCHES):
        job_id = vault.set_job(job_name(number), running_payload(name=job_name(number)))
        api.create({"jobResourceId": job_id, "pollInterval": "10s" if number == 0 else SELDOM}, name(number))
    for number in range(WATCHES):
        await api.status(name(number), phase="Running")


@pytest.mark.parametrize("news", [{}, {"status": "Cancelling"}])
async def test_a_change_is_reported_at_once(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator, news: dict[str, str]
) -> None:
    """A list that one watch triggers reports the change of another watch's job, minutes before that watch's tick."""
    async with start(**CROWDED) as operator:
        clock = OperatorClock(operator)
        await watch_each(api, sim, vault)
        await clock.advance_until(lambda: sim.requests_to("/backupJobs$"), within=300)
        payload = running_payload(**news) if news else job_payload()
        vault.set_job(job_name(7), payload | {"name": job_name(7)})
        since, asked = clock.elapsed, len(sim.requests_to(job_name(7)))
        while api.get(name(7))["status"]["job"]["status"] == "InProgress":
            await clock.advance(1)
            assert clock.elapsed < since + 25
        assert len(sim.requests_to(job_name(7))) == asked + 1
        others = [len(sim.requests_to(job_name(number))) for number in range(1, WATCHES) if number != 7]
        assert sum(others) <= len(others) + 2  # the response to a GET is dropped if a later list was faster


async def test_a_suspended_watch_ignores_lists(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """A suspended watch ignores the lists and requests nothing."""
    async with start(**CROWDED) as operator:
        clock = OperatorClock(operator)
        await watch_each(api, sim, vault)
        await clock.advance_until(lambda: sim.requests_to("/backupJobs$"), within=300)
        api.edit(name(7), suspend=True)
        await api.status(name(7), reason="Suspended")
        asked = len(sim.requests_to(job_name(7)))
        vault.set_job(job_name(7), job_payload())
        lists, since = len(sim.requests_to("/backupJobs$")), clock.elapsed
        while len(sim.requests_to("/backupJobs$")) < lists + 2:
            await clock.advance(1)
            assert clock.elapsed < since + 60
        assert len(sim.requests_to(job_name(7))) == asked
        assert api.get(name(7))["status"]["reason"] == "Suspended"


async def test_many_ends_are_listed(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """If more jobs end than the budget covers, a list of all jobs shows their ends soon, without a GET for each."""
    async with start(**CROWDED | {"azure_read_burst": 40}) as operator:
        clock = OperatorClock(operator)
        await watch_each(api, sim, vault)
        await clock.advance_until(lambda: sim.requests_to("/backupJobs$"), within=300)
        for number in range(1, 21):
            vault.set_job(job_name(number), job_payload() | {"name": job_name(number)})
        await clock.advance_until(
            lambda: all(api.get(name(number))["status"]["phase"] == "Succeeded" for number in range(1, 21)), within=60
        )
        assert any("startTime" in request.query.get("$filter", "") for request in sim.requests_to("/backupJobs$"))
