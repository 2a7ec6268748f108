"""Azure's SDKs follow the simulator's lists and parse its operations for both kinds of vault."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError

from demo.simulator import AzureSimulator, Bucket, ManualClock, Operation, running_simulator
from demo.simulator.backup_vault_jobs import AKS_BACKUP, AKS_FAILED, AKS_RESTORE, add_backup_vault_jobs
from tests.contract.vault_client import VAULT, vm_job
from tests.support import azure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.mgmt.dataprotection import DataProtectionMgmtClient
    from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient

CLOCK: Final = "%Y-%m-%d %I:%M:%S %p"
"""The time format that azure-cli uses in filters."""


class Credential:
    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return AccessToken("demo-token", int(time.time()) + 3600)


@pytest.fixture
def sim() -> Iterator[AzureSimulator]:
    with running_simulator(clock=ManualClock()) as simulator:
        yield simulator


@pytest.fixture
def recovery(sim: AzureSimulator) -> Iterator[RecoveryServicesBackupClient]:
    from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient

    with RecoveryServicesBackupClient(
        Credential(), VAULT[0], base_url=sim.url, api_version="2025-02-01", retry_total=0
    ) as client:
        yield client


def protection(sim: AzureSimulator, subscription_id: str) -> DataProtectionMgmtClient:
    from azure.mgmt.dataprotection import DataProtectionMgmtClient

    return DataProtectionMgmtClient(
        Credential(), subscription_id, base_url=sim.url, api_version="2025-07-01", retry_total=0
    )


def test_follows_pages(sim: AzureSimulator, recovery: RecoveryServicesBackupClient) -> None:
    """The SDK follows every nextLink and returns each job once, newest first."""
    vault, sim.lists.page_size = sim.add_vault(*VAULT), 2
    for hour in range(5):
        vault.add_job(vm_job(f"job-{hour}", start_time=f"2026-03-04T0{hour}:30:00Z"))
    jobs = list(recovery.backup_jobs.list(VAULT[2], VAULT[1], enforce_https=False))
    assert [job.name for job in jobs] == [f"job-{hour}" for hour in (4, 3, 2, 1, 0)]
    assert len(sim.requests_to("/backupJobs$")) == 3


def test_filters_as_the_command_line_does(sim: AzureSimulator, recovery: RecoveryServicesBackupClient) -> None:
    """Every page applies azure-cli's filter, and the SDK's models parse the results."""
    vault, sim.lists.page_size = sim.add_vault(*VAULT), 1
    for hour in (10, 13, 14, 18):
        vault.add_job(vm_job(f"job-{hour}", start_time=f"2026-03-04T{hour}:30:00.1234567Z"))
    since, until = (datetime(2026, 3, 4, hour, 0, tzinfo=UTC).strftime(CLOCK) for hour in (12, 15))
    filter_ = f"status eq 'InProgress' and startTime eq '{since}' and endTime eq '{until}'"
    jobs: list[Any] = list(recovery.backup_jobs.list(VAULT[2], VAULT[1], filter=filter_, enforce_https=False))
    assert [job.name for job in jobs] == ["job-14", "job-13"]
    assert jobs[0].properties.start_time == datetime(2026, 3, 4, 14, 30, 0, 123456, tzinfo=UTC)
    assert jobs[0].properties.extended_info is None


def test_raises_on_bad_filters(sim: AzureSimulator, recovery: RecoveryServicesBackupClient) -> None:
    """A filter with an ISO 8601 time is refused, and the SDK reads Azure's error code."""
    sim.add_vault(*VAULT)
    with pytest.raises(HttpResponseError) as caught:
        list(
            recovery.backup_jobs.list(
                VAULT[2], VAULT[1], filter="startTime eq '2026-03-04T01:00:00Z'", enforce_https=False
            )
        )
    assert caught.value.error is not None
    assert (caught.value.status_code, caught.value.error.code) == (400, "BMSUserErrorInvalidInput")


def test_reads_operations(sim: AzureSimulator, recovery: RecoveryServicesBackupClient) -> None:
    """The SDK selects the right model for each outcome of an operation, with the names of its jobs."""
    vault = sim.add_vault(*VAULT)
    for operation in (
        Operation.succeeding("one", "job-1"),
        Operation.succeeding("two", "job-1", "job-2", failed_jobs={"job-3": "UserErrorX"}),
        Operation.provisioning("ilr"),
        Operation.succeeding("none"),
        Operation.failing("failed", code="UserErrorX", message="No."),
        Operation.ending("canceled", "Canceled"),
    ):
        vault.add_operation(operation)

    def read(name: str) -> Any:
        return recovery.backup_operation_statuses.get(VAULT[2], VAULT[1], name, enforce_https=False)

    assert (read("one").status, read("one").properties) == ("InProgress", None)
    sim.clock.advance(5)
    one, two, ilr, none, failed, canceled = map(read, ("one", "two", "ilr", "none", "failed", "canceled"))
    assert (type(one.properties).__name__, one.properties.job_id) == ("OperationStatusJobExtendedInfo", "job-1")
    assert (two.properties.job_ids, two.properties.failed_jobs_error) == (["job-1", "job-2"], {"job-3": "UserErrorX"})
    assert type(ilr.properties).__name__ == "OperationStatusProvisionILRExtendedInfo"
    assert (none.status, none.properties) == ("Succeeded", None)
    assert (failed.status, failed.error.code, failed.error.message) == ("Failed", "UserErrorX", "No.")
    assert canceled.status == "Canceled"


@pytest.mark.parametrize("name", azure.payload_names("dp-job-"))
def test_reads_backup_vaults_payloads(sim: AzureSimulator, name: str) -> None:
    """The Backup vault SDK parses each recorded job with the same values."""
    vault, payload = sim.add_backup_vault(*VAULT), azure.payload(name)
    vault.set_job(payload["name"], payload)
    with protection(sim, VAULT[0]) as client:
        job = client.jobs.get(VAULT[1], VAULT[2], payload["name"], enforce_https=False)
    assert job.as_dict() == payload | {"id": vault.job_id(payload["name"])}
    assert job.properties is not None
    assert job.properties.status == payload["properties"]["status"]
    assert job.properties.duration == payload["properties"]["duration"]


def test_reads_a_backup_vault(sim: AzureSimulator) -> None:
    """The Backup vault SDK pages through jobs, and parses sub-tasks, warnings and nested errors."""
    vault, sim.lists.page_size = add_backup_vault_jobs(sim), 2
    sim.clock.advance(600)
    place = (vault.resource_group, vault.name)
    with protection(sim, vault.subscription_id) as client:
        listed = list(client.jobs.list(*place, enforce_https=False))
        jobs: list[Any] = [
            client.jobs.get(*place, job.name, enforce_https=False).properties
            for job in (AKS_BACKUP, AKS_RESTORE, AKS_FAILED)
        ]
    assert [job.properties.status for job in listed if job.properties] == [
        "Completed", "CompletedWithWarnings", "Failed"
    ]  # fmt: skip
    assert all(job.properties is not None and job.properties.extended_info is None for job in listed)
    backup, restore, failed = jobs
    info = backup.extended_info
    assert (info.data_transferred_in_bytes, info.sub_tasks[0].task_status) == (73400320, "Completed")
    assert info.target_recover_point.recovery_point_time == datetime(2026, 3, 4, 1, 3, 8, 316631, tzinfo=UTC)
    info = restore.extended_info
    assert [task.task_progress for task in info.sub_tasks] == ["100%", "100%"]
    assert info.warning_details[0].warning.recommended_action == ["Map the storage class.", "Retry the restore."]
    error = failed.error_details[0]
    assert (error.code, error.is_retryable) == ("UserErrorKubernetesBackupExtensionHasErrors", True)
    assert error.inner_error.embedded_inner_error.code == "PodPending"


def test_reads_backup_vaults_operations(sim: AzureSimulator) -> None:
    """The Backup vault SDK parses "Inprogress", the year 1, and then the job's full resource ID."""
    vault = sim.add_backup_vault(*VAULT)
    vault.add_operation(Operation.succeeding("op=", AKS_BACKUP.name), AKS_BACKUP)
    with protection(sim, VAULT[0]) as client:

        def read() -> Any:
            return client.operation_status_backup_vault_context.get(VAULT[1], VAULT[2], "op=", enforce_https=False)

        running = read()
        sim.clock.advance(5)
        ended = read()
    assert (running.status, running.end_time, running.properties) == ("Inprogress", datetime(1, 1, 1, tzinfo=UTC), None)
    assert (ended.status, type(ended.properties).__name__) == ("Succeeded", "OperationJobExtendedInfo")
    assert ended.properties.job_id == vault.job_id(AKS_BACKUP.name)


def test_waits_for_retry_after(sim: AzureSimulator) -> None:
    """The SDK's retries wait as long as Retry-After says, so they are never too early for the quota."""
    from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient

    sim.add_vault(*VAULT)
    sim.quotas.enable(reads=Bucket(1, 1.0), jobs=Bucket(1, 1.0))
    with RecoveryServicesBackupClient(
        Credential(), VAULT[0], base_url=sim.url, api_version="2025-02-01", retry_total=3
    ) as client:
        for _ in range(2):
            assert list(client.backup_jobs.list(VAULT[2], VAULT[1], enforce_https=False)) == []
    assert (sim.quotas.refused, sim.quotas.too_early) == (1, 0)
