"""The operator when the watch stream misses events or breaks, and when lists fail."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.constants import CONTROLLER
from backupjobwatch.kube.client import PAGE
from tests.support.builders import OTHER_JOB_NAME, job_payload
from tests.support.kubernetes import NAME

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

READS_OF_ONE = rf"^GET .*/{NAME}$"
LISTS = "^GET .*/backupjobwatches$"


async def test_a_deletion_that_was_missed(
    api: KubernetesApi, sim: AzureSimulator, operator: Operator, going: str
) -> None:
    """The resync stops the polls of a watch whose deletion event was missed."""
    api.create({"jobResourceId": going, "pollInterval": "10s"})
    await api.status(phase="Running")
    api.swallow("DELETED")
    api.delete()
    lists = len(api.traffic.matching(LISTS))
    await operator.advance_until(lambda: len(api.traffic.matching(LISTS)) > lists)
    await operator.idle()
    asked = len(sim.requests)
    await operator.pass_time(10, 7)
    assert len(sim.requests) == asked


async def test_an_addition_that_was_missed(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, going: str
) -> None:
    """The resync finds a watch whose creation event was missed, and follows it to its end."""
    api.swallow("ADDED")
    api.create({"jobResourceId": going, "pollInterval": "10s"})
    await operator.advance_to("Running", api)
    vault.set_job(OTHER_JOB_NAME, job_payload())
    await operator.advance_to("Succeeded", api)


async def test_the_resync_lists_a_watch_before_its_event(
    api: KubernetesApi, vault: Vault, start: StartOperator, done: str, going: str
) -> None:
    """A finished watch does not change, although a list of metadata shows neither its spec nor its status."""
    api.create({"jobResourceId": done}, "finished")
    async with start():
        await api.status("finished", phase="Succeeded")
        await api.events_emitted(1)
    api.create({"jobResourceId": going, "pollInterval": "10s"})
    refusal = api.traffic.fail(LISTS, status=500, times=None, agent="^kopf")
    async with start(watching=False) as operator:
        await operator.advance_to("Running", api)
        refusal.end()
        await operator.advance_until(lambda: api.watched)
        vault.set_job(OTHER_JOB_NAME, job_payload())
        await operator.advance_to("Succeeded", api)
    assert len(api.traffic.matching("^PUT .*/finished/status$")) == 1


@pytest.mark.parametrize("edit", [{"jobResourceId": None}, {"suspend": True}, {"pollInterval": "1m"}], ids=str)
@pytest.mark.parametrize("phase", ["Running", "Succeeded"])
async def test_an_edit_that_was_missed(
    *, api: KubernetesApi, operator: Operator, done: str, going: str, phase: str, edit: dict[str, Any]
) -> None:
    """The next tick, whose write conflicts, or the resync handles an edit whose event was missed."""
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
    """A reconcile request whose event was missed is acknowledged."""
    api.create({"jobResourceId": done})
    await api.until(api.events)
    await operator.idle()
    api.swallow("MODIFIED")
    api.annotate(reconcile_fluxcd_io__requestedAt="missed")
    await operator.advance_until(lambda: api.get()["status"].get("lastHandledReconcileAt") == "missed")


@pytest.mark.parametrize("compacted", [False, True], ids=["goes on", "too old"])
async def test_watch_streams_that_are_cut(
    *, api: KubernetesApi, vault: Vault, operator: Operator, going: str, compacted: bool
) -> None:  # fmt: skip
    """The operator finds what happened between two streams, even if the server has lost the history."""
    api.create({"jobResourceId": going, "pollInterval": "10s"}, "doomed")
    api.create({"jobResourceId": going, "pollInterval": "10s"})
    await api.events_emitted(2)
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
    """The operator finds all watches at its start and in resyncs, even if the server lists two at a time."""
    api.objects.page = 2
    for number in range(7):
        api.create({"jobResourceId": done}, f"watch-{number}")
    async with start() as operator:
        for number in range(7):
            await api.status(f"watch-{number}", phase="Succeeded")
        lists = len(api.traffic.matching(LISTS))
        await operator.advance_until(lambda: len(api.traffic.matching(LISTS)) >= lists + 4)
    assert sum(len(api.writes(f"watch-{number}")) for number in range(7)) == 7


async def test_every_list_is_paged(api: KubernetesApi, start: StartOperator, done: str) -> None:
    """Every list is paged, because a list of ten thousand watches would take tens of megabytes."""
    api.create({"jobResourceId": done})
    async with start():
        await api.status(phase="Succeeded")
    lists = [request for request in api.traffic.matching(LISTS) if "watch" not in request.query]
    assert {request.user_agent.split("/")[0] for request in lists} == {CONTROLLER, "kopf"}
    assert all(1 <= int(request.query.get("limit", 0)) <= PAGE for request in lists)


async def test_a_list_that_grows_too_old(
    api: KubernetesApi, start: StartOperator, done: str, caplog: pytest.LogCaptureFixture
) -> None:
    """If the next page of a list has expired, the list starts over and all watches are found."""
    api.objects.page, api.objects.expiring = 2, 1
    for number in range(7):
        api.create({"jobResourceId": done}, f"watch-{number}")
    async with start() as operator:
        await operator.advance_until(lambda: all(api.writes(f"watch-{number}") for number in range(7)))
    assert "The watch stream failed, retrying in 5s" in caplog.text


BAD_LISTS = [(403, None), (500, None), (None, None), (200, "<html>"), (200, "[]"), (200, "{}")]


@pytest.mark.parametrize(("status", "body"), BAD_LISTS)
async def test_a_list_that_fails_deletes_nothing(
    *, api: KubernetesApi, sim: AzureSimulator, start: StartOperator, going: str, status: int | None, body: str | None
) -> None:
    """No watch is dropped because a list failed or returned an unexpected body with status 200."""
    async with start(resync_interval="10s") as operator:
        api.create({"jobResourceId": going, "pollInterval": "10s"})
        await api.until(api.events)
        refusal = api.traffic.fail(LISTS, status=status, body=body, times=None, agent=f"^{CONTROLLER}")
        for resyncs in (1, 2):
            operator.advance(10)
            await api.until(lambda expected=resyncs: refusal.used >= expected)  # type: ignore[misc]
        async with asyncio.timeout(120):
            for asked in range(len(sim.requests) + 1, len(sim.requests) + 4):
                while len(sim.requests) < asked:
                    operator.advance(10)  # a tick is lost if the operator is still busy with the previous one
                    with contextlib.suppress(TimeoutError):
                        await sim.requests_arrived(asked, timeout=3)


async def test_an_addition_that_was_missed_and_is_undone(api: KubernetesApi, operator: Operator, going: str) -> None:
    """The resync ignores a new watch that is deleted before the resync reads it."""
    api.swallow("ADDED")
    api.create({"jobResourceId": going})
    hold = api.traffic.hold(READS_OF_ONE)
    await operator.advance_until(lambda: hold.arrivals)
    api.delete()
    hold.release()
    lists = len(api.traffic.matching(LISTS))
    await operator.advance_until(lambda: len(api.traffic.matching(LISTS)) > lists)
    assert api.writes() == []
