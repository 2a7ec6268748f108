"""Azure's own SDK parses the simulator's responses, which independently confirms their format.

These tests import the SDK themselves: its import takes long, and every process imports this module.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import (
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    IncompleteReadError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)

from demo.simulator import AzureSimulator, Fault, ManualClock, Vault, running_simulator
from demo.simulator.jobs import DEMO_JOBS, RESOURCE_GROUP, RESTORE, SUBSCRIPTION_ID, VAULT, add_demo_jobs
from tests.support import azure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from azure.mgmt.recoveryservicesbackup.models import JobResource

API_VERSION: Final = "2025-02-01"
MODELS: Final = {  # the SDK's class for each jobType, or the base class for an unknown one
    "AzureIaaSVMJob": "AzureIaaSVMJob",
    "AzureIaaSVMJobV2": "AzureIaaSVMJobV2",
    "AzureStorageJob": "AzureStorageJob",
    "AzureWorkloadJob": "AzureWorkloadJob",
    "DpmJob": "DpmJob",
    "MabJob": "MabJob",
    "VaultJob": "VaultJob",
}


class StaticCredential:
    """A credential that returns listed tokens, repeats the last one, and records the requested claims."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = list(tokens)
        self.claims: list[str | None] = []

    def get_token(self, *scopes: str, claims: str | None = None, **options: Any) -> AccessToken:
        self.claims.append(claims)
        token = self._tokens.pop(0) if len(self._tokens) > 1 else self._tokens[0]
        return AccessToken(token, int(time.time()) + 3600)


@pytest.fixture
def sim() -> Iterator[AzureSimulator]:
    with running_simulator(clock=ManualClock(), tokens={"demo-token": "demo-principal"}) as simulator:
        yield simulator


@pytest.fixture
def vault(sim: AzureSimulator) -> Vault:
    return sim.add_vault(azure.SUBSCRIPTION_ID, azure.RESOURCE_GROUP, azure.VAULT)


def get(
    sim: AzureSimulator, vault: Vault, job_name: str, credential: StaticCredential | None = None, **options: Any
) -> JobResource:
    from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient

    with RecoveryServicesBackupClient(
        credential or StaticCredential("demo-token"),
        vault.subscription_id,
        base_url=sim.url,
        api_version=API_VERSION,
        retry_total=0,
        **options,
    ) as client:
        return client.job_details.get(vault.name, vault.resource_group, job_name, enforce_https=False)


@pytest.mark.parametrize("name", azure.payload_names("job-"))
def test_reads_each_job(sim: AzureSimulator, vault: Vault, name: str) -> None:
    """The SDK parses a job of every type and state, with the same values as the simulator's."""
    payload = azure.payload(name)
    vault.set_job(payload["name"], payload)

    job = get(sim, vault, payload["name"])

    properties = payload["properties"]
    assert job.as_dict() == payload
    assert type(job.properties).__name__ == MODELS.get(properties["jobType"], "Job")
    assert job.properties is not None
    assert job.properties.status == properties["status"]
    assert job.properties.operation == properties["operation"]
    assert job.properties.entity_friendly_name == properties["entityFriendlyName"]
    assert job.properties.start_time is not None
    assert (job.properties.end_time is None) == ("endTime" not in properties)


@pytest.mark.parametrize("job", DEMO_JOBS, ids=lambda job: job.properties["entityFriendlyName"])
def test_reads_the_demo(sim: AzureSimulator, job: Any) -> None:
    """The SDK parses every state of each demo job."""
    vault = add_demo_jobs(sim)
    assert (vault.subscription_id, vault.resource_group, vault.name) == (SUBSCRIPTION_ID, RESOURCE_GROUP, VAULT)
    moment = 0.0
    for state in job.timeline:
        sim.clock.advance(max(state.after, job.visible_after) - moment)
        moment = max(state.after, job.visible_after)
        properties = get(sim, vault, job.name).properties
        assert properties is not None
        assert properties.status == state.status
        assert (properties.end_time is not None) == state.ended


def test_reads_typed_fields(sim: AzureSimulator) -> None:
    """The SDK finds durations, tasks and progress of a restore in its models' fields."""
    vault = add_demo_jobs(sim)
    sim.clock.advance(760)

    job: Any = get(sim, vault, RESTORE.name).properties

    assert job.duration.total_seconds() == 760
    assert job.actions_info == [1]
    assert job.extended_info.progress_percentage == 50.0
    assert job.extended_info.estimated_remaining_duration == "00:12:20"
    assert [(task.task_id, task.status, task.task_execution_details) for task in job.extended_info.tasks_list] == [
        ("Transfer data from vault", "InProgress", "12.4 GBs / 24.8 GBs Transferred")
    ]


def test_sends_the_pinned_version(sim: AzureSimulator, vault: Vault) -> None:
    """The SDK sends the configured api-version and a client request ID."""
    vault.set_job("job-1", {"properties": {"jobType": "VaultJob"}})
    get(sim, vault, "job-1")
    (record,) = sim.requests
    assert record.query == {"api-version": API_VERSION}
    assert record.client_request_id
    assert record.user_agent is not None
    assert record.user_agent.startswith("azsdk-python-mgmt-recoveryservicesbackup/")


@pytest.mark.parametrize(
    ("fault", "error", "status", "code"),
    [
        (Fault.unauthorized(), ClientAuthenticationError, 401, "InvalidAuthenticationToken"),
        (Fault.expired_token(), ClientAuthenticationError, 401, "ExpiredAuthenticationToken"),
        (Fault.forbidden(), HttpResponseError, 403, "AuthorizationFailed"),
        (Fault.job_not_found(), ResourceNotFoundError, 404, "BMSUserErrorDataSourceObjectNotFound"),
        (Fault.vault_not_found(), ResourceNotFoundError, 404, "ResourceNotFound"),
        (Fault.throttled(retry_after=7), HttpResponseError, 429, "SubscriptionRequestsThrottled"),
        (Fault.throttled(retry_after=7, by_provider=True), HttpResponseError, 429, "ResourceRequestsThrottled"),
        (Fault.server_error(status=500), HttpResponseError, 500, "CloudInternalError"),
        (Fault.server_error(status=503), HttpResponseError, 503, "ServerUnavailable"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
def test_raises_on_refusals(
    sim: AzureSimulator, vault: Vault, *, fault: Fault, error: type[HttpResponseError], status: int, code: str
) -> None:
    """The SDK raises its own exception for each refusal, and reads Azure's error code from the body."""
    sim.faults.add(fault)
    with pytest.raises(HttpResponseError) as caught:
        get(sim, vault, "job-1")
    assert type(caught.value) is error
    assert (caught.value.status_code, caught.value.error.code) == (status, code)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.html(status=200), json.JSONDecodeError),
        (Fault.truncated(), DecodeError),
        (Fault.reset(), ServiceResponseError),
        (Fault.hang_up(), ServiceResponseError),
        (Fault.cut(), IncompleteReadError),
        (Fault.wrong_length(), IncompleteReadError),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
def test_raises_on_broken_answers(sim: AzureSimulator, vault: Vault, fault: Fault, error: type[Exception]) -> None:
    """The SDK detects truncated or broken responses."""
    vault.set_job("job-1", azure.payload("job-iaasvm-completed"))
    sim.faults.add(fault)
    with pytest.raises(error):
        get(sim, vault, "job-1")


def test_raises_for_missing_resources(sim: AzureSimulator, vault: Vault) -> None:
    """The SDK raises the same exception for a missing job, vault and group, with different error codes."""
    elsewhere = Vault(vault.subscription_id, vault.resource_group, "rsv-elsewhere", clock=sim.clock)
    nowhere = Vault(vault.subscription_id, "rg-nowhere", vault.name, clock=sim.clock)
    codes = []
    for place in (vault, elsewhere, nowhere):
        with pytest.raises(ResourceNotFoundError) as caught:
            get(sim, place, "job-1")
        codes.append(caught.value.error.code)  # type: ignore[union-attr]
    assert codes == ["BMSUserErrorDataSourceObjectNotFound", "ResourceNotFound", "ResourceGroupNotFound"]


def test_answers_a_claims_challenge(sim: AzureSimulator, vault: Vault) -> None:
    """The SDK follows the claims challenge: it requests a token with these claims, and succeeds."""
    vault.set_job("job-1", azure.payload("job-iaasvm-completed"))
    sim.tokens.add("old-token", "demo-principal")
    sim.tokens.revoke("old-token", claims={"access_token": {"nbf": {"essential": True, "value": "1772586000"}}})
    credential = StaticCredential("old-token", "demo-token")

    assert get(sim, vault, "job-1", credential).name == "job-1"

    assert credential.claims[-1] == '{"access_token": {"nbf": {"essential": true, "value": "1772586000"}}}'


def test_recognises_a_missing_registration(tmp_path: Path) -> None:
    """Over TLS, the SDK treats the 409 as an unregistered provider, tries to register it, and then raises."""
    with running_simulator(tls=True) as sim:
        vault = sim.add_vault(azure.SUBSCRIPTION_ID, azure.RESOURCE_GROUP, azure.VAULT)
        sim.faults.add(Fault.not_registered())
        authority = tmp_path / "ca.pem"
        authority.write_text(sim.ca_pem)
        with pytest.raises(ResourceExistsError) as caught:
            get(sim, vault, "job-1", connection_verify=str(authority))
    assert caught.value.error.code == "MissingSubscriptionRegistration"  # type: ignore[union-attr]
    assert [(record.method, record.path.rpartition("/")[2]) for record in sim.requests] == [
        ("GET", "job-1"),
        ("POST", "register"),
    ]


def test_a_stopped_simulator(sim: AzureSimulator, vault: Vault) -> None:
    """A stopped simulator refuses connections."""
    with running_simulator() as other:
        pass
    with pytest.raises(ServiceRequestError):
        get(other, vault, "job-1")
