"""The operator with ``spec.latest``: it waits for the next job of an item, pins it, and never switches."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from demo.simulator import Fault
from tests.support.azure import IN_VAULT, RESOURCE_GROUP, SUBSCRIPTION_ID
from tests.support.builders import (
    JOB_NAME,
    OTHER_JOB_NAME,
    THIRD_JOB_NAME,
    at,
    condition,
    job_payload,
    running_payload,
    standing,
)

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

LIST = "/backupJobs$"


def spec(**latest: Any) -> dict[str, Any]:
    latest = {"item": "VM1", "startedAfter": at(-10), **latest}
    return {"latest": latest, "vault": IN_VAULT, "pollInterval": "10s"}


def put(vault: Vault, name: str, minutes: float, *, ended: bool = False, **properties: Any) -> None:
    """Set a job of vm1 that started this many minutes from now."""
    make = job_payload if ended else running_payload
    vault.set_job(name, make(**{"startTime": at(minutes), "entityFriendlyName": "vm1", **properties}))


async def test_pins_the_first_job(api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator) -> None:
    """Waiting for a job is not a failure. The watch pins the first job after startedAfter, whatever starts later."""
    put(vault, THIRD_JOB_NAME, -60, ended=True)
    put(vault, "11111111-8e2a-4b60-9d45-61f2a8b3c703", -5, entityFriendlyName="vm10")
    put(vault, "22222222-8e2a-4b60-9d45-61f2a8b3c703", -5, operation="Restore")
    api.create({**spec(), "graceSeconds": 0})
    status = await api.status(phase="Pending", reason="WaitingForJob")
    assert "troubleSince" not in status
    assert standing(status)["AzureReachable"] == "True"
    await operator.poll(sim, 5)
    await api.status(phase="Pending", reason="WaitingForJob")
    put(vault, OTHER_JOB_NAME, -1)
    put(vault, JOB_NAME, -3, operation="Backup (Full)")
    await operator.advance_to("Running", api)
    status = await api.status()
    assert (status["job"]["name"], [job["name"] for job in status["jobs"]]) == (JOB_NAME, [JOB_NAME])
    listed = len(sim.requests_to(LIST))
    put(vault, THIRD_JOB_NAME, -4, ended=True)  # a job that Azure lists late and that has already ended
    put(vault, OTHER_JOB_NAME, -1, ended=True, status="Failed")
    await operator.poll(sim, 3)
    put(vault, JOB_NAME, -3, ended=True)
    await operator.advance_to("Succeeded", api)
    assert (await api.status())["job"]["name"] == JOB_NAME
    assert len(sim.requests_to(LIST)) == listed


@pytest.mark.parametrize("by", ["request", "edit"])
async def test_an_explicit_request_lists_again(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, by: str
) -> None:
    """A reconcile request or an edit lists the jobs again, even if the last list is only seconds old."""
    api.create({**spec(), "pollInterval": "5m"})
    await api.status(phase="Pending", reason="WaitingForJob")
    put(vault, JOB_NAME, -3)
    if by == "edit":
        api.edit(pollInterval="2m")
    else:
        api.annotate(reconcile_fluxcd_io__requestedAt="one")
    await api.status(phase="Running")
    assert len(sim.requests_to(LIST)) == 2


async def test_a_restart_keeps_the_job_that_was_found(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """A new process follows the pinned job without a list, even if an older job now matches."""
    put(vault, JOB_NAME, -3)
    async with start():
        api.create(spec())
        await api.status(phase="Running")
    listed = len(sim.requests_to(LIST))
    put(vault, THIRD_JOB_NAME, -9, ended=True)
    async with start() as operator:
        await operator.poll(sim, 2)
        put(vault, JOB_NAME, -3, ended=True, status="Failed")
        await operator.advance_to("Failed", api)
    assert (await api.status())["job"]["name"] == JOB_NAME
    assert len(sim.requests_to(LIST)) == listed


async def test_a_found_job_stays_pinned_after_a_404(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """The job in the list is pinned even if its own GET returns 404."""
    put(vault, JOB_NAME, -3)
    rule = sim.faults.add(Fault.job_not_found(), path=JOB_NAME, times=None)
    api.create(spec())
    status = await api.status(phase="Pending", reason="JobNotVisible")
    assert [job["name"] for job in status["jobs"]] == [JOB_NAME]
    sim.faults.remove(rule)
    put(vault, THIRD_JOB_NAME, -9, ended=True)
    await operator.advance_to("Running", api)
    assert (await api.status())["job"]["name"] == JOB_NAME


async def test_two_containers_have_an_item_of_that_name(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """The watch does not guess the container. It reports the field to set, and continues after the edit."""
    one, two = "iaasvmcontainerv2;rg-one;vm1", "iaasvmcontainerv2;rg-two;vm1"
    put(vault, JOB_NAME, -3, ended=True, containerName=one)
    put(vault, OTHER_JOB_NAME, -2, containerName=two)
    api.create(spec())
    status = await api.status(phase="Pending", reason="AmbiguousItem")
    assert one in status["message"]
    assert two in status["message"]
    assert "spec.latest.container" in status["message"]
    assert "jobs" not in status
    api.edit(latest={**api.get()["spec"]["latest"], "container": two})
    status = await api.status(phase="Running", observedGeneration=2)
    assert status["job"]["name"] == OTHER_JOB_NAME


async def test_the_creation_is_the_time_by_default(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Without startedAfter, jobs that started before the creation of the watch do not count."""
    put(vault, OTHER_JOB_NAME, -1, ended=True)
    api.create({"latest": {"item": "vm1"}, "vault": IN_VAULT, "pollInterval": "10s"})
    await api.status(phase="Pending", reason="WaitingForJob")
    put(vault, JOB_NAME, 1)
    await operator.advance_to("Running", api)
    assert (await api.status())["job"]["name"] == JOB_NAME


async def test_a_time_before_all_that_is_listed(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A startedAfter that no list covers fails the watch without a request. No later job is taken for the first."""
    day = 24 * 60
    put(vault, OTHER_JOB_NAME, -40 * day, ended=True, status="Failed")
    put(vault, JOB_NAME, -2 * day, ended=True)
    api.create(spec(startedAfter=(after := at(-41 * day))))
    status = await api.status(phase="Failed", reason="InvalidSpec")
    assert "spec.latest.startedAfter must be at most 29 days before this object's creation" in status["message"]
    assert f"got {after}" in status["message"]
    assert not {"jobs", "lastPollTime", "watchStartTime"} & status.keys()
    assert standing(status)["AzureReachable"] == "Unknown"
    assert sim.requests == ()
    api.edit(latest={**api.get()["spec"]["latest"], "startedAfter": at(-28 * day)})
    status = await api.status(phase="Succeeded", observedGeneration=2)
    assert status["job"]["name"] == JOB_NAME


@pytest.mark.parametrize(("days", "reason"), [(20, "InvalidSpec"), (12, "JobFailed")])
async def test_a_backup_vault_lists_two_weeks(
    api: KubernetesApi, sim: AzureSimulator, operator: Operator, days: int, reason: str
) -> None:
    """The oldest job in the list of a Backup vault is not taken for the first job after an earlier start."""
    sim.clock.advance((datetime.now(UTC) - sim.clock.now()).total_seconds())
    bv = sim.add_backup_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, "bv-harbour")
    about = {"dataSourceName": "aks-1", "operation": "Backup", "operationCategory": "Backup"}
    for name, age, outcome in ((OTHER_JOB_NAME, days - 0.5, "Failed"), (JOB_NAME, 5, "Completed")):
        bv.set_job(name, {"properties": {**about, "status": outcome, "startTime": at(-age * 24 * 60)}})
    assert len(bv.list_jobs()) == (1 if days > 14 else 2)
    vault = {**IN_VAULT, "name": "bv-harbour", "kind": "BackupVault"}
    api.create({"latest": {"item": "aks-1", "startedAfter": at(-days * 24 * 60)}, "vault": vault})
    status = await api.status(phase="Failed", reason=reason)
    assert ("13 days" in status["message"]) == (reason == "InvalidSpec")
    assert status.get("job", {}).get("name") == (OTHER_JOB_NAME if reason == "JobFailed" else None)


async def test_without_an_identity_no_request_is_made(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """AzureReachable shows the reason, the annotation is echoed, and lastPollTime is that of the last real request."""
    put(vault, JOB_NAME, -3)
    async with start() as operator:
        api.create(spec())
        polled = (await api.status(phase="Running"))["lastPollTime"]
    requests = len(sim.requests)
    async with start(operator_identity_namespaces="somewhere-else") as operator:
        api.annotate(reconcile_fluxcd_io__requestedAt="one")
        status = await api.status(reason="IdentityNotAllowed", lastHandledReconcileAt="one")
        await operator.advance_until(lambda: api.get()["status"]["reason"] == "IdentityNotAllowed")
        status = await api.status()
    assert len(sim.requests) == requests
    assert (status["phase"], status["lastPollTime"]) == ("Running", polled)
    reachable = condition(status, "AzureReachable") or {}
    assert (reachable["status"], reachable["reason"]) == ("False", "IdentityNotAllowed")


async def test_waiting_ends_with_the_deadline(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """If no job starts before the deadline, the deadline fails the watch, not graceSeconds."""
    api.create({**spec(), "graceSeconds": 0})
    await api.status(phase="Pending", reason="WaitingForJob")
    await operator.poll(sim, 4)
    api.edit(activeDeadlineSeconds=1)
    await operator.advance_to("Failed", api)
    assert (await api.status())["reason"] == "DeadlineExceeded"


async def test_watches_of_many_items_share_a_list(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Watches that wait for jobs of one vault share one list, of several pages, for all items."""
    sim.lists.page_size = 5
    with sim.hold(LIST) as hold:
        for number in range(8):
            api.create(spec(item=f"vm{number}", startedAfter=at(-10)), f"watch-{number}")
            put(vault, f"{number:08}-8e2a-4b60-9d45-61f2a8b3c703", -3, entityFriendlyName=f"vm{number}")
        await hold.arrived()
        put(vault, JOB_NAME, -3, entityFriendlyName="another")
        api.create({"jobResourceId": vault.job_id(JOB_NAME)}, "last")  # the operator knows the others before it
        await api.status("last", phase="Running")
    for number in range(8):
        status = await api.status(f"watch-{number}", phase="Running")
        assert status["job"]["entityFriendlyName"] == f"vm{number}"
    assert len(sim.requests_to(LIST)) == 2
    window = sim.requests_to(LIST)[0].query["$filter"]
    assert window.count("12:00:00 AM") == 2


async def test_an_item_of_a_backup_vault(api: KubernetesApi, sim: AzureSimulator, operator: Operator) -> None:
    """A Backup vault's list has no filter and contains all jobs. The watch selects its job by the properties."""
    bv = sim.add_backup_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, "bv-harbour")
    about = {"dataSourceName": "aks-1", "operation": "Backup", "operationCategory": "Backup", "status": "InProgress"}
    bv.set_job(OTHER_JOB_NAME, {"properties": {**about, "startTime": at(-90)}})
    bv.set_job(JOB_NAME, {"properties": {**about, "startTime": at(-2)}})
    vault = {**IN_VAULT, "name": "bv-harbour", "kind": "BackupVault"}
    api.create({"latest": {"item": "AKS-1", "startedAfter": at(-10)}, "vault": vault})
    assert (await api.status(phase="Running"))["job"]["name"] == JOB_NAME
