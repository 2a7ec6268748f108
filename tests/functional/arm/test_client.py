"""ArmClient requests a job from the simulator over HTTP and classifies each kind of response."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.arm.credentials import StaticToken
from backupjobwatch.domain.jobs.job import Outcome
from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.errors import (
    AuthorizationFailed,
    AzureError,
    AzureUnavailable,
    JobNotFound,
    Throttled,
    UnexpectedResponse,
    VaultNotFound,
)
from demo.simulator import AzureSimulator, Fault
from tests.support.azure import SUBSCRIPTION_ID
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload
from tests.support.canary import scan

if TYPE_CHECKING:
    from demo.simulator import Vault
    from tests.functional.bound_client import BoundClient
    from tests.functional.conftest import OpenClient


async def test_gets_a_job(client: BoundClient, job_id: JobId) -> None:
    """The client returns a job that exists."""
    job = await client.get_job(job_id)
    assert (job.outcome, job.name, str(job.duration)) == (Outcome.COMPLETED, JOB_NAME, "0:20:23.089670")


TROUBLE: dict[str, tuple[Fault, type[AzureError], str]] = {
    "throttled": (Fault.throttled(retry_after=7), Throttled, "429 Too Many Requests: SubscriptionRequestsThrottled"),
    "throttled by the provider": (
        Fault.throttled(by_provider=True),
        Throttled,
        "429 Too Many Requests: ResourceRequestsThrottled",
    ),
    "500": (Fault.server_error(), AzureUnavailable, "500 Internal Server Error: CloudInternalError"),
    "502": (Fault.server_error(status=502), AzureUnavailable, "502 Bad Gateway: BadGateway"),
    "503": (Fault.server_error(status=503), AzureUnavailable, "503 Service Unavailable: ServerUnavailable"),
    "504": (Fault.server_error(status=504), AzureUnavailable, "504 Gateway Timeout: GatewayTimeout"),
    "a proxy's page": (Fault.html(), AzureUnavailable, "502 Bad Gateway is not from Azure .* It says: Bad gateway"),
    "a page with 200": (
        Fault.html(status=200, title="Log in"),
        UnexpectedResponse,
        "200 OK is not from Azure .*: Log in",
    ),
    "a page with 401": (Fault.html(status=401), UnexpectedResponse, "401 Unauthorized is not from Azure"),
    "a page with 403": (Fault.html(status=403), UnexpectedResponse, "403 Forbidden is not from Azure"),
    "a page with 404": (Fault.html(status=404), UnexpectedResponse, "404 Not Found is not from Azure"),
    "a page with 407": (Fault.html(status=407), UnexpectedResponse, "407 Proxy Authentication Required is not from"),
    "a page with 429": (Fault.html(status=429), Throttled, "429 Too Many Requests is not from Azure"),
    "a job from a cache": (Fault.without_request_id(), UnexpectedResponse, "200 OK is not from Azure"),
    "404 with an empty object": (
        Fault.answer(status=404, body="{}", official=True),
        JobNotFound,
        r"404 Not Found: no error code \(request",
    ),
    "another form of errors": (
        Fault.answer(
            status=500,
            body='{"ErrorCode": "CloudInternalError", "Message": {"Value": "At net.tcp://a:1."}, "Values": ["10.0.0.4"]}',
            official=True,
        ),
        AzureUnavailable,
        r"500 Internal Server Error: CloudInternalError: At \[internal address\] \(request",
    ),
    "nothing": (Fault.empty(), UnexpectedResponse, "200 OK is not from Azure .* Its body is empty"),
    "nothing, 204": (Fault.empty(status=204), UnexpectedResponse, "204 No Content is not from Azure .* body is empty"),
    "half": (Fault.truncated(), UnexpectedResponse, "200 OK with .* not a JSON object"),
    "a list": (Fault.not_an_object(value=[1, 2]), UnexpectedResponse, "200 OK with .* not a JSON object"),
    "null": (Fault.not_an_object(value=None), UnexpectedResponse, "200 OK with .* not a JSON object"),
    "an empty object": (Fault.not_an_object(value={}), UnexpectedResponse, "a response about no job"),
    "too long": (Fault.huge(size=5 * 1024**2), UnexpectedResponse, "larger than 4 MiB"),
    "too long, of no length": (Fault.huge(size=5 * 1024**2, declared=False), UnexpectedResponse, "larger than 4 MiB"),
    "a bomb": (Fault.gzip_bomb(), UnexpectedResponse, "larger than 4 MiB"),
    "a reset": (Fault.reset(), AzureUnavailable, "the connection failed or was closed"),
    "no answer": (Fault.hang_up(), AzureUnavailable, "the connection failed or was closed"),
    "a cut": (Fault.cut(), AzureUnavailable, "the connection failed or was closed"),
    "a cut before the body": (Fault.cut(after=0), AzureUnavailable, "the connection failed or was closed"),
    "a length too large": (Fault.wrong_length(difference=10), AzureUnavailable, "the connection failed or was closed"),
    "a length too small": (Fault.wrong_length(difference=-10), UnexpectedResponse, "not a JSON object"),
    "403": (Fault.forbidden(), AuthorizationFailed, "403 Forbidden: AuthorizationFailed: The client 'demo-principal'"),
    "no such job": (Fault.job_not_found(), JobNotFound, "404 Not Found: BMSUserErrorDataSourceObjectNotFound"),
    "no such vault": (Fault.vault_not_found(), VaultNotFound, "404 Not Found: ResourceNotFound: .*rsv-harbour"),
    "not registered": (Fault.not_registered(), UnexpectedResponse, "409 Conflict: MissingSubscriptionRegistration"),
    "another status": (
        Fault.answer(status=299, body="odd"),
        UnexpectedResponse,
        "299 is not from Azure .* It says: odd",
    ),
    "not HTTP": (Fault.answer(headers={"Content-Encoding": "gzip"}, body="no"), AzureUnavailable, "was closed"),
}


@pytest.mark.parametrize("name", TROUBLE)
async def test_raises_the_right_error(client: BoundClient, sim: AzureSimulator, job_id: JobId, name: str) -> None:
    """Each fault raises the right error with a one-line message. The next request succeeds."""
    fault, kind, message = TROUBLE[name]
    sim.faults.add(fault)
    with pytest.raises(AzureError, match=f"(?s){message}") as caught:
        await client.get_job(job_id)
    assert type(caught.value) is kind
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700
    assert (await client.get_job(job_id)).name == JOB_NAME


@pytest.mark.parametrize(
    "fault", [Fault.not_a_number(), Fault.infinite(), Fault.lone_surrogate()], ids=lambda f: f.kind
)
async def test_odd_values_do_not_cost_the_job(
    client: BoundClient, sim: AzureSimulator, job_id: JobId, fault: Fault
) -> None:
    """The client drops values that JSON does not allow and returns the rest of the job."""
    sim.faults.add(fault)
    job = await client.get_job(job_id)
    assert (job.outcome, job.progress_percent) == (Outcome.COMPLETED, None)


async def test_another_jobs_answer_is_refused(client: BoundClient, sim: AzureSimulator, job_id: JobId) -> None:
    """The client rejects a response that describes another job."""
    sim.faults.add(Fault.not_an_object(value=job_payload(name=OTHER_JOB_NAME)))
    with pytest.raises(UnexpectedResponse, match=f"about {OTHER_JOB_NAME} instead of {JOB_NAME}"):
        await client.get_job(job_id)


@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [
        (7, 7),
        (None, 30),
        (datetime(2001, 1, 1, tzinfo=UTC), 30),
        ("soon", 30),
        (10**9, 3600),
        ("-5", 30),
        ("nan", None),
    ],
    ids=str,
)
async def test_reads_how_long_to_wait(
    client: BoundClient, sim: AzureSimulator, job_id: JobId, retry_after: float | str | None, wait: float | None
) -> None:
    """The client reads Retry-After in seconds, limits it to 1 h, and replaces unusable values by 30 s."""
    sim.faults.add(Fault.throttled(retry_after=retry_after))
    with pytest.raises(Throttled) as caught:
        await client.get_job(job_id)
    assert caught.value.retry_after == timedelta(seconds=30 if wait is None else wait)


async def test_a_failing_server_may_send_retry_after(client: BoundClient, sim: AzureSimulator, job_id: JobId) -> None:
    """The client reads the Retry-After of a 503, too."""
    in_a_minute = datetime.now(UTC) + timedelta(seconds=60)
    sim.faults.add(Fault.server_error(status=503, retry_after=in_a_minute))
    with pytest.raises(AzureUnavailable) as caught:
        await client.get_job(job_id)
    assert caught.value.retry_after is not None
    assert timedelta(seconds=50) < caught.value.retry_after <= timedelta(seconds=60)


async def test_names_the_request(client: BoundClient, sim: AzureSimulator, job_id: JobId) -> None:
    """An error message contains the request ID, which Microsoft support needs."""
    sim.faults.add(Fault.server_error())
    with pytest.raises(AzureUnavailable, match=r"\(request [0-9a-f-]{36}\)\.$") as caught:
        await client.get_job(job_id)
    assert caught.value.request_id is not None
    assert caught.value.request_id in str(caught.value)


async def test_a_missing_resource(client: BoundClient, vault: Vault) -> None:
    """A missing job and a missing vault, group or subscription raise different errors."""
    with pytest.raises(JobNotFound):
        await client.get_job(JobId.parse(vault.job_id(OTHER_JOB_NAME)))
    for before, after in (("rsv-harbour", "rsv-gone"), ("rg-harbour", "rg-gone"), (SUBSCRIPTION_ID, JOB_NAME)):
        with pytest.raises(VaultNotFound):
            await client.get_job(JobId.parse(vault.job_id(OTHER_JOB_NAME).replace(before, after)))


async def test_errors_contain_no_token(open_client: OpenClient, sim: AzureSimulator, job_id: JobId) -> None:
    """No error or cause contains the token, even if Azure refuses or echoes it."""
    secret = "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.eyJzdWIiOiJ0ZXN0In0.c2lnbmF0dXJl"
    sim.tokens.add(secret, "demo-principal")
    client = open_client(tokens=StaticToken(secret))
    echo = Fault.answer(
        status=400, body=f'{{"error": {{"code": "Bad", "message": "bad header Bearer {secret}"}}}}', official=True
    )
    for fault, _, _ in (*TROUBLE.values(), (echo, None, None)):
        sim.faults.add(fault)
        with pytest.raises(AzureError) as caught:
            await client.get_job(job_id)
        error: BaseException | None = caught.value
        while error is not None:
            scan("an error", f"{error!r}{error}")
            error = error.__cause__ or error.__context__
