"""The whole operator in the races that can open a gate or lose a watch, each made to happen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from demo.simulator import Fault
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload, running_payload
from tests.support.kubernetes import EVENT_POSTS, NAME, STATUS_WRITES

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

READS_OF_ONE = rf"^GET .*/{NAME}$"
LISTS = "^GET .*/backupjobwatches$"


@pytest.fixture
def done(vault: Vault) -> str:
    """The ID of a job that has succeeded: what must not open the gate of a watch of another one."""
    return vault.set_job(JOB_NAME, job_payload())


@pytest.fixture
def going(vault: Vault) -> str:
    """The ID of a job that runs."""
    return vault.set_job(OTHER_JOB_NAME, running_payload())


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


# ── what the watch stream does not tell ──────────────────────────────────────────────────────────────────────────────


async def test_a_deletion_that_was_missed(
    api: KubernetesApi, sim: AzureSimulator, operator: Operator, going: str
) -> None:
    """The sweep ends the polls of an object whose deletion nobody told."""
    api.create({"jobResourceId": going, "pollInterval": "10s"})
    await api.status(phase="Running")
    api.swallow("DELETED")
    api.delete()
    lists = len(api.traffic.matching(LISTS))
    await operator.advance_until(lambda: len(api.traffic.matching(LISTS)) > lists)
    await asyncio.sleep(0.1)
    asked = len(sim.requests)
    for _ in range(7):
        operator.advance(10)
        await asyncio.sleep(0.03)
    assert len(sim.requests) == asked


async def test_an_addition_that_was_missed(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, going: str
) -> None:
    """The sweep finds a watch that nobody told of, and follows it to its end."""
    api.swallow("ADDED")
    api.create({"jobResourceId": going, "pollInterval": "10s"})
    await operator.advance_to("Running", api)
    vault.set_job(OTHER_JOB_NAME, job_payload())
    await operator.advance_to("Succeeded", api)


@pytest.mark.parametrize("edit", [{"jobResourceId": None}, {"suspend": True}, {"pollInterval": "1m"}], ids=str)
@pytest.mark.parametrize("phase", ["Running", "Succeeded"])
async def test_an_edit_that_was_missed(
    *, api: KubernetesApi, operator: Operator, done: str, going: str, phase: str, edit: dict[str, Any]
) -> None:
    """An edit that nobody told of is acted upon: by the next tick, whose write is refused, or by the sweep."""
    here, there = (going, done) if phase == "Running" else (done, going)
    api.create({"jobResourceId": here, "pollInterval": "10s"})
    await api.until(api.events)
    await api.status(phase=phase)
    api.swallow("MODIFIED")
    api.edit(**{name: value or there for name, value in edit.items()})
    await operator.advance_until(lambda: api.get()["status"]["observedGeneration"] == 2)
    if "jobResourceId" in edit:
        await operator.advance_until(lambda: api.get()["status"]["phase"] != phase)


async def test_a_request_that_was_missed(
    api: KubernetesApi, sim: AzureSimulator, operator: Operator, done: str
) -> None:
    """A request for a poll that nobody told of is acknowledged."""
    api.create({"jobResourceId": done})
    await api.until(api.events)
    await asyncio.sleep(0.1)
    api.swallow("MODIFIED")
    api.annotate(reconcile_fluxcd_io__requestedAt="missed")
    await operator.advance_until(lambda: api.get()["status"].get("lastHandledReconcileAt") == "missed")


@pytest.mark.parametrize("compacted", [False, True], ids=["goes on", "too old"])
async def test_watch_streams_that_are_cut(
    *, api: KubernetesApi, vault: Vault, operator: Operator, going: str, compacted: bool
) -> None:  # fmt: skip
    """What happened between two streams is found, also where the server does not remember it any more."""
    api.create({"jobResourceId": going, "pollInterval": "10s"}, "doomed")
    api.create({"jobResourceId": going, "pollInterval": "10s"})
    await api.events_told(2)
    for round_ in range(3):
        api.cut_streams()
        await api.until(lambda: not api.watched)
        api.create({"jobResourceId": going}, f"new-{round_}")
        if round_ == 1:
            api.delete("doomed")
        if compacted:
            api.compact()
        await api.until(lambda: api.watched)
        await operator.advance_to("Running", api, f"new-{round_}")
    vault.set_job(OTHER_JOB_NAME, job_payload())
    await operator.advance_to("Succeeded", api)


async def test_a_list_of_many_pages(api: KubernetesApi, start: StartOperator, done: str) -> None:
    """All watches are found at start and by sweeps, where the server lists two at a time."""
    api.page = 2
    for number in range(7):
        api.create({"jobResourceId": done}, f"watch-{number}")
    async with start() as operator:
        for number in range(7):
            await api.status(f"watch-{number}", phase="Succeeded")
        lists = len(api.traffic.matching(LISTS))
        await operator.advance_until(lambda: len(api.traffic.matching(LISTS)) >= lists + 4)
    assert sum(len(api.writes(f"watch-{number}")) for number in range(7)) == 7


BAD_LISTS = [(403, None), (500, None), (None, None), (200, "<html>"), (200, "[]"), (200, "{}")]


@pytest.mark.parametrize(("status", "body"), BAD_LISTS)
async def test_a_list_that_fails_deletes_nothing(
    *, api: KubernetesApi, sim: AzureSimulator, start: StartOperator, going: str, status: int | None, body: str | None
) -> None:
    """Watches are not forgotten because they could not be listed, or because something else answered 200."""
    async with start(sweep_interval="10s") as operator:
        api.create({"jobResourceId": going, "pollInterval": "10s"})
        await api.until(api.events)
        refusal = api.traffic.fail(LISTS, status=status, body=body, times=None)
        for sweeps in (1, 2):
            await operator.advance_until(lambda expected=sweeps: refusal.used >= expected)  # type: ignore[misc]
        for _ in range(3):
            asked = len(sim.requests)
            operator.advance(10)
            await sim.requests_arrived(asked + 1, timeout=2)
            await asyncio.sleep(0.1)


async def test_an_addition_that_was_missed_and_is_undone(api: KubernetesApi, operator: Operator, going: str) -> None:
    """A watch that is gone again when the sweep comes to read it is nobody's business."""
    api.swallow("ADDED")
    api.create({"jobResourceId": going})
    hold = api.traffic.hold(READS_OF_ONE)
    await operator.advance_until(lambda: hold.arrivals)
    api.delete()
    hold.release()
    lists = len(api.traffic.matching(LISTS))
    await operator.advance_until(lambda: len(api.traffic.matching(LISTS)) > lists)
    assert api.writes() == []


async def test_an_outage_of_azure_ends_for_all_watches(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, going: str
) -> None:
    """After an outage that was backed off, the job's end is found; the phase stood still meanwhile."""
    api.create({"jobResourceId": going, "pollInterval": "10s"})
    await api.status(phase="Running")
    sim.faults.add(Fault.reset(), times=None)
    asked = len(sim.requests)
    await operator.advance_until(lambda: len(sim.requests) > asked + 4)
    assert (await api.status(reason="AzureUnavailable"))["phase"] == "Running"
    sim.faults.clear()
    vault.set_job(OTHER_JOB_NAME, job_payload())
    await operator.advance_to("Succeeded", api)
