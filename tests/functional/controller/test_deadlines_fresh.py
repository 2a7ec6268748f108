"""At its deadline, a watch is judged only by the response to a request sent after the deadline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.jobs.times import format_time, parse_time
from demo.simulator import Fault, Operation
from tests.functional.watch_groups import (
    FINISHED,
    LISTS,
    all_running,
    deadline_passed,
    job_name,
    phase,
    put_job,
    watch_jobs,
    watch_name,
)
from tests.support.azure import IN_VAULT
from tests.support.clock import OperatorClock
from tests.support.kubernetes import NAMESPACE
from tests.support.movable_process import running_movable

if TYPE_CHECKING:
    from pathlib import Path

    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

OPERATION = "cd153561-5e1f-4000-8000-000000000001"
LIST_READS: dict[str, Any] = {"azure_reads_per_second": 0.2, "azure_read_burst": 60, "heartbeat": "1h"}
"""A read budget that makes the operator use lists for thirty watches."""
OTHERS = 30


@pytest.mark.parametrize("jobs", [2, 12])
async def test_all_jobs_of_an_operation_complete_before_the_deadline(
    api: KubernetesApi, vault: Vault, operator: Operator, jobs: int
) -> None:
    """A list from seconds ago shows running jobs. At the deadline, the operator reads the jobs again."""
    names = [job_name(number) for number in range(jobs)]
    vault.add_operation(Operation.succeeding(OPERATION, *names, after=0))
    for number in range(jobs):
        put_job(vault, number)
    spec = {"operationId": OPERATION, "vault": IN_VAULT, "pollInterval": "5m", "activeDeadlineSeconds": 5}
    api.create(spec)
    await api.status(phase="Running")
    for number in range(jobs):
        put_job(vault, number, "Completed")
    await deadline_passed(api)
    api.annotate(reconcile_fluxcd_io__requestedAt="one")
    status = await api.until(lambda: api.get()["status"] if phase(api) in FINISHED else None)
    assert (status["phase"], status["reason"]) == ("Succeeded", "JobCompleted"), status["message"]


async def test_a_list_in_flight_at_the_deadline(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """A watch whose deadline has passed sends its own request. It ignores the error of another watch's list."""
    async with start(**LIST_READS) as operator:
        clock = OperatorClock(operator)
        watch_jobs(api, [vault], range(OTHERS), pollInterval="10s")
        await all_running(api, OTHERS)
        await clock.advance_until(lambda: sim.requests_to(LISTS), within=60)
        watch_jobs(api, [vault], [OTHERS], pollInterval="5m", activeDeadlineSeconds=5)
        due = watch_name(OTHERS)
        await clock.advance_until(lambda: phase(api, due) == "Running", within=120)
        put_job(vault, OTHERS, "Completed")
        with sim.hold(LISTS) as hold:
            await clock.advance_until(lambda: hold.arrivals, within=60)
            sim.faults.add(Fault.server_error(status=503), path=LISTS)
            await deadline_passed(api, due)
            api.annotate(due, reconcile_fluxcd_io__requestedAt="one")
            await clock.advance(0.5, rounds=5)
        await clock.advance_until(lambda: phase(api, due) in FINISHED, within=120)
        status = api.get(due)["status"]
        assert (status["phase"], status["reason"]) == ("Succeeded", "JobCompleted"), status["message"]


TEMPORARY = [
    Fault.throttled(retry_after=120),
    Fault.throttled(retry_after=120, by_provider=True),
    Fault.server_error(status=503),
    Fault.truncated(),
    Fault.reset(),
]


@pytest.mark.parametrize("fault", TEMPORARY, ids=["throttled", "throttled by provider", "503", "truncated", "reset"])
async def test_azure_cannot_answer_at_the_deadline(
    *, api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, fault: Fault
) -> None:
    """After its deadline, the watch waits until Azure responds that the job has completed, and then succeeds."""
    clock = OperatorClock(operator)
    watch_jobs(api, [vault], [0], pollInterval="10s", activeDeadlineSeconds=5)
    name = watch_name(0)
    await api.status(name, phase="Running")
    put_job(vault, 0, "Completed")
    sim.faults.add(fault, times=None)
    asked = len(sim.requests)
    await clock.advance_until(lambda: len(sim.requests) > asked, within=60)
    await deadline_passed(api, name)
    for _ in range(6):
        await clock.advance(10)
        assert phase(api, name) == "Running", api.get(name)["status"]["message"]
    sim.faults.clear()
    await clock.advance_until(lambda: phase(api, name) in FINISHED, within=600, step=10)
    status = api.get(name)["status"]
    assert (status["phase"], status["reason"]) == ("Succeeded", "JobCompleted")


async def test_a_refusal_at_the_deadline(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A 403 ends the wait: after its deadline, a watch does not wait for a role assignment."""
    clock = OperatorClock(operator)
    watch_jobs(api, [vault], [0], pollInterval="10s", activeDeadlineSeconds=5)
    await api.status(watch_name(0), phase="Running")
    sim.faults.add(Fault.forbidden(), times=None)
    await deadline_passed(api, watch_name(0))
    await clock.advance_until(lambda: phase(api, watch_name(0)) in FINISHED, within=120, step=10)
    assert (await api.status(watch_name(0), phase="Failed"))["reason"] == "DeadlineExceeded"


async def test_the_wait_after_the_deadline_ends(
    *, api: KubernetesApi, sim: AzureSimulator, vault: Vault, tmp_path: Path
) -> None:
    """While Azure throttles for hours, the watch fails one hour and two intervals after its deadline, not earlier."""
    async with running_movable(sim.url, tmp_path / "log") as operator:
        await api.until(lambda: api.watched)
        watch_jobs(api, [vault], [0], pollInterval="10s", activeDeadlineSeconds=600)
        name = watch_name(0)
        await api.status(name, phase="Running")
        sim.faults.add(Fault.throttled(retry_after=60), times=None)
        await operator.pass_until(lambda: phase(api, name) in FINISHED, step=30)
    status = await api.status(name, phase="Failed", reason="DeadlineExceeded")
    started, ended = (parse_time(status[field]) for field in ("watchStartTime", "completionTime"))
    assert started is not None
    assert ended is not None
    late = ended - started - timedelta(seconds=600)
    assert timedelta(hours=1) <= late <= timedelta(hours=1, minutes=5)


async def test_a_restart_long_after_the_deadline(
    *, api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """The hour counts from the first poll due in this process, even if the deadline passed during a downtime."""
    name = watch_name(0)
    async with start():
        watch_jobs(api, [vault], [0], pollInterval="10s", activeDeadlineSeconds=3600)
        await api.status(name, phase="Running")
    body = api.get(name)
    api.delete(name)
    body["status"]["watchStartTime"] = format_time(datetime.now(UTC) - timedelta(hours=5))
    api.objects.plant((NAMESPACE, name), body)
    put_job(vault, 0, "Completed")
    sim.faults.add(Fault.throttled(retry_after=60), times=None)
    async with start() as operator:
        clock = OperatorClock(operator)
        for _ in range(60):
            await clock.advance(30)
            assert phase(api, name) == "Running", api.get(name)["status"]["message"]
        sim.faults.clear()
        await clock.advance_until(lambda: phase(api, name) in FINISHED, within=300, step=10)
    await api.status(name, phase="Succeeded", reason="JobCompleted")
