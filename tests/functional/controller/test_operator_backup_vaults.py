"""Watches of Backup vault jobs: what the status shows while the job runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from demo.simulator import backup_vault_jobs
from tests.support.builders import dp_job_payload

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

RUN_TIME = timedelta(minutes=10)


def _set_job(sim: AzureSimulator, **overrides: Any) -> str:
    """Add a job that started ten minutes ago to a Backup vault, and return its ID."""
    vault = sim.add_backup_vault(
        backup_vault_jobs.SUBSCRIPTION_ID, backup_vault_jobs.RESOURCE_GROUP, backup_vault_jobs.VAULT
    )
    start_time = (datetime.now(UTC) - RUN_TIME).isoformat()
    payload = dp_job_payload(**{"startTime": start_time, **overrides})
    return vault.set_job(payload["name"], payload)


@pytest.mark.parametrize("duration", ["PT0S", "00:00:00", "-PT4M20.8890416S", None])
async def test_duration_while_running(
    api: KubernetesApi, sim: AzureSimulator, operator: Operator, duration: str | None
) -> None:
    """The duration is the time since the start, because Azure reports none while the job runs."""
    api.create({"jobResourceId": _set_job(sim, duration=duration), "pollInterval": "10s"})
    status = await api.status(phase="Running")

    assert 600 <= status["durationSeconds"] <= 660
    assert status["duration"].startswith("10m")


async def test_started_job(api: KubernetesApi, sim: AzureSimulator, operator: Operator) -> None:
    """A job with the status Started is running, and the status shows that it can be cancelled."""
    job_id = _set_job(sim, status="Started", supportedActions=["Cancellable"])
    api.create({"jobResourceId": job_id, "pollInterval": "10s"})
    status = await api.status(phase="Running", reason="JobInProgress")

    assert (status["job"]["status"], status["job"]["cancellable"]) == ("Started", True)


@pytest.mark.parametrize(
    ("spelling", "end"),
    [
        ("Canceled", ("Failed", "JobCancelled")),
        ("Success", ("Succeeded", "JobCompleted")),
        ("SuccessWithWarning", ("Failed", "JobCompletedWithWarnings")),
    ],
)
async def test_other_spellings(
    api: KubernetesApi, sim: AzureSimulator, operator: Operator, spelling: str, end: tuple[str, str]
) -> None:
    """Each spelling of a final status ends the job, and the watch keeps Azure's spelling."""
    api.create({"jobResourceId": _set_job(sim, status="Canceling"), "pollInterval": "10s"})
    await api.status(phase="Running", reason="JobCancelling")
    _set_job(sim, status=spelling)
    await operator.advance_to(end[0], api)

    status = await api.status()
    assert (status["phase"], status["reason"]) == end
    assert status["job"]["status"] == spelling


async def test_details_of_a_restore(api: KubernetesApi, sim: AzureSimulator, operator: Operator) -> None:
    """The status shows the item, destination and policy of a restore, and the bytes of its tasks."""
    task = {"taskName": "Trigger Restore", "additionalDetails": {"DataTransferredInBytes": "616490449"}}
    destination = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/disks/restored"
    job_id = _set_job(
        sim,
        operationCategory="Restore",
        sourceDataStoreType="VaultStore",
        extendedInfo={"subTasks": [task], "dataTransferredInBytes": None, "recoveryDestination": destination},
    )
    api.create({"jobResourceId": job_id, "pollInterval": "10s"})
    status = await api.status(phase="Running")

    assert status["job"]["policyName"] == "nightly"
    assert status["job"]["dataSourceId"].endswith("/managedClusters/aks-harbour")
    assert (status["job"]["operationCategory"], status["job"]["sourceDataStoreType"]) == ("Restore", "VaultStore")
    assert status["extendedInfo"] == {
        "dataTransferredBytes": 616490449,
        "recoveryDestination": destination,
        "tasks": [{"taskId": "Trigger Restore", "dataTransferredBytes": 616490449}],
    }
