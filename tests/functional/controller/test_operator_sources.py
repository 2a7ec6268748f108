"""The operator with ``spec.operationId``: it finds, pins and follows the jobs that the operation started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from demo.simulator import Operation, backup_vault_jobs, jobs
from tests.support.azure import IN_VAULT
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, THIRD_JOB_NAME, job_payload, running_payload, standing

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

OPERATION = "cd153561-5e1f-4000-8000-000000000001"
SPEC: dict[str, Any] = {"operationId": OPERATION, "vault": IN_VAULT, "pollInterval": "10s"}
IN_BACKUP_VAULT = {
    "subscriptionId": backup_vault_jobs.SUBSCRIPTION_ID,
    "resourceGroup": backup_vault_jobs.RESOURCE_GROUP,
    "name": backup_vault_jobs.VAULT,
    "kind": "BackupVault",
}


async def test_from_the_operation_to_the_end_of_its_job(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """The operation succeeds and names a job that appears late. The gate opens only when that job completes."""
    vault.add_operation(Operation.succeeding(OPERATION, jobs.LATE.name), jobs.LATE)
    api.create(SPEC)
    status = await api.status(phase="Pending", reason="Progressing")
    assert "jobs" not in status
    sim.clock.advance(5)
    await operator.advance_until(lambda: api.get()["status"]["reason"] == "JobNotVisible")
    assert (await api.status(phase="Pending"))["jobs"] == [{"name": jobs.LATE.name}]
    operations = len(sim.requests_to("backupOperations"))
    sim.clock.advance(45)
    await operator.advance_to("Running", api)
    assert standing(await api.status())["Ready"] == "Unknown"
    sim.clock.advance(600)
    await operator.advance_to("Succeeded", api)
    status = await api.status(reason="JobCompleted")
    assert (status["job"]["name"], status["jobs"][0]["status"]) == (jobs.LATE.name, "Completed")
    assert len(sim.requests_to("backupOperations")) == operations  # the job is pinned: the operation is not read again


async def test_all_jobs_of_an_operation_have_to_succeed(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """The watch follows all jobs of an operation, and succeeds when the last one succeeds."""
    vault.add_operation(Operation.succeeding(OPERATION, JOB_NAME, OTHER_JOB_NAME, after=0))
    vault.set_job(JOB_NAME, job_payload())
    vault.set_job(OTHER_JOB_NAME, running_payload())
    api.create(SPEC)
    status = await api.status(phase="Running")
    assert "1 of 2 jobs have not ended" in status["message"]
    assert {job["name"]: job["status"] for job in status["jobs"]} == {
        JOB_NAME: "Completed",
        OTHER_JOB_NAME: "InProgress",
    }
    vault.set_job(OTHER_JOB_NAME, job_payload())
    await operator.advance_to("Succeeded", api)
    assert "All 2 jobs completed" in (await api.status())["message"]


async def test_more_jobs_than_the_budget_covers_at_a_time(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """The operator sees all jobs of an operation at the first tick and at the end, even if they exceed the budget."""
    names = [f"00000000-0000-4000-8000-{number:012}" for number in range(30)]
    for name in names:
        vault.set_job(name, running_payload())
    vault.add_operation(Operation.succeeding(OPERATION, *names, after=0))
    api.create({**SPEC, "pollInterval": "30s"})
    status = await api.status(phase="Running")
    assert [job["status"] for job in status["jobs"]] == ["InProgress"] * 30
    assert len(sim.requests) <= 21
    for name in names:
        vault.set_job(name, job_payload())
    await operator.advance_to("Succeeded", api)
    assert [job["status"] for job in (await api.status())["jobs"]] == ["Completed"] * 30


async def test_a_job_that_could_not_be_started_fails_the_watch_when_the_others_have_ended(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A job in failedJobsError counts as failed and is not requested. The verdict waits until all jobs have ended."""
    failed = {THIRD_JOB_NAME: "UserErrorVmNotFound"}
    vault.add_operation(Operation.succeeding(OPERATION, JOB_NAME, OTHER_JOB_NAME, after=0, failed_jobs=failed))
    vault.set_job(JOB_NAME, job_payload())
    vault.set_job(OTHER_JOB_NAME, running_payload())
    api.create(SPEC)
    assert len((await api.status(phase="Running"))["jobs"]) == 3
    vault.set_job(OTHER_JOB_NAME, job_payload())
    await operator.advance_to("Failed", api)
    status = await api.status(reason="JobFailed")
    assert f"1 of 3 jobs failed. {THIRD_JOB_NAME}: UserErrorVmNotFound" in status["message"]
    assert {"name": THIRD_JOB_NAME, "errorCode": "UserErrorVmNotFound"} in status["jobs"]
    assert sim.requests_to(THIRD_JOB_NAME) == ()


async def test_all_jobs_could_not_be_started(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """If no job could be started, the watch fails."""
    failed = dict.fromkeys((JOB_NAME, OTHER_JOB_NAME), "UserErrorVmNotFound")
    vault.add_operation(Operation.succeeding(OPERATION, after=0, failed_jobs=failed))
    api.create(SPEC)
    status = await api.status(phase="Failed", reason="JobFailed")
    assert "2 of 2 jobs failed" in status["message"]


async def test_one_of_several_jobs_failed(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """One failed job among several fails the watch with the error of that job, even if another job completed."""
    vault.add_operation(Operation.succeeding(OPERATION, JOB_NAME, OTHER_JOB_NAME, after=0))
    vault.set_job(JOB_NAME, job_payload())
    error = {"errorCode": 7, "errorTitle": "DiskFull", "errorString": "The disk is full.", "recommendations": []}
    vault.set_job(OTHER_JOB_NAME, job_payload(status="Failed", errorDetails=[error]))
    api.create(SPEC)
    status = await api.status(phase="Failed", reason="JobFailed")
    assert "The disk is full." in status["message"]
    assert status["job"]["name"] == OTHER_JOB_NAME


@pytest.mark.parametrize("ending", ["Failed", "Canceled", "Cancelled", "Invalid"])
@pytest.mark.parametrize("after", [0, 60])
async def test_an_operation_that_failed(
    *, api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, ending: str, after: int
) -> None:
    """An operation that fails without a job fails the watch with Azure's error, at the first poll that sees it."""
    vault.add_operation(Operation.failing(OPERATION, status=ending, after=after))
    api.create(SPEC)
    if after:
        await api.status(phase="Pending", reason="Progressing")
        sim.clock.advance(after)
        await operator.advance_to("Failed", api)
    status = await api.status(phase="Failed", reason="OperationFailed")
    assert f"ended as {ending}. UserErrorBackupOperationInProgress: Unable to initiate backup" in status["message"]
    assert [error["code"] for error in status["errors"]] == ["UserErrorBackupOperationInProgress"]
    assert after or len(sim.requests) == 1


@pytest.mark.parametrize("kind", ["nothing named", "a script, no job"])
async def test_an_operation_without_a_job_is_never_success(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, kind: str
) -> None:
    """A succeeded operation that names no job is tolerated for graceSeconds. Then the watch fails."""
    make = Operation.succeeding if kind == "nothing named" else Operation.provisioning
    vault.add_operation(make(OPERATION, after=0))
    api.create({**SPEC, "graceSeconds": 0})
    await api.status(phase="Pending", reason="OperationWithoutJob")
    await operator.poll(sim, 2)
    await api.status(phase="Failed", reason="OperationWithoutJob")
    assert [status["phase"] for status in api.writes()] == ["Pending", "Failed"]


async def test_an_operation_that_names_its_job_late(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Within graceSeconds, the operation may appear late and name its job late."""
    api.create(SPEC)
    await api.status(phase="Pending", reason="JobNotVisible")
    vault.add_operation(Operation.succeeding(OPERATION, after=0))
    await operator.advance_until(lambda: api.get()["status"]["reason"] == "OperationWithoutJob")
    vault.add_operation(Operation.succeeding(OPERATION, JOB_NAME, after=0))
    vault.set_job(JOB_NAME, job_payload())
    await operator.advance_to("Succeeded", api)


async def test_a_missing_operation(api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator) -> None:
    """Repeated 404s fail the watch if graceSeconds is 0."""
    api.create({**SPEC, "graceSeconds": 0})
    await operator.advance_until(lambda: api.get()["status"].get("phase") == "Failed")
    assert (await api.status())["reason"] == "JobNotFound"


async def test_a_restart_resumes_with_the_pinned_jobs(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """A new process polls the pinned jobs and does not request the operation again."""
    vault.add_operation(Operation.succeeding(OPERATION, JOB_NAME, OTHER_JOB_NAME, after=0))
    for name in (JOB_NAME, OTHER_JOB_NAME):
        vault.set_job(name, running_payload())
    async with start():
        api.create(SPEC)
        await api.status(phase="Running")
    vault.add_operation(Operation.failing(OPERATION, after=0))
    for name in (JOB_NAME, OTHER_JOB_NAME):
        vault.set_job(name, job_payload())
    async with start() as operator:
        await operator.advance_to("Succeeded", api)
    assert len(sim.requests_to("backupOperations")) == 1


# ── Backup vaults ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("source", ["jobName", "operationId", "jobResourceId"])
async def test_a_job_of_a_backup_vault(
    api: KubernetesApi, sim: AzureSimulator, operator: Operator, source: str
) -> None:
    """With each source, the watch follows an AKS backup to its end through the API of Backup vaults."""
    bv = sim.add_backup_vault(*(IN_BACKUP_VAULT[name] for name in ("subscriptionId", "resourceGroup", "name")))
    job = backup_vault_jobs.AKS_BACKUP
    named = {"jobName": job.name, "operationId": "YWtzLWJhY2t1cC1vcGVyYXRpb24=", "jobResourceId": bv.job_id(job.name)}
    bv.add_operation(Operation.succeeding(named["operationId"], job.name, after=0), job)
    spec = {source: named[source], **({} if source == "jobResourceId" else {"vault": IN_BACKUP_VAULT})}
    api.create({**spec, "pollInterval": "10s"})
    status = await api.status(phase="Running")
    assert status["extendedInfo"]["tasks"][0]["status"] == "InProgress"
    sim.clock.advance(190)
    await operator.advance_to("Succeeded", api)
    status = await api.status(reason="JobCompleted")
    assert (status["duration"], status["job"]["entityFriendlyName"]) == ("3m8s", "aks-harbour/daily")
    assert {request.query["api-version"] for request in sim.requests} == {"2025-07-01"}
    assert all("/Microsoft.DataProtection/backupVaults/" in request.path for request in sim.requests)


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (backup_vault_jobs.AKS_FAILED, "UserErrorKubernetesBackupExtensionHasErrors"),
        (backup_vault_jobs.AKS_RESTORE, "warnings"),
    ],
)
async def test_a_backup_vaults_failure(
    api: KubernetesApi, sim: AzureSimulator, operator: Operator, job: Any, words: str
) -> None:
    """A job that failed or completed with warnings keeps the gate closed, and the message contains Azure's error."""
    bv = sim.add_backup_vault(*(IN_BACKUP_VAULT[name] for name in ("subscriptionId", "resourceGroup", "name")))
    job_id = bv.add_job(job)
    sim.clock.advance(1000)
    api.create({"jobResourceId": job_id})
    assert words in (await api.status(phase="Failed"))["message"]


# ── changes of the source ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_another_source_starts_the_watch_over(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """After each change of the source, nothing that the previous source found is kept."""
    vault.set_job(JOB_NAME, running_payload())
    vault.set_job(OTHER_JOB_NAME, job_payload(status="Failed"))
    other = OPERATION.replace("cd15", "dd15")
    vault.add_operation(Operation.succeeding(OPERATION, JOB_NAME, after=0))
    vault.add_operation(Operation.succeeding(other, OTHER_JOB_NAME, after=0))
    api.create({"jobResourceId": vault.job_id(JOB_NAME), "pollInterval": "10s"})
    assert "jobs" not in await api.status(phase="Running")
    api.edit(jobResourceId=None, operationId=OPERATION, vault=IN_VAULT)
    status = await api.status(observedGeneration=2, phase="Running")
    assert [job["name"] for job in status["jobs"]] == [JOB_NAME]
    api.edit(operationId=other)
    status = await api.status(observedGeneration=3, phase="Failed")
    assert [job["name"] for job in status["jobs"]] == [OTHER_JOB_NAME]
    vault.set_job(JOB_NAME, job_payload())
    api.edit(operationId=None, jobName=JOB_NAME)
    status = await api.status(observedGeneration=4, phase="Succeeded")
    assert "jobs" not in status
    assert len(sim.requests_to("backupOperations")) == 2
