"""ArmClient returns the jobs of an operation for either kind of vault, or an error."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.domain.jobs.findings import OperationFailure, PinnedJob, Waiting
from backupjobwatch.domain.jobs.resource_ids import OperationId, VaultId, VaultKind
from backupjobwatch.errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    AzureError,
    AzureUnavailable,
    JobNotFound,
    OperationWithoutJob,
    Throttled,
    UnexpectedResponse,
    VaultNotFound,
)
from demo.simulator import AzureSimulator, BackupVault, Fault, Operation, Vault
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT, recording_server
from tests.support.builders import JOB_NAME, OPERATION, OTHER_JOB_NAME

if TYPE_CHECKING:
    from tests.functional.bound_client import BoundClient

    AnyVault = Vault | BackupVault

NOT_STARTED = "f0b00001-5e1f-4000-8000-000000000001"


@pytest.fixture(params=VaultKind, ids=lambda kind: kind.value)
def kind(request: pytest.FixtureRequest) -> VaultKind:
    value: VaultKind = request.param
    return value


@pytest.fixture
def home(sim: AzureSimulator, kind: VaultKind) -> AnyVault:
    """A vault of the kind under test."""
    add = sim.add_vault if kind is VaultKind.RECOVERY_SERVICES else sim.add_backup_vault
    return add(SUBSCRIPTION_ID, RESOURCE_GROUP, VAULT)


@pytest.fixture
def operation_id(home: AnyVault, kind: VaultKind) -> OperationId:
    vault = VaultId(subscription_id=SUBSCRIPTION_ID, resource_group=RESOURCE_GROUP, name=VAULT, kind=kind)
    return OperationId(vault=vault, name=OPERATION)


@pytest.fixture
def started(home: AnyVault) -> None:
    """An operation that has started a job."""
    home.add_operation(Operation.succeeding(OPERATION, JOB_NAME, after=0))


# ── results of operations ────────────────────────────────────────────────────────────────────────────────────────────


async def test_one_job(client: BoundClient, sim: AzureSimulator, home: AnyVault, operation_id: OperationId) -> None:
    """An operation in progress has no job yet. When it succeeds, it names its job."""
    home.add_operation(Operation.succeeding(OPERATION, JOB_NAME, after=5))
    waiting = (await client.read_operation(operation_id)).value
    assert isinstance(waiting, Waiting)
    assert (waiting.reason, "Azure reports In" in waiting.message) == ("Progressing", True)
    sim.clock.advance(5)
    reading = await client.read_operation(operation_id)
    assert (reading.value, len(sim.requests)) == ((PinnedJob(name=JOB_NAME),), 2)


async def test_several_jobs(client: BoundClient, home: AnyVault, operation_id: OperationId) -> None:
    """The client returns all jobs, and the error code of each job that Azure could not start."""
    properties = {"jobIds": [JOB_NAME, OTHER_JOB_NAME], "failedJobsError": {NOT_STARTED: "UserErrorVmNotRunning"}}
    home.add_operation(Operation.succeeding(OPERATION, properties=properties, after=0))
    assert (await client.read_operation(operation_id)).value == (
        PinnedJob(name=JOB_NAME),
        PinnedJob(name=OTHER_JOB_NAME),
        PinnedJob(name=NOT_STARTED, error_code="UserErrorVmNotRunning"),
    )


async def test_no_job_could_be_started(client: BoundClient, home: AnyVault, operation_id: OperationId) -> None:
    """A successful operation that started no job returns the jobs that Azure could not start."""
    properties = {"jobIds": [], "failedJobsError": {NOT_STARTED: "UserErrorVmNotRunning"}}
    home.add_operation(Operation.succeeding(OPERATION, properties=properties, after=0))
    not_started = PinnedJob(name=NOT_STARTED, error_code="UserErrorVmNotRunning")
    assert (await client.read_operation(operation_id)).value == (not_started,)


@pytest.mark.parametrize(
    "operation",
    [Operation.succeeding(OPERATION, after=0), Operation.provisioning(OPERATION, after=0)],
    ids=["without properties", "of file recovery"],
)
async def test_no_job(client: BoundClient, home: AnyVault, operation_id: OperationId, operation: Operation) -> None:
    """A successful operation that names no job raises an error of its own kind."""
    home.add_operation(operation)
    with pytest.raises(OperationWithoutJob, match="names no job"):
        await client.read_operation(operation_id)


@pytest.mark.parametrize("status", ["Failed", "Canceled", "Cancelled", "Invalid"])
async def test_an_operation_that_failed(
    client: BoundClient, home: AnyVault, operation_id: OperationId, status: str
) -> None:
    """The message of a failed operation contains Azure's error code and message on one line."""
    error = {"code": "UserErrorX", "message": "Not\r\nnow."}
    home.add_operation(Operation.failing(OPERATION, status=status, after=0, **error))
    failure = (await client.read_operation(operation_id)).value
    assert isinstance(failure, OperationFailure)
    assert failure.message == f"The operation ended as {status}. UserErrorX: Not now."


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


OTHER_OPERATION = Fault.answer(
    body=json.dumps({"name": OTHER_JOB_NAME, "status": "Succeeded", "properties": {"jobId": JOB_NAME}}), official=True
)
"""A response that a proxy or a cache mixed up. The job of another operation must never open a gate."""
NEGATIVE_CHUNK = Fault(
    kind="negative_chunk", delivery=lambda _: iter([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n"])
)
TROUBLE: dict[str, tuple[Fault, type[AzureError], str]] = {
    "401, twice": (Fault.unauthorized(), AuthenticationFailed, "401 Unauthorized: InvalidAuthenticationToken"),
    "403": (Fault.forbidden(), AuthorizationFailed, "403 Forbidden: AuthorizationFailed: The client 'demo-principal'"),
    "404 of the gateway": (Fault.vault_not_found(), VaultNotFound, "404 Not Found: ResourceNotFound"),
    "429": (Fault.throttled(), Throttled, "429 Too Many Requests: SubscriptionRequestsThrottled"),
    "503": (Fault.server_error(status=503), AzureUnavailable, "503 Service Unavailable: ServerUnavailable"),
    "a proxy's page": (Fault.html(status=403), UnexpectedResponse, "403 Forbidden is not from Azure .*: Forbidden"),
    "half": (Fault.truncated(), UnexpectedResponse, "200 OK with .* not a JSON object"),
    "a list": (Fault.not_an_object(value=[]), UnexpectedResponse, "200 OK with .* not a JSON object"),
    "nothing, 204": (Fault.empty(status=204), UnexpectedResponse, "204 No Content is not from Azure .* body is empty"),
    "too long": (Fault.huge(size=5 * 1024**2), UnexpectedResponse, "larger than 4 MiB"),
    "too long, of no length": (Fault.huge(size=5 * 1024**2, declared=False), UnexpectedResponse, "larger than 4 MiB"),
    "a bomb": (Fault.gzip_bomb(), UnexpectedResponse, "larger than 4 MiB"),
    "a reset": (Fault.reset(), AzureUnavailable, "the connection failed or was closed"),
    "a negative size": (NEGATIVE_CHUNK, AzureUnavailable, "the connection failed or was closed"),
    "another operation": (OTHER_OPERATION, UnexpectedResponse, f"about {OTHER_JOB_NAME} instead of {OPERATION}"),
}


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize("name", TROUBLE)
async def test_raises_the_right_error(
    client: BoundClient, sim: AzureSimulator, operation_id: OperationId, name: str
) -> None:
    """Each fault raises the right error with a helpful message. The next request succeeds."""
    fault, kind, message = TROUBLE[name]
    sim.faults.add(fault, times=2 if kind is AuthenticationFailed else 1)
    with pytest.raises(AzureError, match=f"(?s){message}") as caught:
        await client.read_operation(operation_id)
    assert type(caught.value) is kind
    assert (await client.read_operation(operation_id)).value == (PinnedJob(name=JOB_NAME),)


async def test_a_missing_operation(client: BoundClient, home: AnyVault, operation_id: OperationId) -> None:
    """A missing operation raises JobNotFound, because Azure may create the operation later."""
    with pytest.raises(JobNotFound, match=r"404 Not Found: .*The operation was not found"):
        await client.read_operation(operation_id)


@pytest.mark.usefixtures("started")
async def test_errors_have_retry_after(client: BoundClient, sim: AzureSimulator, operation_id: OperationId) -> None:
    """The error of a 429 has Azure's Retry-After. A reading has the number of remaining requests."""
    sim.faults.add(Fault.throttled(retry_after=17))
    with pytest.raises(Throttled) as caught:
        await client.read_operation(operation_id)
    assert caught.value.retry_after == timedelta(seconds=17)
    assert (await client.read_operation(operation_id)).remaining is not None


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize("job", ["../../secrets", f"{JOB_NAME}?x=1", "vm1", 7])
async def test_a_job_that_is_no_guid(
    client: BoundClient, sim: AzureSimulator, operation_id: OperationId, job: object
) -> None:
    """The client rejects a job name that is not a GUID, because the name goes into a request path."""
    body = json.dumps({"status": "Succeeded", "properties": {"jobId": job}})
    sim.faults.add(Fault.answer(body=body, official=True))
    with pytest.raises(UnexpectedResponse, match="names a job that is not a GUID"):
        await client.read_operation(operation_id)


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("started")
async def test_path_depends_on_the_kind_of_vault(
    client: BoundClient, sim: AzureSimulator, operation_id: OperationId, kind: VaultKind
) -> None:
    """The path and API version of a request depend on the kind of vault."""
    await client.read_operation(operation_id)
    (request,) = sim.requests
    collection, version = {
        VaultKind.RECOVERY_SERVICES: ("backupOperations", "2025-02-01"),
        VaultKind.BACKUP_VAULT: ("operationStatus", "2025-07-01"),
    }[kind]
    assert request.path.endswith(f"/{kind.provider}/{VAULT}/{collection}/{OPERATION}")
    assert (request.method, request.query) == ("GET", {"api-version": version})


async def test_a_name_in_base64_arrives_as_it_is(client: BoundClient, sim: AzureSimulator) -> None:
    """The client sends the Base64 name of a Backup vault's operation unchanged."""
    name = "ODQ+zk_-MTE=="
    home = sim.add_backup_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, VAULT)
    home.add_operation(Operation.succeeding(name, JOB_NAME, after=0))
    vault = VaultId(
        subscription_id=SUBSCRIPTION_ID, resource_group=RESOURCE_GROUP, name=VAULT, kind=VaultKind.BACKUP_VAULT
    )
    reading = await client.read_operation(OperationId(vault=vault, name=name))
    assert reading.value == (PinnedJob(name=JOB_NAME),)
    assert sim.requests[0].path.endswith(f"/{name}")


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(
    client: BoundClient, sim: AzureSimulator, operation_id: OperationId, status: int
) -> None:
    """The client follows no redirect: the other host gets no request and no token."""
    with recording_server() as elsewhere:
        sim.faults.add(Fault.redirect(to=elsewhere.url, status=status))
        with pytest.raises(UnexpectedResponse, match=f"The response {status} .* is not from Azure"):
            await client.read_operation(operation_id)
        assert elsewhere.visits == ()
    assert len(sim.requests) == 1


POINTERS = ("Location", "Azure-AsyncOperation", "Operation-Location", "Content-Location", "Refresh", "Link")


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize("status", [200, 201, 202])
async def test_pointers_are_not_followed(
    client: BoundClient, sim: AzureSimulator, operation_id: OperationId, status: int
) -> None:
    """The client ignores headers that point to another URL, whatever the status code is."""
    with recording_server() as elsewhere:
        headers = dict.fromkeys(POINTERS, f"{elsewhere.url}/next?t=1")
        sim.faults.add(Fault.answer(status=status, headers=headers, body='{"status": "InProgress"}', official=True))
        if status == 200:
            assert isinstance((await client.read_operation(operation_id)).value, Waiting)
        else:
            with pytest.raises(UnexpectedResponse, match=f"Azure answered {status} "):
                await client.read_operation(operation_id)
        assert elsewhere.visits == ()
    assert len(sim.requests) == 1
