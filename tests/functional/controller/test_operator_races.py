"""The operator in the races that can open a gate or lose a watch, each provoked deliberately."""

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


# ── edits and replacements during a poll or a write ───────────────────────────────────────────────────────────────────


async def test_a_target_edited_during_a_poll(
    api: KubernetesApi, sim: AzureSimulator, operator: Operator, done: str, going: str
) -> None:
    """The old target's success, requested before the edit, is dropped, and the new target is polled."""
    with sim.hold(JOB_NAME) as hold:
        api.create({"jobResourceId": done})
        await hold.arrived()
        api.edit(jobResourceId=going)
        await operator.idle()
    await api.status(phase="Running", observedGeneration=2)
    assert {write["job"]["name"] for write in api.writes()} == {OTHER_JOB_NAME}


async def test_a_target_edited_during_a_write(
    api: KubernetesApi, sim: AzureSimulator, operator: Operator, done: str, going: str
) -> None:
    """If the target is edited while a success is being written, the API server refuses the write."""
    with api.traffic.hold(STATUS_WRITES) as hold:
        api.create({"jobResourceId": done})
        await hold.arrived()
        api.edit(jobResourceId=going)
        await operator.idle()
    await api.status(phase="Running", observedGeneration=2)
    assert {write["job"]["name"] for write in api.writes()} == {OTHER_JOB_NAME}


async def test_a_target_edited_between_a_refused_write_and_its_reading(
    api: KubernetesApi, sim: AzureSimulator, operator: Operator, done: str, going: str
) -> None:
    """If the second edit after a conflict changes the target, the success of the first target is dropped."""
    with api.traffic.hold(STATUS_WRITES) as writing, api.traffic.hold(READS_OF_ONE) as reading:
        api.create({"jobResourceId": done})
        await writing.arrived()
        api.edit(pollInterval="10s")
        writing.release()
        await reading.arrived()
        api.edit(jobResourceId=going)
        await operator.idle()
    await api.status(phase="Running", observedGeneration=3)
    assert {write["job"]["name"] for write in api.writes()} == {OTHER_JOB_NAME}


async def test_a_deletion_between_a_refused_write_and_its_reading(
    api: KubernetesApi, sim: AzureSimulator, operator: Operator, going: str
) -> None:
    """A watch whose deletion arrives during its reconcile requires no further polls."""
    with api.traffic.hold(STATUS_WRITES) as writing, api.traffic.hold(READS_OF_ONE) as reading:
        api.create({"jobResourceId": going, "pollInterval": "10s"})
        await writing.arrived()
        api.edit(activeDeadlineSeconds=7200)
        writing.release()
        await reading.arrived()
        api.streams.repeat(api.get(), "DELETED")
        await Scrape.until(operator, lambda each: not each.value("backupjobwatch_watches"))
        reading.release()
        await api.until(lambda: len(sim.requests) == 2)  # the reconcile continues and requires the job again
        api.swallow("DELETED")
        api.delete()
    await operator.pass_time(600)
    scrape = await Scrape.of(operator)
    assert scrape.value("backupjobwatch_poll_overdue_seconds") == 0


async def test_a_target_edited_away_and_back_during_a_poll(
    api: KubernetesApi, sim: AzureSimulator, operator: Operator, done: str, going: str
) -> None:
    """If the target is edited away and back during a poll, the response is still used."""
    with sim.hold(JOB_NAME) as hold:
        api.create({"jobResourceId": done})
        await hold.arrived()
        api.edit(jobResourceId=going)
        api.edit(jobResourceId=done)
        await operator.idle()
    await api.status(phase="Succeeded", observedGeneration=3)


async def test_another_field_edited_during_a_poll(
    api: KubernetesApi, sim: AzureSimulator, operator: Operator, done: str
) -> None:
    """Editing the interval does not discard the response to a poll in flight."""
    with sim.hold() as hold:
        api.create({"jobResourceId": done})
        await hold.arrived()
        api.edit(pollInterval="10s")
    await api.status(phase="Succeeded", observedGeneration=2)
    await operator.idle()
    assert len(sim.requests) == 1


@pytest.mark.parametrize("missed", [False, True], ids=["seen", "missed"])
@pytest.mark.parametrize("line", [None, STATUS_WRITES, READS_OF_ONE], ids=["poll", "write", "read"])
async def test_an_object_recreated_under_its_name(
    *,
    api: KubernetesApi,
    sim: AzureSimulator,
    operator: Operator,
    done: str,
    going: str,
    line: str | None,
    missed: bool,
) -> None:
    """The result for one object is never written to another of its name, even if the stream missed the change."""
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
    await operator.idle()
    hold.release()
    await operator.advance_to("Running", api)
    assert {write["job"]["name"] for write in api.writes()} == {OTHER_JOB_NAME}


async def test_polls_of_a_watch_do_not_overlap(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, going: str
) -> None:
    """During a poll, no timer, edit or request starts a second poll of the same watch."""
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


# ── API server failures ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [403, 409, 422, 429, 500, 503, None])
async def test_a_refused_write_is_repeated(
    api: KubernetesApi, operator: Operator, done: str, status: int | None
) -> None:
    """The end of a job is written and its Event emitted as soon as writes succeed again."""
    refusal = api.traffic.fail(STATUS_WRITES, status=status, times=None)
    api.create({"jobResourceId": done, "pollInterval": "10s"})
    await operator.advance_until(lambda: refusal.used > 2)
    assert "phase" not in await api.status()
    refusal.end()
    await operator.advance_to("Succeeded", api)
    await api.until(api.events)


async def test_a_write_whose_response_was_lost(api: KubernetesApi, operator: Operator, done: str) -> None:
    """If the connection breaks after the write, neither the status nor its Event is lost."""
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
async def test_an_event_that_cannot_be_posted_is_dropped(
    api: KubernetesApi, operator: Operator, done: str, status: int
) -> None:
    """An Event is dropped if its namespace is gone or if it already exists."""
    refusal = api.traffic.fail(EVENT_POSTS, status=status, times=None)
    api.create({"jobResourceId": done, "pollInterval": "10s"})
    await api.status(phase="Succeeded")
    await api.until(lambda: refusal.used)
    await operator.advance_until(lambda: len(api.traffic.matching(LISTS)) > 4)
    assert refusal.used == 1


async def test_an_outage_of_the_api_server(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, going: str
) -> None:
    """After an outage of the API server, the operator finds an ended job, a deletion and a new watch."""
    api.create({"jobResourceId": going, "pollInterval": "10s"})
    api.create({"jobResourceId": going, "pollInterval": "10s"}, "unwanted")
    await api.events_emitted(2)
    await api.go_away()
    vault.set_job(OTHER_JOB_NAME, job_payload())
    api.delete("unwanted")
    api.create({"jobResourceId": going}, "new")
    await operator.pass_time(10, 6)
    await api.come_back()
    for name in (NAME, "new"):
        await operator.advance_to("Succeeded", api, name)
    assert await operator.probe("/healthz") == 200


async def test_repeated_conflicts(api: KubernetesApi, operator: Operator, done: str) -> None:
    """After five conflicts in a row, a reconcile stops and the next one writes the status."""
    with api.traffic.hold(STATUS_WRITES) as hold:
        api.create({"jobResourceId": done, "pollInterval": "10s"})
        await hold.arrived()
        refusal = api.traffic.fail(STATUS_WRITES, status=409, times=5)
    await operator.advance_to("Succeeded", api)
    assert refusal.used == 5
