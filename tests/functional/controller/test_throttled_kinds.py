"""Azure refuses one kind of request with 429. Recovery Services limits GETs of single jobs separately."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.jobs.times import parse_time
from demo.simulator import Fault, Operation
from tests.functional.watch_groups import (
    FINISHED,
    GETS,
    LISTS,
    all_running,
    phase,
    phases,
    put_job,
    watch_jobs,
    watch_name,
)
from tests.support.azure import IN_VAULT
from tests.support.builders import CANCELLED_AFTER_SNAPSHOT, standing
from tests.support.clock import OperatorClock
from tests.support.movable_process import running_movable

if TYPE_CHECKING:
    from pathlib import Path

    from demo.simulator import AzureSimulator, Vault
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

OPERATION = "cd153561-5e1f-4000-8000-000000000001"
OPERATIONS = "/backupOperations/"
FAILED: dict[str, Any] = {
    "errorDetails": [
        {
            "errorCode": 400239,
            "errorTitle": "UserErrorVmNotFound",
            "errorString": "The virtual machine does not exist.",
            "recommendations": ["Stop protection of the virtual machine."],
        }
    ]
}
MINUTE = 60.0


def refuse(sim: AzureSimulator, path: str, *, seconds: float = 300, by_provider: bool = True) -> None:
    """Refuse all requests to *path* from now on."""
    sim.faults.add(Fault.throttled(retry_after=seconds, by_provider=by_provider), path=path, times=None)


def waiting_watch(api: KubernetesApi) -> None:
    """Create a watch that lists the vault until a job of its item starts."""
    api.create({"latest": {"item": "vm-later"}, "vault": IN_VAULT, "pollInterval": "10s"}, "waiting")


@pytest.mark.parametrize("count", [1, 20])
async def test_gets_are_refused_and_the_jobs_have_completed(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, count: int
) -> None:
    """A list opens the gates. Later, one GET and one write per watch add the detail and change nothing else."""
    clock = OperatorClock(operator)
    watch_jobs(api, [vault], range(count), pollInterval="10s")
    await all_running(api, count)
    refuse(sim, GETS)
    for number in range(count):
        put_job(vault, number, "Completed")
    await clock.advance_until(lambda: phases(api)["Succeeded"] == count, within=60)
    early = {watch_name(number): api.get(watch_name(number))["status"] for number in range(count)}
    for status in early.values():
        assert status["reason"] == "JobCompleted"
        assert status["detailPending"] is True
        assert standing(status)["Complete"] == "True"
    sim.faults.clear()
    await clock.advance_until(
        lambda: not any("detailPending" in api.get(name)["status"] for name in early), within=30 * MINUTE, step=10
    )
    for name, before in early.items():
        after = api.get(name)["status"]
        assert [task["taskId"] for task in after["extendedInfo"]["tasks"]] == [
            "Take Snapshot",
            "Transfer data to vault",
        ]
        for field in ("phase", "reason", "message", "conditions", "completionTime", "job"):
            assert after[field] == before[field]
        assert [write.get("detailPending", False) for write in api.writes(name)][-2:] == [True, False]
    asked = len(sim.requests)
    for _ in range(6):
        await clock.advance(30)
    assert len(sim.requests) == asked


async def test_detail_that_is_pending_survives_a_restart(
    *, api: KubernetesApi, sim: AzureSimulator, vault: Vault, tmp_path: Path
) -> None:
    """A new process reads ``status.detailPending`` and sends the GET, although the watch has finished."""
    async with running_movable(sim.url, tmp_path / "first.log") as operator:
        await api.until(lambda: api.watched)
        watch_jobs(api, [vault], [0], pollInterval="10s")
        await all_running(api, 1)
        refuse(sim, GETS)
        put_job(vault, 0, "Completed")
        await operator.pass_until(lambda: phase(api, watch_name(0)) in FINISHED, steps=12)
    assert api.get(watch_name(0))["status"].get("detailPending") is True
    sim.faults.clear()
    async with running_movable(sim.url, tmp_path / "second.log") as operator:
        await operator.pass_until(lambda: "detailPending" not in api.get(watch_name(0))["status"], step=30)
    status = await api.status(watch_name(0), phase="Succeeded", reason="JobCompleted")
    assert status["extendedInfo"]["tasks"]


async def test_gets_are_refused_and_the_job_has_failed(
    *, api: KubernetesApi, sim: AzureSimulator, vault: Vault, tmp_path: Path
) -> None:
    """The watch waits five minutes for the GET. Then the errors in the list's entry decide."""
    async with running_movable(sim.url, tmp_path / "log") as operator:
        await api.until(lambda: api.watched)
        watch_jobs(api, [vault], [0], pollInterval="10s")
        await all_running(api, 1)
        refuse(sim, GETS, seconds=3600)
        put_job(vault, 0, "Failed", **FAILED)
        ended = datetime.now(UTC)
        await operator.pass_until(lambda: phase(api, watch_name(0)) in FINISHED, steps=45)
    status = await api.status(watch_name(0), phase="Failed", reason="JobFailed")
    assert status["errors"][0]["code"] == "400239"
    assert "The virtual machine does not exist." in status["message"]
    completed = parse_time(status["completionTime"])
    assert completed is not None
    assert timedelta(minutes=4.5) <= completed - ended <= timedelta(minutes=7)


async def test_gets_are_refused_and_a_list_says_completed_with_warnings(
    *, api: KubernetesApi, sim: AzureSimulator, vault: Vault, tmp_path: Path
) -> None:
    """Without errors in the list's entry, only the GET decides: the job may have been cancelled after its snapshot."""
    sim.lists.omits_errors = True
    async with running_movable(sim.url, tmp_path / "log") as operator:
        await api.until(lambda: api.watched)
        watch_jobs(api, [vault], [0], pollInterval="10s", completedWithWarnings="Succeeded")
        watch_jobs(api, [vault], [1], pollInterval="10s")
        await all_running(api, 2)
        refuse(sim, GETS, seconds=60)
        put_job(vault, 0, **CANCELLED_AFTER_SNAPSHOT)
        put_job(vault, 1, "Completed")
        await operator.pass_until(lambda: phase(api, watch_name(1)) == "Succeeded", steps=12)
        for _ in range(40):
            await operator.pass_time(30)
            assert phase(api, watch_name(0)) == "Running"
        sim.faults.clear()
        await operator.pass_until(lambda: phase(api, watch_name(0)) in FINISHED, step=30)
    await api.status(watch_name(0), phase="Failed", reason="JobCancelled")


async def test_lists_are_refused(api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator) -> None:
    """While the provider refuses lists for five minutes, GETs of single jobs continue."""
    clock = OperatorClock(operator)
    waiting_watch(api)
    await api.status("waiting", reason="WaitingForJob")
    watch_jobs(api, [vault], [0], pollInterval="10s")
    await api.status(watch_name(0), phase="Running")
    refuse(sim, LISTS)
    lists = len(sim.requests_to(LISTS))
    await clock.advance_until(lambda: len(sim.requests_to(LISTS)) > lists, within=60)
    put_job(vault, 0, "Completed")
    await clock.advance_until(lambda: phase(api, watch_name(0)) == "Succeeded", within=30)
    assert len(sim.requests_to(LISTS)) == lists + 1


async def test_azure_refuses_all_reads(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    """SubscriptionRequestsThrottled in response to a GET pauses all reads of the identity, and the log says so."""
    clock = OperatorClock(operator)
    waiting_watch(api)
    await api.status("waiting", reason="WaitingForJob")
    watch_jobs(api, [vault], [0], pollInterval="10s")
    await api.status(watch_name(0), phase="Running")
    refuse(sim, GETS, seconds=120, by_provider=False)
    gets = len(sim.requests_to(GETS))
    await clock.advance_until(lambda: len(sim.requests_to(GETS)) > gets, within=60)
    asked = len(sim.requests)
    for _ in range(10):
        await clock.advance(10)
    assert len(sim.requests) == asked
    assert "Paused requests of kind job, list, operation for 2m0s: Azure answered 429" in caplog.text
    sim.faults.clear()
    lists = len(sim.requests_to(LISTS))
    await clock.advance_until(lambda: len(sim.requests_to(LISTS)) > lists, within=60)


async def test_a_second_kind_is_refused(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """If two kinds of request are refused, the third kind (GETs of operations) pauses too."""
    clock = OperatorClock(operator)
    vault.add_operation(Operation.succeeding(OPERATION, "job", after=24 * 3600))
    api.create({"operationId": OPERATION, "vault": IN_VAULT, "pollInterval": "10s"}, "operation")
    waiting_watch(api)
    watch_jobs(api, [vault], [0], pollInterval="10s")
    await api.status("operation", phase="Pending")
    await api.status("waiting", reason="WaitingForJob")
    await api.status(watch_name(0), phase="Running")
    refuse(sim, "/backupJobs", seconds=120)
    before = {path: len(sim.requests_to(path)) for path in (GETS, LISTS)}
    await clock.advance_until(lambda: any(len(sim.requests_to(path)) > before[path] for path in before), within=60)
    for _ in range(3):  # until the second kind is refused too, if it is sent at all
        await clock.advance(10)
    asked = len(sim.requests_to(OPERATIONS))
    for _ in range(7):
        await clock.advance(10)
    assert len(sim.requests_to(OPERATIONS)) == asked
