"""The simulator lets each principal read what it was granted, and refuses other reads as Azure does."""

from collections.abc import Iterator

import pytest

from demo.simulator import AzureSimulator, ManualClock, Operation, Vault, running_simulator
from tests.contract.vault_client import VAULT, send
from tests.support import azure


@pytest.fixture
def sim() -> Iterator[AzureSimulator]:
    with running_simulator(clock=ManualClock(), tokens={"demo-token": "reader", "other-token": "other"}) as simulator:
        yield simulator


@pytest.fixture
def vault(sim: AzureSimulator) -> Vault:
    vault = sim.add_vault(*VAULT)
    vault.set_job("job", azure.payload("job-iaasvm-completed"))
    vault.add_operation(Operation.succeeding("op", "job"))
    return vault


def test_all_principals_can_read_by_default(sim: AzureSimulator, vault: Vault) -> None:
    """Without grants, every principal can read everything. A grant to one principal does not affect the others."""
    sim.access.grant("other", f"{vault.id}-none")
    assert send(sim, vault.job_id("job")).status_code == 200
    assert send(sim, vault.job_id("job"), token="other-token").status_code == 403


def test_grants_by_scope(sim: AzureSimulator, vault: Vault) -> None:
    """A grant covers its scope and everything below in any letter case, but no vault that only shares a prefix."""
    twin = sim.add_vault(azure.SUBSCRIPTION_ID, azure.RESOURCE_GROUP, f"{azure.VAULT}-2")
    twin.set_job("job", azure.payload("job-iaasvm-completed"))
    group, subscription = vault.id.partition("/providers")[0], vault.id.partition("/resourceGroups")[0]
    for scope, both in ((vault.id.upper(), False), (f"{group}/", True), (subscription, True)):
        sim.access.grant("reader", scope)
        assert send(sim, vault.job_id("job")).status_code == 200
        assert send(sim, f"{twin.id}/backupJobs").status_code == (200 if both else 403)
        sim.access.revoke("reader", scope)
        assert send(sim, vault.job_id("job")).status_code == 403


def test_refuses_in_the_recorded_form(sim: AzureSimulator, vault: Vault) -> None:
    """A refusal is the gateway's 403, and names the principal, the action and the scope."""
    sim.access.revoke("reader")
    recorded, answer = azure.payload("error-403-authorizationfailed"), send(sim, vault.job_id("job"))
    assert answer.status_code == recorded["status"]
    assert recorded["headers"].items() <= answer.headers.items()
    message = answer.json()["error"]["message"]
    assert "The client 'reader' with object id 'reader' does not have authorization" in message
    assert f"'Microsoft.RecoveryServices/vaults/backupJobs/read' over scope '{vault.job_id('job')}'" in message
    assert "Microsoft.RecoveryServices/vaults/backupOperations/read" in send(sim, vault.operation_id("op")).text


def test_refusals_do_not_reveal_existence(sim: AzureSimulator, vault: Vault) -> None:
    """Without permission, the refusal is the same whether the job, vault or group exists or not."""
    sim.access.revoke("reader")
    paths = [
        vault.job_id("job"),
        vault.job_id("none"),
        vault.id.replace(azure.VAULT, "none") + "/backupJobs",
        vault.job_id("job").replace(azure.RESOURCE_GROUP, "none"),
    ]
    assert {send(sim, path).json()["error"]["code"] for path in paths} == {"AuthorizationFailed"}
