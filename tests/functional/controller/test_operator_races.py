"""The whole operator in the races that can open a gate or lose a watch, each made to happen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload
from tests.support.kubernetes import EVENT_POSTS, NAME, STATUS_WRITES
from tests.support.scrape import Scrape

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

READS_OF_ONE = rf"^GET .*/{NAME}$"
LISTS = "^GET .*/backupjobwatches$"


# ── edits and replacements while something is under way ──────────────────────────────────────────────────────────────


async def test_a_target_edited_during_a_poll(
    api: KubernetesApi, sim: AzureSimulator, operator: Operator, done: str, going: str
) -> None:
    """The old target's success, asked for before the edit, is dropped; the new target is asked about."""
    with sim.hold(JOB_NAME) as hold:
        api.create({"jobResourceId": done})
        await hold.arrived()
        api.edit(jobResourceId=going)
        await asyncio.sleep(0.1)
    await api.status(phase="Running", observedGeneration=2)
    assert {write["job"]["name"] for write in api.writes()} == {OTHER_JOB_NAME}


async def test_a_target_edited_during_a_write(
    api: KubernetesApi, sim: AzureSimulator, operator: Operator, done: str, going: str
) -> None:
    """A success that is being written when the target is edited is refused by the server, and dropped."""
    with api.traffic.hold(STATUS_WRITES) as hold:
        api.create({"jobResourceId": done})
        await hold.arrived()
        api.edit(jobResourceId=going)
        await asyncio.sleep(0.1)
    await api.status(phase="Running", observedGeneration=2)
    assert {write["job"]["name"] for write in api.writes()} == {OTHER_JOB_NAME}


async def test_a_target_edited_between_a_refused_write_and_its_reading(
    api: KubernetesApi, sim: AzureSimulator, operator: Operator, done: str, going: str
) -> None:
    """Edited twice around a conflict, the second time to another target: the first target's success is dropped."""
    with api.traffic.hold(STATUS_WRITES) as writing, api.traffic.hold(READS_OF_ONE) as reading:
        api.create({"jobResourceId": done})
        await writing.arrived()
        api.edit(pollInterval="10s")
        writing.release()
        await reading.arrived()
        api.edit(jobResourceId=going)
        await asyncio.sleep(0.1)
    await api.status(phase="Running", observedGeneration=3)
    assert {write["job"]["name"] for write in api.writes()} == {OTHER_JOB_NAME}


async def test_a_deletion_between_a_refused_write_and_its_reading(
    api: KubernetesApi, sim: AzureSimulator, operator: Operator, going: str
) -> None:
    """Nothing is required any longer for a watch whose deletion arrives while it is reconciled."""
    with api.traffic.hold(STATUS_WRITES) as writing, api.traffic.hold(READS_OF_ONE) as reading:
        api.create({"jobResourceId": going, "pollInterval": "10s"})
        await writing.arrived()
        api.edit(activeDeadlineSeconds=7200)
        writing.release()
        await reading.arrived()
        api.streams.repeat(api.get(), "DELETED")
        await Scrape.until(operator, lambda each: not each.value("backupjobwatch_watches"))
        reading.release()
        await api.until(lambda: len(sim.requests) == 2)  # the reconcile goes on, and requires the job again
        api.swallow("DELETED")
        api.delete()
    operator.advance(600)
    scrape = await Scrape.of(operator)
    assert scrape.value("backupjobwatch_poll_overdue_seconds") == 0


async def test_a_target_edited_away_and_back_during_a_poll(
    api: KubernetesApi, sim: AzureSimulator, operator: Operator, done: str, going: str
) -> None:
    """An answer about a target that is the object's again may be used, and is."""
    with sim.hold(JOB_NAME) as hold:
        api.create({"jobResourceId": done})
        await hold.arrived()
        api.edit(jobResourceId=going)
        api.edit(jobResourceId=done)
        await asyncio.sleep(0.1)
    await api.status(phase="Succeeded", observedGeneration=3)


async def test_another_field_edited_during_a_poll(
    api: KubernetesApi, sim: AzureSimulator, operator: Operator, done: str
) -> None:
    """An edit of how a watch is polled does not cost the answer that is on its way."""
    with sim.hold() as hold:
        api.create({"jobResourceId": done})
        await hold.arrived()
        api.edit(pollInterval="10s")
    await api.status(phase="Succeeded", observedGeneration=2)
    await asyncio.sleep(0.1)
    assert len(sim.requests) == 1


@pytest.mark.parametrize("missed", [False, True], ids=["seen", "missed"])
@pytest.mark.parametrize("line", [None, STATUS_WRITES, READS_OF_ONE], ids=["poll", "write", "read"])
async def test_an_object_made_anew_under_its_name(
    *,
    api: KubernetesApi,
    sim: AzureSimulator,
    operator: Operator,
    done: str,
    going: str,
    line: str | None,
    missed: bool,
) -> None:
    """What was asked for one object is never written to another of its name, seen by the stream or not."""
    hold = api.traffic.hold(line) if line else sim.hold(JOB_NAME)
    api.create({"jobResourceId": done})
    if line == READS_OF_ONE:
        writing = api.traffic.hold(STATUS_WRITES)
        await writing.arrived()
        api.annotate(example="1")
        writing.release()
    await hold.arrived()
    if missed:
        api.swallow("DELETED")
        api.swallow("ADDED")
    api.delete()
    api.create({"jobResourceId": going})
    await asyncio.sleep(0.1)
    hold.release()
    await operator.advance_to("Running", api)
    assert {write["job"]["name"] for write in api.writes()} == {OTHER_JOB_NAME}


async def test_one_step_at_a_time(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, going: str
) -> None:
    """However many timers, edits and requests come while a poll is under way, no second one is made beside it."""
    api.create({"jobResourceId": going, "pollInterval": "10s"})
    await api.status(phase="Running")
    with sim.hold() as hold:
        await operator.advance_until(lambda: hold.arrivals)
        for number in range(6):
            operator.advance(10)
            api.annotate(reconcile_fluxcd_io__requestedAt=str(number))
            api.edit(pollInterval=("30s", "10s")[number % 2])
            await asyncio.sleep(0.05)
        assert hold.arrivals == 1
    await operator.advance_until(lambda: api.get()["status"].get("lastHandledReconcileAt") == "5")


# ── what the API server does not do ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [403, 409, 422, 429, 500, 503, None])
async def test_a_refused_write_is_made_up_for(
    api: KubernetesApi, operator: Operator, done: str, status: int | None
) -> None:
    """The end of a job is written once that is possible again, however long it was not, and told."""
    refusal = api.traffic.fail(STATUS_WRITES, status=status, times=None)
    api.create({"jobResourceId": done, "pollInterval": "10s"})
    await operator.advance_until(lambda: refusal.used > 2)
    assert "phase" not in await api.status()
    refusal.end()
    await operator.advance_to("Succeeded", api)
    await api.until(api.events)


async def test_a_write_that_was_made_though_its_answer_was_lost(
    api: KubernetesApi, operator: Operator, done: str
) -> None:
    """A connection that is cut after the write costs neither the status nor its Event."""
    api.traffic.fail(STATUS_WRITES, status=None, late=True)
    api.create({"jobResourceId": done, "pollInterval": "10s"})
    await api.status(phase="Succeeded")
    await operator.advance_until(api.events)


async def test_an_event_that_could_not_be_posted_is_posted_later(
    api: KubernetesApi, operator: Operator, done: str
) -> None:
    """The gate does not wait for the Event, and the Event is not lost."""
    refusal = api.traffic.fail(EVENT_POSTS, status=500, times=None)
    api.create({"jobResourceId": done, "pollInterval": "10s"})
    await api.status(phase="Succeeded")
    refusal.end()
    await operator.advance_until(api.events)


@pytest.mark.parametrize("status", [404, 409])
async def test_an_event_that_cannot_be_posted_is_let_go(
    api: KubernetesApi, operator: Operator, done: str, status: int
) -> None:
    """Nobody is told where the namespace is gone, or where it was told before."""
    refusal = api.traffic.fail(EVENT_POSTS, status=status, times=None)
    api.create({"jobResourceId": done, "pollInterval": "10s"})
    await api.status(phase="Succeeded")
    await api.until(lambda: refusal.used)
    await operator.advance_until(lambda: len(api.traffic.matching(LISTS)) > 4)
    assert refusal.used == 1


async def test_an_api_server_that_is_gone_for_a_while(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, going: str
) -> None:
    """An outage in which the job ends, a watch is deleted and one is made: afterwards all is as it should be."""
    api.create({"jobResourceId": going, "pollInterval": "10s"})
    api.create({"jobResourceId": going, "pollInterval": "10s"}, "unwanted")
    await api.events_told(2)
    await api.go_away()
    vault.set_job(OTHER_JOB_NAME, job_payload())
    api.delete("unwanted")
    api.create({"jobResourceId": going}, "new")
    for _ in range(6):
        operator.advance(10)
        await asyncio.sleep(0.05)
    await api.come_back()
    for name in (NAME, "new"):
        await operator.advance_to("Succeeded", api, name)
    assert await operator.probe("/healthz") == 200


async def test_somebody_who_edits_all_the_time(api: KubernetesApi, operator: Operator, done: str) -> None:
    """A write that finds the object changed five times over gives way, and the next step writes."""
    with api.traffic.hold(STATUS_WRITES) as hold:
        api.create({"jobResourceId": done, "pollInterval": "10s"})
        await hold.arrived()
        refusal = api.traffic.fail(STATUS_WRITES, status=409, times=5)
    await operator.advance_to("Succeeded", api)
    assert refusal.used == 5
