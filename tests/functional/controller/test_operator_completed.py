"""The operator with ``completedWithin``: a recent backup opens the gate at once, otherwise the next one does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from demo.simulator import Fault
from tests.support.azure import IN_VAULT
from tests.support.builders import (
    CANCELLED_AFTER_SNAPSHOT,
    JOB_NAME,
    OTHER_JOB_NAME,
    THIRD_JOB_NAME,
    at,
    job_payload,
    running_payload,
    standing,
    watch_body,
)
from tests.support.kubernetes import NAME, NAMESPACE

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

LIST = "/backupJobs$"


def spec(within: str = "2h", **fields: Any) -> dict[str, Any]:
    latest = {"item": "vm1", "completedWithin": within}
    return {"latest": latest, "vault": IN_VAULT, "pollInterval": "10s", **fields}


def put(vault: Vault, name: str, ended: float, **properties: Any) -> None:
    """Set a backup of vm1 that took 20 minutes and ended this many minutes from now."""
    times = {"startTime": at(ended - 20), "endTime": at(ended)}
    vault.set_job(name, job_payload(**{**times, "entityFriendlyName": "vm1", **properties}))


def run(vault: Vault, name: str, started: float) -> None:
    """Set a backup of vm1 that started this many minutes from now and runs."""
    vault.set_job(name, running_payload(startTime=at(started), entityFriendlyName="vm1"))


def assert_never_open(api: KubernetesApi) -> None:
    """Verify that no status had an open gate."""
    assert not [
        status
        for status in api.writes()
        if "True" in {standing(status).get(gate) for gate in ("Ready", "Complete", "Succeeded")}
    ]


async def test_a_recent_backup_opens_the_gate_at_once(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """The first list and one GET are enough. A newer backup that failed does not matter, but the message names it."""
    put(vault, JOB_NAME, -60)
    put(vault, OTHER_JOB_NAME, -10, status="Failed")
    api.create(spec())
    status = await api.status(phase="Succeeded")
    assert (status["job"]["name"], [job["name"] for job in status["jobs"]]) == (JOB_NAME, [JOB_NAME])
    assert "within 2h0m0s (spec.latest.completedWithin) before the watch started." in status["message"]
    assert f"ended as Failed (job {OTHER_JOB_NAME})" in status["message"]
    assert [len(sim.requests_to(path)) for path in (LIST, JOB_NAME)] == [1, 1]
    assert len(api.writes()) == 1


async def test_without_a_recent_backup_the_next_one_opens_it(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Older backups and those of other items never open the gate. The watch waits, and follows the next backup."""
    put(vault, JOB_NAME, -125)
    put(vault, OTHER_JOB_NAME, -10, status="Failed")
    put(vault, "11111111-8e2a-4b60-9d45-61f2a8b3c703", -5, entityFriendlyName="vm10")
    put(vault, "22222222-8e2a-4b60-9d45-61f2a8b3c703", -5, operation="Restore")
    put(vault, "33333333-8e2a-4b60-9d45-61f2a8b3c703", -5, endTime=None)
    api.create(spec())
    await api.status(phase="Pending", reason="WaitingForJob")
    await operator.poll(sim, 5)
    assert_never_open(api)
    run(vault, THIRD_JOB_NAME, 0.5)
    await operator.advance_to("Running", api)
    put(vault, THIRD_JOB_NAME, 1)
    await operator.advance_to("Succeeded", api)
    status = await api.status()
    assert (status["job"]["name"], "completedWithin" in status["message"]) == (THIRD_JOB_NAME, False)


async def test_a_backup_that_was_running(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """A backup that ran at the start is the next one. A new process keeps it, although a recent one now matches."""
    run(vault, JOB_NAME, -30)
    async with start():
        api.create(spec())
        await api.status(phase="Running")
    put(vault, OTHER_JOB_NAME, -1)
    listed = len(sim.requests_to(LIST))
    async with start() as operator:
        await operator.poll(sim, 2)
        put(vault, JOB_NAME, 1, status="Failed")
        await operator.advance_to("Failed", api)
    status = await api.status()
    assert (status["job"]["name"], status["reason"]) == (JOB_NAME, "JobFailed")
    assert len(sim.requests_to(LIST)) == listed
    assert_never_open(api)


async def test_a_list_from_before_the_creation(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A watch may use the list of another one. A backup that ended since then, but too early, does not open the gate."""
    run(vault, JOB_NAME, -60)
    other = {**spec(pollInterval="5m"), "latest": {"item": "vm2", "completedWithin": "10m"}}
    api.create(other, name="other")
    await api.status(name="other", reason="WaitingForJob")
    put(vault, JOB_NAME, -20)
    api.create(spec("10m", pollInterval="5m"))
    await api.status(phase="Pending", reason="WaitingForJob")
    assert_never_open(api)


async def test_a_cancelled_backup_with_warnings(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A backup that only its tasks show as cancelled is no recent backup, even if warnings are accepted."""
    put(vault, JOB_NAME, -30, **{**CANCELLED_AFTER_SNAPSHOT, "errorDetails": None})
    api.create(spec(completedWithWarnings="Succeeded"))
    await api.status(phase="Pending", reason="WaitingForJob")
    await operator.poll(sim, 3)
    assert_never_open(api)


@pytest.mark.parametrize(("policy", "phase"), [("Succeeded", "Succeeded"), ("Failed", "Pending")])
async def test_warnings(
    *, api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, policy: str, phase: str
) -> None:
    """``completedWithWarnings`` decides whether a backup with warnings is a recent one."""
    put(vault, JOB_NAME, -30, status="CompletedWithWarnings")
    api.create(spec(completedWithWarnings=policy))
    await api.status(phase=phase, reason="JobCompletedWithWarnings" if phase == "Succeeded" else "WaitingForJob")


async def test_a_restart_between_the_list_and_the_job(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """The new process comes to the same verdict, because the start of the time is that of the object."""
    put(vault, JOB_NAME, -118.5)
    with sim.hold(JOB_NAME) as hold:
        async with start():
            api.create(spec())
            await hold.arrived()
    assert_never_open(api)
    async with start() as operator:
        await operator.advance_to("Succeeded", api)
    assert "before the watch started" in (await api.status())["message"]


async def test_a_list_with_a_page_that_fails(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A part of the list decides nothing: a container with an item of the same name may be on the last page."""
    sim.lists.page_size = 1
    put(vault, JOB_NAME, -30, containerName="c1")
    put(vault, OTHER_JOB_NAME, -60, containerName="c2")
    rule = sim.faults.add(Fault.server_error(), path=LIST, skip=1, times=None)
    api.create(spec())
    await api.status(reason="AzureUnavailable")
    assert_never_open(api)
    sim.faults.remove(rule)
    await operator.advance_until(lambda: api.get()["status"].get("reason") == "AmbiguousItem")
    assert_never_open(api)


async def test_a_revision_restarts_the_time(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """After an edit of the revision, the time before the edit counts. The old backup no longer opens the gate."""
    put(vault, JOB_NAME, -170)
    body = watch_body(spec(revision="v1"), namespace=NAMESPACE, name=NAME, creationTimestamp=at(-60))
    api.plant(body)
    await api.status(phase="Succeeded", revision="v1")
    api.edit(revision="v2")
    status = await api.status(phase="Pending", reason="WaitingForJob", revision="v2")
    assert standing(status)["Ready"] == "Unknown"
    put(vault, OTHER_JOB_NAME, -1)
    api.edit(revision="v3")
    status = await api.status(phase="Succeeded", revision="v3")
    assert status["job"]["name"] == OTHER_JOB_NAME


async def test_a_database(api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator) -> None:
    """A database is refused, because its scheduled backups are not listed."""
    put(
        vault, JOB_NAME, -30, entityFriendlyName="vm1 [host-1]", operation="Backup (Full)", backupManagementType="AzureWorkload"
    )  # fmt: skip
    api.create(spec())
    status = await api.status(phase="Failed", reason="InvalidSpec")
    assert "no scheduled backups of databases" in status["message"]


async def test_a_time_that_the_vault_does_not_list(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """The watch fails without a request, and the message has the limit."""
    api.create(spec("625h"))
    status = await api.status(phase="Failed", reason="InvalidSpec")
    assert "at most 624h" in status["message"]
    assert not sim.requests
