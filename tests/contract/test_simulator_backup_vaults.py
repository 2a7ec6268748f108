"""Simulated Backup vaults (Microsoft.DataProtection) have Azure's nulls, casing and durations."""

from collections.abc import Iterator
from typing import Final

import pytest

from demo.simulator import AzureSimulator, BackupVault, Fault, ManualClock, Operation, running_simulator
from demo.simulator.backup_vault_jobs import AKS_BACKUP, AKS_FAILED, AKS_RESTORE, add_backup_vault_jobs
from tests.contract.vault_client import VAULT, follow, send
from tests.support import azure

OPERATION: Final = azure.payload("dp-opstatus-inprogress")["name"]


@pytest.fixture
def sim() -> Iterator[AzureSimulator]:
    with running_simulator(clock=ManualClock()) as simulator:
        yield simulator


@pytest.fixture
def vault(sim: AzureSimulator) -> BackupVault:
    return sim.add_backup_vault(*VAULT)


@pytest.mark.parametrize("name", azure.payload_names("dp-job-"))
def test_sends_payloads_unchanged(sim: AzureSimulator, vault: BackupVault, name: str) -> None:
    """The simulator returns a custom job unchanged, including nulls. In a list, it omits extendedInfo."""
    payload = azure.payload(name)
    assert send(sim, vault.set_job(payload["name"], payload)).json() == payload | {"id": vault.job_id(payload["name"])}
    (item,) = send(sim, f"{vault.id}/backupJobs").json()["value"]
    assert item["properties"] == payload["properties"] | {"extendedInfo": None}
    assert item["id"] == vault.job_id(payload["name"])


def test_has_every_recorded_field(sim: AzureSimulator) -> None:
    """A job with a timeline has every property of a recorded job, with explicit nulls."""
    vault = add_backup_vault_jobs(sim)
    recorded = azure.payload("dp-job-aks-inprogress")["properties"]
    properties = send(sim, vault.job_id(AKS_BACKUP.name)).json()["properties"]
    assert properties.keys() == recorded.keys()
    assert {name for name, value in properties.items() if value is None} >= {"endTime", "errorDetails", "restoreType"}


def test_jobs_follow_their_timelines(sim: AzureSimulator) -> None:
    """Jobs pass through the same states as those of Recovery Services vaults, with sub-tasks, warnings and errors."""
    vault = add_backup_vault_jobs(sim)
    sim.clock.advance(41.12)
    running = send(sim, vault.job_id(AKS_BACKUP.name)).json()["properties"]
    assert (running["status"], running["duration"], running["endTime"]) == ("InProgress", "00:00:00", None)
    sim.clock.advance(300)
    backup, restore, failed = (
        send(sim, vault.job_id(job.name)).json()["properties"] for job in (AKS_BACKUP, AKS_RESTORE, AKS_FAILED)
    )
    assert (backup["status"], backup["duration"]) == ("Completed", "00:03:08.3166312")
    assert backup["endTime"] == "2026-03-04T01:03:08.3166312Z"
    assert (restore["status"], restore["duration"]) == ("CompletedWithWarnings", "PT2M17.3225761S")
    assert restore["extendedInfo"]["warningDetails"][0]["warning"]["code"] == "UserWarningVolumeSkipped"
    assert failed["errorDetails"][0]["innerError"]["embeddedInnerError"]["code"] == "PodPending"


def test_lists_two_weeks(sim: AzureSimulator, vault: BackupVault) -> None:
    """A list has jobs of the last 14 days and jobs without a start time. A GET still returns an older job."""
    names = [f"92db7f35-508a-46c6-bbfd-c71afe53690{number}" for number in range(3)]
    for name, start in zip(names, ("2026-03-03T02:00:00Z", "2026-02-27T02:00:00.5Z", None), strict=True):
        vault.set_job(name, {"properties": {"startTime": start}})

    def listed() -> list[str]:
        return [job["name"] for job in send(sim, f"{vault.id}/backupJobs").json()["value"]]

    assert listed() == names
    sim.clock.advance(10 * 86400)
    assert listed() == [names[0], names[2]]
    assert send(sim, vault.job_id(names[1])).status_code == 200


def test_lists_in_no_order(sim: AzureSimulator) -> None:
    """A list is unsorted, paged and without extendedInfo. Its durations are .NET's, and those of a GET are ISO 8601."""
    vault = add_backup_vault_jobs(sim)
    sim.clock.advance(20)
    vault.add_job(AKS_BACKUP)  # now the newest job, but it keeps its position
    sim.lists.page_size = 2
    pages = follow(sim, f"{vault.id}/backupJobs")
    assert [[job["name"] for job in page] for page in pages] == [[AKS_BACKUP.name, AKS_RESTORE.name], [AKS_FAILED.name]]
    restore = pages[0][1]
    assert (restore["properties"]["extendedInfo"], restore["properties"]["duration"]) == (None, "00:00:00")
    assert send(sim, vault.job_id(AKS_RESTORE.name)).json()["properties"]["duration"] == "PT0S"


def test_letter_case_of_the_job_type(sim: AzureSimulator) -> None:
    """The job type starts with a lowercase b in a GET and an uppercase B in a list."""
    vault = add_backup_vault_jobs(sim)
    item = send(sim, f"{vault.id}/backupJobs").json()["value"][0]
    job = send(sim, vault.job_id(AKS_BACKUP.name)).json()
    assert job["type"] == "Microsoft.DataProtection/backupVaults/backupJobs"
    assert item["type"] == "Microsoft.DataProtection/BackupVaults/backupJobs"


def test_ignores_all_filters(sim: AzureSimulator) -> None:
    """A Backup vault's list ignores filters, even those that a Recovery Services vault would refuse."""
    vault = add_backup_vault_jobs(sim)
    for text in ("status eq 'Failed'", "nonsense"):
        assert len(send(sim, f"{vault.id}/backupJobs", filter=text).json()["value"]) == 3


def test_operation_in_progress(sim: AzureSimulator, vault: BackupVault) -> None:
    """A running operation is "Inprogress", its ID is an ARM ID, and its end is the year 1 with a time zone."""
    path = vault.add_operation(Operation.succeeding(OPERATION, "job"))
    recorded = azure.payload("dp-opstatus-inprogress")
    status = send(sim, path).json()
    assert status == recorded | {"id": vault.operation_id(OPERATION), "startTime": "2026-03-04T01:00:00Z"}


@pytest.mark.parametrize("name", azure.payload_names("dp-opstatus-"))
def test_sends_operations_unchanged(sim: AzureSimulator, vault: BackupVault, name: str) -> None:
    """The simulator returns a custom operation unchanged, with the ID of the request."""
    payload = azure.payload(name)
    path = vault.set_operation(payload["name"], payload)
    assert send(sim, path).json() == payload | {"id": path}


def test_operation_names_its_job(sim: AzureSimulator, vault: BackupVault) -> None:
    """A successful operation names its job by its full resource ID."""
    path = vault.add_operation(Operation.succeeding(OPERATION, AKS_BACKUP.name), AKS_BACKUP)
    sim.clock.advance(5)
    status = send(sim, path).json()
    assert (status["status"], status["endTime"]) == ("Succeeded", "2026-03-04T01:00:05Z")
    assert status["properties"] == {
        "objectType": "OperationJobExtendedInfo",
        "jobId": vault.job_id(AKS_BACKUP.name),
    }
    assert send(sim, status["properties"]["jobId"]).json()["name"] == AKS_BACKUP.name


def test_operation_ends_otherwise(sim: AzureSimulator, vault: BackupVault) -> None:
    """An operation can fail with an error, or succeed without naming a job."""
    failed = vault.add_operation(Operation.failing("f", code="UserErrorX", message="No."))
    bare = vault.add_operation(Operation.succeeding("b"))
    sim.clock.advance(5)
    assert send(sim, failed).json()["error"] == {"code": "UserErrorX", "message": "No."}
    assert "properties" not in send(sim, bare).json()


@pytest.mark.parametrize(("version", "status"), [("2025-07-01", 200), ("2023-01-01", 200), ("2025-02-01", 400)])
def test_has_versions_of_its_own(sim: AzureSimulator, version: str, status: int) -> None:
    """Backup vaults have their own API versions, and refuse those of the other provider."""
    vault = add_backup_vault_jobs(sim)
    assert send(sim, vault.job_id(AKS_BACKUP.name), version=version).status_code == status


def test_is_not_the_other_kind(sim: AzureSimulator, vault: BackupVault) -> None:
    """Two vaults of different kinds can share a name. Each has its own jobs and its own 404."""
    vault.set_job("job", {"properties": {"status": "A"}})
    other = f"{vault.id}/backupJobs/job".replace("DataProtection/backupVaults", "RecoveryServices/vaults")
    missing = send(sim, other)
    assert missing.json()["error"]["code"] == "ResourceNotFound"
    assert "Microsoft.RecoveryServices/vaults/rsv-harbour" in missing.text
    sim.add_vault(*VAULT).set_job("job", {"properties": {"status": "B"}})
    assert [send(sim, path).json()["properties"]["status"] for path in (vault.job_id("job"), other)] == ["A", "B"]
    sim.faults.add(Fault.vault_not_found())
    assert "Microsoft.DataProtection/backupVaults/rsv-harbour" in send(sim, vault.job_id("job")).text
