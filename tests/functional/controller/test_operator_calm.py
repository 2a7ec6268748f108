"""The operator while a watch does not change: ticks write nothing, and miss nothing."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.domain.jobs.times import parse_time
from demo.simulator import jobs
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload, running_payload
from tests.support.movable_process import running_movable

if TYPE_CHECKING:
    from pathlib import Path

    from demo.simulator import AzureSimulator, Vault
    from tests.support.kubernetes import KubernetesApi
    from tests.support.movable_process import MovableOperator
    from tests.support.operator import Operator


async def prove_no_writes(api: KubernetesApi, sim: AzureSimulator, operator: Operator | MovableOperator) -> None:
    """Poll the running watch several times, and verify that nothing is written."""
    await api.status(phase="Running")
    before = len(api.writes())
    for _ in range(4):
        sim.clock.advance(10)  # so that the duration grows
        await operator.poll(sim)
    assert len(api.writes()) == before


async def test_a_deadline(api: KubernetesApi, sim: AzureSimulator, vault: Vault, tmp_path: Path) -> None:
    """A job that keeps running fails its watch at the deadline, even if nothing else has changed."""
    async with running_movable(sim.url, tmp_path / "log") as operator:
        api.create({"jobResourceId": vault.add_job(jobs.UNKNOWN), "pollInterval": "10s", "activeDeadlineSeconds": 600})
        await prove_no_writes(api, sim, operator)
        await operator.pass_until(lambda: api.get()["status"]["phase"] == "Failed")
    status = await api.status(reason="DeadlineExceeded")
    started, ended = (parse_time(status[name]) for name in ("watchStartTime", "completionTime"))
    assert started is not None
    assert ended is not None
    assert timedelta(seconds=600) <= ended - started <= timedelta(seconds=660)


async def test_heartbeats(api: KubernetesApi, sim: AzureSimulator, vault: Vault, tmp_path: Path) -> None:
    """Only heartbeats write the growing duration of an otherwise unchanged job."""
    job_id = vault.add_job(jobs.UNKNOWN)
    sim.clock.advance(5)
    async with running_movable(sim.url, tmp_path / "log", HEARTBEAT="5m") as operator:
        api.create({"jobResourceId": job_id, "pollInterval": "10s"})
        await prove_no_writes(api, sim, operator)
        await operator.pass_until(lambda: len(api.writes()) == 3)
    times = [parse_time(write["lastPollTime"]) for write in api.writes()]
    gaps = [later - earlier for earlier, later in pairwise(times) if earlier and later]
    assert len(gaps) == 2
    assert all(timedelta(minutes=5) <= gap <= timedelta(minutes=7) for gap in gaps)
    assert [write["duration"] for write in api.writes()][:2] == ["5s", "45s"]


@pytest.mark.parametrize("ended", ["Completed", "Failed"])
async def test_an_end(api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, ended: str) -> None:
    """The next tick sees the end of the job."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "10s"})
    await prove_no_writes(api, sim, operator)
    vault.set_job(JOB_NAME, job_payload(status=ended))
    await operator.poll(sim)
    await api.status(phase={"Completed": "Succeeded"}.get(ended, ended))
    assert len(api.writes()) == 2


async def test_another_status_of_the_job(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Another status of the job is written. Afterwards the ticks write nothing again."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "10s"})
    await prove_no_writes(api, sim, operator)
    vault.set_job(JOB_NAME, running_payload(status="Cancelling"))
    await operator.poll(sim)
    await api.status(reason="JobCancelling")
    await prove_no_writes(api, sim, operator)
    vault.set_job(JOB_NAME, running_payload())
    await operator.poll(sim)
    await api.status(reason="JobInProgress")


async def test_a_request(api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator) -> None:
    """A reconcile request is acknowledged even if its poll finds nothing new."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "10s"})
    await prove_no_writes(api, sim, operator)
    api.annotate(reconcile_fluxcd_io__requestedAt="one")
    await api.status(lastHandledReconcileAt="one", phase="Running")
    await prove_no_writes(api, sim, operator)


async def test_edits(api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator) -> None:
    """Every kind of edit is acknowledged: of the interval, of suspend, and of the job."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "10s"})
    await prove_no_writes(api, sim, operator)
    api.edit(pollInterval="30s")
    await api.status(observedGeneration=2, phase="Running")
    await prove_no_writes(api, sim, operator)
    api.edit(suspend=True)
    await api.status(observedGeneration=3, reason="Suspended")
    api.edit(suspend=False)
    await api.status(observedGeneration=4, reason="JobInProgress")
    await prove_no_writes(api, sim, operator)
    api.edit(jobResourceId=vault.set_job(OTHER_JOB_NAME, job_payload(name=OTHER_JOB_NAME)))
    await api.status(observedGeneration=5, phase="Succeeded")


async def test_a_shorter_deadline(api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator) -> None:
    """After an edit to the deadline, the watch is judged by the new deadline."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "10s"})
    await prove_no_writes(api, sim, operator)
    api.edit(activeDeadlineSeconds=3)
    await api.status(observedGeneration=2)
    await operator.advance_to("Failed", api)
    assert (await api.status())["reason"] == "DeadlineExceeded"
