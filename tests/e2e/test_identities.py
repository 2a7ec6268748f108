"""Watches with their own identity, found by an operation ID or by item, in both kinds of vault."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from demo.simulator import EntraSimulator, Operation, running
from tests.support.azure import payload
from tests.support.canary import WORD
from tests.support.jobs import name_of
from tests.support.watches import condition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.controlplane import ControlPlane, Kubectl
    from demo.simulator import AzureSimulator
    from tests.support.jobs import Jobs
    from tests.support.operator_process import OperatorProcess, Operators
    from tests.support.watches import Watches

TENANT: Final = "7e4a0000-5e1f-4000-8000-00000000e2e0"
CLIENT: Final = "c11e0000-5e1f-4000-8000-00000000e2e1"
SECRET: Final = f"client-secret-{WORD}"
NAME: Final = "azure-backup-reader"


@pytest.fixture
def entra(azure: AzureSimulator) -> Iterator[EntraSimulator]:
    """The Entra simulator, whose tokens the Azure simulator accepts."""
    with running(EntraSimulator(tokens=azure.tokens)) as entra:
        yield entra


@pytest.fixture
def tenants(own_operators: Operators, entra: EntraSimulator, tmp_path: Path) -> OperatorProcess:
    """An operator whose own identity no namespace may use."""
    (tmp_path / "ca.pem").write_text(entra.ca_pem)
    settings = {"AZURE_AUTHORITY": entra.url, "AZURE_AUTHORITY_CA_FILE": str(tmp_path / "ca.pem")}
    return own_operators.start(OPERATOR_IDENTITY_NAMESPACES="", **settings).wait_ready()


def vault_of(jobs: Jobs, kind: str = "RecoveryServices", name: str = "rsv-e2e") -> dict[str, str]:
    """Return the `vault` field of a spec."""
    return {"subscriptionId": jobs.subscription, "resourceGroup": "rg-e2e", "name": name, "kind": kind}


def test_service_account(
    *,
    tenants: OperatorProcess,
    entra: EntraSimulator,
    watches: Watches,
    jobs: Jobs,
    kubectl: Kubectl,
    control_plane: ControlPlane,
) -> None:
    """The operator exchanges a ServiceAccount token at Entra. If the account appears later, no restart is needed."""
    identity = {"serviceAccountName": NAME}
    watches.create("federated", jobResourceId=jobs.completed(), identity=identity)
    watches.until_reason("federated", "CredentialsNotFound")
    ids = (f"azure.workload.identity/client-id={CLIENT}", f"azure.workload.identity/tenant-id={TENANT}")
    kubectl("create", "serviceaccount", NAME, "-n", watches.namespace)
    kubectl("annotate", "serviceaccount", NAME, *ids, "-n", watches.namespace)
    issuer = control_plane.service_account_issuer
    entra.trust_issuer(issuer, control_plane.service_account_public_key)
    subject = f"system:serviceaccount:{watches.namespace}:{NAME}"
    entra.add_application(CLIENT, tenant_id=TENANT).add_federated_credential(issuer=issuer, subject=subject)
    watches.until_phase("federated", "Succeeded")
    assert {sign_in.subject for sign_in in entra.sign_ins} == {subject}


def test_secret_and_no_other_namespace(
    tenants: OperatorProcess, entra: EntraSimulator, watches: Watches, jobs: Jobs, kubectl: Kubectl
) -> None:
    """A labelled Secret serves the watches of its namespace. A watch without an identity gets no token."""
    entra.add_application(CLIENT, tenant_id=TENANT).add_secret(SECRET)
    keys = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT, "AZURE_CLIENT_SECRET": SECRET}
    literals = [f"--from-literal={key}={value}" for key, value in keys.items()]
    kubectl("create", "secret", "generic", NAME, *literals, "-n", watches.namespace)
    watches.create("secret", jobResourceId=jobs.completed(), identity={"secretName": NAME})
    watches.create("none", jobResourceId=jobs.completed())
    watches.until_reason("secret", "CredentialsNotFound")
    kubectl("label", "secret", NAME, "azurebackup.dev/credential=true", "-n", watches.namespace)
    watches.until_phase("secret", "Succeeded")
    watches.until_reason("none", "IdentityNotAllowed")


def test_operation(operator: OperatorProcess, watches: Watches, jobs: Jobs) -> None:
    """The operator finds and pins the job that an operation started, and follows it to its end."""
    job_id, operation = jobs.start(), str(uuid.uuid4())
    jobs.vault.add_operation(Operation.succeeding(operation, name_of(job_id), after=0.0))
    watches.create("operation", operationId=operation, vault=vault_of(jobs))
    body = watches.until_phase("operation", "Running")
    assert [job["name"] for job in body["status"]["jobs"]] == [name_of(job_id)]
    jobs.complete(job_id)
    watches.until_phase("operation", "Succeeded")


def test_latest(operator: OperatorProcess, watches: Watches, jobs: Jobs) -> None:
    """The operator finds the first backup of an item after a given time. A newer job does not replace it."""
    now = datetime.now(UTC)

    def have(name: str, status: str, hours: float) -> str:
        job = payload("job-iaasvm-completed" if status == "Completed" else "job-iaasvm-inprogress")["properties"]
        started = (now - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
        jobs.vault.set_job(name, {"properties": {**job, "entityFriendlyName": "vm-nightly", "startTime": started}})
        return name

    latest = {"item": "VM-NIGHTLY", "startedAfter": (now - timedelta(hours=3)).isoformat(timespec="seconds")}
    have(str(uuid.uuid4()), "Completed", 4)  # before startedAfter
    watches.create("latest", latest=latest, vault=vault_of(jobs))
    watches.until_reason("latest", "WaitingForJob")
    first = have(str(uuid.uuid4()), "InProgress", 2)
    watches.poll_now("latest")
    body = watches.until_phase("latest", "Running")
    assert [job["name"] for job in body["status"]["jobs"]] == [first]
    have(str(uuid.uuid4()), "Completed", 1)
    have(first, "Completed", 2)
    watches.poll_now("latest")
    body = watches.until_phase("latest", "Succeeded")
    assert body["status"]["job"]["name"] == first


def test_completed_within(operator: OperatorProcess, watches: Watches, jobs: Jobs) -> None:
    """A recent backup opens the gate at once. After an edit of the revision, it is too old, and the next one is needed."""
    now = datetime.now(UTC)

    def have(status: str, hours: float) -> str:
        job = payload("job-iaasvm-completed")["properties"]
        times = {"startTime": now - timedelta(hours=hours + 1), "endTime": now - timedelta(hours=hours)}
        texts = {field: f"{time:%Y-%m-%dT%H:%M:%SZ}" for field, time in times.items()}
        name = str(uuid.uuid4())
        jobs.vault.set_job(name, {"properties": {**job, "entityFriendlyName": "vm-fresh", "status": status, **texts}})
        return name

    latest = {"item": "vm-fresh", "completedWithin": "24h"}
    have("Completed", 25)
    recent, failed = have("Completed", 20), have("Failed", 2)
    watches.create("fresh", latest=latest, vault=vault_of(jobs), revision="v1")
    body = watches.until_phase("fresh", "Succeeded")
    assert body["status"]["job"]["name"] == recent
    assert failed in body["status"]["message"]
    watches.edit("fresh", latest={**latest, "completedWithin": "19h"}, revision="v2")
    body = watches.until_reason("fresh", "WaitingForJob")
    assert (body["status"]["phase"], "targetEditTime" in body["status"]) == ("Pending", True)
    newest = have("Completed", -0.02)
    watches.poll_now("fresh")
    body = watches.until_phase("fresh", "Succeeded")
    assert body["status"]["job"]["name"] == newest


def test_secondary_region(operator: OperatorProcess, watches: Watches, jobs: Jobs) -> None:
    """A cross-region restore is followed from its operation to its end in the secondary region."""
    secondary = jobs.vault.secondary("westus")
    operation, name = str(uuid.uuid4()), str(uuid.uuid4())
    secondary.set_job(name, {"properties": payload("crr-job-iaasvm-inprogress")["properties"]})
    secondary.add_operation(Operation.succeeding(operation, name, after=0.0))
    watches.create("restore", operationId=operation, vault={**vault_of(jobs), "secondaryRegion": "westus"})
    body = watches.until_phase("restore", "Running")
    assert (body["status"]["job"]["name"], body["status"]["job"]["operation"]) == (name, "CrossRegionRestore")
    assert condition(body, "Ready")["status"] == "Unknown"
    secondary.set_job(name, {"properties": payload("crr-job-iaasvm-completed")["properties"]})
    watches.poll_now("restore")
    body = watches.until_phase("restore", "Succeeded")
    assert (body["status"]["job"]["name"], condition(body, "Ready")["status"]) == (name, "True")


def test_backup_vault(operator: OperatorProcess, watches: Watches, jobs: Jobs, azure: AzureSimulator) -> None:
    """A failed job in a Backup vault fails its watch, with Azure's error code and recommendations."""
    vault = azure.add_backup_vault(jobs.subscription, "rg-e2e", "bv-e2e")
    name = str(uuid.uuid4())
    vault.set_job(name, {"properties": payload("dp-job-aks-failed")["properties"]})
    watches.create("cluster", jobName=name, vault=vault_of(jobs, "BackupVault", "bv-e2e"))
    body = watches.until_phase("cluster", "Failed")
    (error,) = body["status"]["errors"]
    assert error["code"] == "UserErrorKubernetesBackupExtensionNotFoundError"
    assert error["recommendations"]
