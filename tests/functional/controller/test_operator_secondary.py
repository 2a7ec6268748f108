"""The operator with ``spec.vault.secondaryRegion``: it follows a cross-region restore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo.simulator import Operation, jobs
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT, payload
from tests.support.builders import OTHER_JOB_NAME, job_payload, running_payload, standing

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

OPERATION = "ODk5NDc5ODY2MTgyNDU2ODI5MjtpZA=="
IN_REGION = {
    "subscriptionId": SUBSCRIPTION_ID,
    "resourceGroup": RESOURCE_GROUP,
    "name": VAULT,
    "secondaryRegion": "westus",
}
SPEC: dict[str, Any] = {"operationId": OPERATION, "vault": IN_REGION, "pollInterval": "10s"}
RESTORE = payload("dp-crr-job-postgres-completed")
POST = "/locations/westus/backupCrrJob$"


async def test_from_the_operation_to_the_end(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """The operation in the secondary region names a job, and the gate opens when that job completes."""
    secondary = vault.secondary("westus")
    secondary.add_operation(Operation.succeeding(OPERATION, jobs.RESTORE.name, after=0), jobs.RESTORE)
    api.create(SPEC)
    status = await api.status(phase="Running")
    assert (standing(status)["Ready"], status["job"]["name"]) == ("Unknown", jobs.RESTORE.name)
    sim.clock.advance(1511)
    await operator.advance_to("Succeeded", api)
    assert standing(await api.status(reason="JobCompleted"))["Ready"] == "True"
    assert {record.method for record in sim.requests_to(POST)} == {"POST"}


async def test_a_backup_vault(api: KubernetesApi, sim: AzureSimulator, operator: Operator) -> None:
    """A restore of a Backup vault is followed in the same way. The first request goes to the vault."""
    backup_vault = sim.add_backup_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, VAULT)
    secondary = backup_vault.secondary("westus")
    secondary.add_operation(Operation.succeeding(OPERATION, RESTORE["name"], after=0))
    secondary.set_job(RESTORE["name"], payload("dp-crr-job-postgres-inprogress"))
    api.create({**SPEC, "vault": {**IN_REGION, "kind": "BackupVault", "primaryRegion": "eastus"}})
    status = await api.status(phase="Running")
    assert (status["job"]["operation"], status["job"]["operationCategory"]) == ("Restore", "CrossRegionRestore")
    secondary.set_job(RESTORE["name"], RESTORE)
    await operator.advance_to("Succeeded", api)
    (record, *_) = sim.requests_to("/fetchCrossRegionRestoreJob$")
    assert (record.method, f"/resourceGroups/{RESOURCE_GROUP}/" in record.path) == ("POST", True)


async def test_an_edit_of_the_region(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """An edit of the region restarts the watch: a job of the same name elsewhere does not count."""
    vault.set_job(OTHER_JOB_NAME, job_payload())
    vault.secondary("westus").set_job(OTHER_JOB_NAME, running_payload())
    spec = {"jobName": OTHER_JOB_NAME, "vault": IN_REGION, "pollInterval": "10s"}
    api.create({**spec, "vault": {**IN_REGION, "secondaryRegion": "eastus"}})
    await api.status(phase="Succeeded")  # the vault's region knows the job
    vault.delete_job(OTHER_JOB_NAME)
    api.edit(vault=IN_REGION)
    status = await api.status(phase="Running")
    assert standing(status)["Ready"] == "Unknown"
