"""The simulator reports the operations of a Recovery Services vault like Azure."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pytest

from demo.simulator import AzureSimulator, ManualClock, Operation, OperationState, Vault, running_simulator
from tests.contract.vault_client import VAULT, send, vm_job
from tests.support import azure

OPERATION: Final = "0b0b0001-5e1f-4000-8000-000000000001"
JOB: Final = "b0b00001-5e1f-4000-8000-000000000003"
OTHER: Final = "b0b00001-5e1f-4000-8000-000000000004"


@pytest.fixture
def sim() -> Iterator[AzureSimulator]:
    with running_simulator(clock=ManualClock()) as simulator:
        yield simulator


@pytest.fixture
def vault(sim: AzureSimulator) -> Vault:
    return sim.add_vault(*VAULT)


def status(sim: AzureSimulator, vault: Vault, operation: Operation, *, at: float = 5.0) -> dict[str, Any]:
    """Add an operation, and request it some seconds later."""
    path = vault.add_operation(operation)
    sim.clock.advance(at)
    answer = send(sim, path)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_in_progress(sim: AzureSimulator, vault: Vault) -> None:
    """A running operation has no properties, its end is the year 1 without a time zone, and its ID is the bare name."""
    assert status(sim, vault, Operation.succeeding(OPERATION, JOB), at=4.9) == {
        "id": OPERATION,
        "name": OPERATION,
        "startTime": "2026-03-04T01:00:00Z",
        "endTime": "0001-01-01T00:00:00",
        "status": "InProgress",
    }


def test_names_its_job(sim: AzureSimulator, vault: Vault) -> None:
    """A successful operation names its job, and its end equals its start."""
    assert status(sim, vault, Operation.succeeding(OPERATION, JOB)) == {
        "id": OPERATION,
        "name": OPERATION,
        "startTime": "2026-03-04T01:00:00Z",
        "endTime": "2026-03-04T01:00:00Z",
        "status": "Succeeded",
        "properties": {"objectType": "OperationStatusJobExtendedInfo", "jobId": JOB},
    }


def test_names_several_jobs(sim: AzureSimulator, vault: Vault) -> None:
    """With several jobs, the operation lists each job, and the error code of each that failed to start."""
    assert status(sim, vault, Operation.succeeding(OPERATION, JOB, failed_jobs={OTHER: "UserErrorX"}))[
        "properties"
    ] == {
        "objectType": "OperationStatusJobsExtendedInfo",
        "jobIds": [JOB],
        "failedJobsError": {OTHER: "UserErrorX"},
    }
    properties = status(sim, vault, Operation.succeeding("two", JOB, OTHER))["properties"]
    assert (properties["jobIds"], properties["failedJobsError"]) == ([JOB, OTHER], {})


def test_names_no_job(sim: AzureSimulator, vault: Vault) -> None:
    """An operation can succeed without a job: without properties, or with those of a file recovery."""
    assert "properties" not in status(sim, vault, Operation.succeeding(OPERATION))
    recorded = azure.payload("opstatus-succeeded-ilr")["properties"]
    properties = status(sim, vault, Operation.provisioning("ilr"))["properties"]
    assert properties["objectType"] == recorded["objectType"]
    assert (
        properties["recoveryTarget"]["clientScripts"][0].keys() == recorded["recoveryTarget"]["clientScripts"][0].keys()
    )


def test_fails(sim: AzureSimulator, vault: Vault) -> None:
    """A failed operation has an error. An operation can also end as Canceled (with one l) or Invalid."""
    failed = status(sim, vault, Operation.failing(OPERATION, code="UserErrorX", message="No."))
    assert (failed["status"], failed["error"]) == ("Failed", {"code": "UserErrorX", "message": "No."})
    assert status(sim, vault, Operation.failing("c", status="Canceled"))["status"] == "Canceled"
    invalid = status(sim, vault, Operation.ending("i", "Invalid"))
    assert (invalid["status"], "error" in invalid) == ("Invalid", False)


def test_starts_a_job_that_shows_later(sim: AzureSimulator, vault: Vault) -> None:
    """The operation names its job before a GET or a list returns the job."""
    job = replace(vm_job(JOB, start_time="2026-03-04T01:00:01Z"), visible_after=45.0)
    path = vault.add_operation(Operation.succeeding(OPERATION, JOB), job)
    sim.clock.advance(10)
    assert send(sim, path).json()["properties"]["jobId"] == JOB
    assert send(sim, vault.job_id(JOB)).status_code == 404
    assert send(sim, f"{vault.id}/backupJobs").json() == {"value": []}
    sim.clock.advance(35)
    assert send(sim, vault.job_id(JOB)).json()["properties"]["status"] == "InProgress"


def test_starts_with_its_first_get(sim: AzureSimulator, vault: Vault) -> None:
    """An operation and its jobs can start with the operation's first GET."""
    path = vault.add_operation(
        Operation.succeeding(OPERATION, JOB), vm_job(JOB, start_time="2026-03-04T01:00:01Z"), starts="when asked"
    )
    sim.clock.advance(3600)
    assert send(sim, vault.job_id(JOB)).status_code == 404
    assert send(sim, path).json()["status"] == "InProgress"
    assert send(sim, vault.job_id(JOB)).status_code == 200
    sim.clock.advance(5)
    assert send(sim, path).json()["status"] == "Succeeded"


@pytest.mark.parametrize("name", azure.payload_names("opstatus-"))
def test_sends_payloads_unchanged(sim: AzureSimulator, vault: Vault, name: str) -> None:
    """The simulator returns a custom status unchanged, at the paths of the vault and the protected item."""
    payload = azure.payload(name)
    path = vault.set_operation(payload["name"], payload)
    assert send(sim, path).json() == payload
    item = "backupFabrics/Azure/protectionContainers/IaasVMContainer;c;g;v/protectedItems/VM;c;g;v"
    assert send(sim, f"{vault.id}/{item}/operationsStatus/{payload['name']}").json() == payload


def test_misses_operations(sim: AzureSimulator, vault: Vault) -> None:
    """An unknown, deleted or invisible operation is the service's 404, without the gateway's header."""
    paths = [vault.operation_id("none"), vault.add_operation(Operation.succeeding("gone"))]
    vault.delete_operation("gone")
    end = OperationState(status="Succeeded")
    paths.append(vault.add_operation(Operation(name="late", timeline=(end,), visible_after=1.0)))
    for path in paths:
        answer = send(sim, path)
        assert (answer.status_code, "x-ms-failure-cause" in answer.headers) == (404, False)
    sim.clock.advance(1)
    assert send(sim, paths[-1]).json()["status"] == "Succeeded"


def test_timelines_go_forward() -> None:
    """A timeline that does not start at 0 raises an error."""
    with pytest.raises(ValueError, match="must begin at 0"):
        Operation(name=OPERATION, timeline=(OperationState(status="Succeeded", after=1.0),))
