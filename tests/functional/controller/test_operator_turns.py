"""The operator with a spent read budget: a waiting watch is polled in seconds, not at its next tick.

Except in the last test, each job is in its own vault, so that no list covers several jobs.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.builders import RESOURCE_GROUP, SUBSCRIPTION, job_payload, running_payload
from tests.support.clock import OperatorClock
from tests.support.kubernetes import EVENT_POSTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi

BURST: Final = 5
TIGHT: Final = {"azure_reads_per_second": 1.0, "azure_read_burst": BURST}
WATCHES: Final = 15
MANY: Final = 40
SOON: Final = 2.0 * WATCHES
"""Seconds. The interval is ten times as long."""


def job_name(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def watch_each(api: KubernetesApi, sim: AzureSimulator) -> None:
    """Create all watches. Azure reports no count of remaining requests, so the configured rate applies."""
    sim.arm.remaining_requests = None
    watch_all(api, [sim.add_vault(SUBSCRIPTION, RESOURCE_GROUP, f"rsv-{number}") for number in range(WATCHES)])


def watch_all(api: KubernetesApi, vaults: Sequence[Vault]) -> None:
    """Create one watch per vault, each with its own job."""
    for number, vault in enumerate(vaults):
        job_id = vault.set_job(job_name(number), running_payload(name=job_name(number)))
        api.create({"jobResourceId": job_id, "pollInterval": "5m"}, f"watch-{number}")


def polls(sim: AzureSimulator) -> Counter[str]:
    """Count the requests for each job."""
    return Counter(request.path.rsplit("/", 1)[1] for request in sim.requests)


async def deferred(api: KubernetesApi, sim: AzureSimulator) -> list[str]:
    """Wait until the budget is spent, and return the watches that were not polled. Their statuses are not written."""

    def find() -> list[str] | None:
        statuses = {name: api.get(name)["status"] for name in (f"watch-{number}" for number in range(WATCHES))}
        polled = [name for name, status in statuses.items() if "job" in status]
        if len(polled) < BURST:
            return None
        assert all("phase" not in status for name, status in statuses.items() if name not in polled)
        return [name for name in statuses if name not in polled]

    found = await api.until(find)
    assert len(found) >= WATCHES - len(sim.requests) > 0
    return found


async def test_all_watches_are_polled_soon(api: KubernetesApi, sim: AzureSimulator, start: StartOperator) -> None:
    """All watches are polled as fast as the budget allows, each once, and not again before the next tick."""
    async with start(**TIGHT) as operator:
        clock = OperatorClock(operator)
        watch_each(api, sim)
        await deferred(api, sim)
        while clock.elapsed < SOON:
            await clock.advance(0.5)
            assert len(sim.requests) <= BURST + clock.elapsed
        assert polls(sim) == Counter(job_name(number) for number in range(WATCHES))
        for number in range(WATCHES):
            assert api.get(f"watch-{number}")["status"]["phase"] == "Running"
        while clock.elapsed < 100:
            await clock.advance(2)
        assert max(polls(sim).values()) == 1


async def test_a_poll_due_during_a_reconcile_is_not_lost(
    api: KubernetesApi, sim: AzureSimulator, start: StartOperator
) -> None:
    """A watch whose last Event is still being posted is polled soon afterwards, not at its next tick."""
    async with start(**TIGHT) as operator:
        clock = OperatorClock(operator)
        with api.traffic.hold(EVENT_POSTS) as hold:
            watch_each(api, sim)
            await deferred(api, sim)
            for _ in range(10):
                await clock.advance(1)
            hold.release()
        while clock.elapsed < 10 + SOON:
            await clock.advance(0.5)
        assert polls(sim) == Counter(job_name(number) for number in range(WATCHES))


async def test_a_deleted_watch_is_not_polled(api: KubernetesApi, sim: AzureSimulator, start: StartOperator) -> None:
    """The operator sends no request for watches that are deleted while they wait. The others are polled."""
    async with start(**TIGHT) as operator:
        clock = OperatorClock(operator)
        async with clock.frozen():
            watch_each(api, sim)
            gone = (await deferred(api, sim))[::2]
            for name in gone:
                api.delete(name)
            requests = len(api.traffic.matching(f"/({'|'.join(gone)})(/|$)"))
            names = {job_name(int(name.removeprefix("watch-"))) for name in gone}
            asked = polls(sim)
            while clock.elapsed < SOON:
                await clock.advance(0.5)
            assert {name: polls(sim)[name] for name in names} == {name: asked[name] for name in names}
            assert len(api.traffic.matching(f"/({'|'.join(gone)})(/|$)")) == requests
            assert polls(sim).keys() >= {job_name(number) for number in range(WATCHES)} - names


async def test_a_stop_while_they_wait(api: KubernetesApi, sim: AzureSimulator, start: StartOperator) -> None:
    """An operator that stops drops the waiting polls and sends no more requests."""
    async with start(**TIGHT) as operator:
        watch_each(api, sim)
        await deferred(api, sim)
        operator.finish()
    assert len(sim.requests) < WATCHES


@pytest.mark.parametrize("what", ["request", "edit"])
async def test_explicit_requests_are_handled_soon(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator, what: str
) -> None:
    """If the budget is spent, a request or an edit is still handled soon, however recent the last poll is."""
    async with start(**TIGHT) as operator:
        clock = OperatorClock(operator)
        api.create({"jobResourceId": vault.set_job(job_name(99), running_payload()), "pollInterval": "5m"})
        await api.status(phase="Running")
        watch_each(api, sim)
        await deferred(api, sim)
        before = clock.elapsed
        vault.set_job(job_name(99), job_payload(status="Completed"))
        vault.set_job(job_name(98), job_payload(status="Completed"))
        if what == "request":
            api.annotate(reconcile_fluxcd_io__requestedAt="one")
        else:
            api.edit(jobResourceId=vault.job_id(job_name(98)))
        while api.get()["status"]["phase"] != "Succeeded":
            await clock.advance(0.5)
            assert clock.elapsed < before + SOON


async def test_one_list_serves_many_waiting_watches(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """If more watches wait than the budget covers, one list serves all of them instead of a GET each."""
    async with start(**TIGHT) as operator:
        clock = OperatorClock(operator)
        watch_all(api, [vault] * MANY)
        waiting = [f"watch-{number}" for number in range(MANY)]
        while any("job" not in api.get(name)["status"] for name in waiting):
            await clock.advance(0.5)
            assert clock.elapsed < 2 * MANY
        assert polls(sim)["backupJobs"] == 1
        # Only watches before the list, and the few that the list did not cover, had a GET.
        assert len(sim.requests) < MANY / 2
