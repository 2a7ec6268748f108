"""ArmClient asks the simulator over HTTP and TLS: what every kind of answer means, and what is sent to whom."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

import pytest

from backupjobwatch.arm.credentials import StaticToken
from backupjobwatch.arm.transport import Transport
from backupjobwatch.core.arm_ids import JobId
from backupjobwatch.core.jobs import Outcome
from backupjobwatch.errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    AzureError,
    AzureUnavailable,
    JobNotFound,
    Throttled,
    UnexpectedResponse,
    VaultNotFound,
)
from backupjobwatch.settings import Settings
from demo.simulator import AzureSimulator, Fault
from tests.functional.bound_client import BoundClient
from tests.support.azure import SUBSCRIPTION_ID, recording_server
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload, running_payload
from tests.support.operator import azure_threads

if TYPE_CHECKING:
    from pathlib import Path

    from demo.simulator import Vault
    from tests.functional.conftest import OpenClient

TOKEN = "demo-token"


class RenewedTokens:
    """A token that is another one after each renewal; remembers what it was asked for."""

    owner: Literal["operator", "namespace"] = "operator"

    def __init__(self, *tokens: str) -> None:
        self._tokens = list(tokens)
        self.asked: list[tuple[str | None, bool]] = []

    def get(self, *, claims: str | None = None, renewed: bool = False) -> str:
        self.asked.append((claims, renewed))
        if renewed:
            del self._tokens[0]
        return self._tokens[0]


@pytest.fixture
def job_id(vault: Vault) -> JobId:
    return JobId.parse(vault.set_job(JOB_NAME, job_payload()))


# ── what answers mean ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_gets_a_job(client: BoundClient, job_id: JobId) -> None:
    """A job that is there is read."""
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
    "a proxy's page": (Fault.html(), AzureUnavailable, "502 Bad Gateway: .*<title>Bad gateway</title>"),
    "a page with 200": (Fault.html(status=200, title="Log in"), UnexpectedResponse, "200 OK with .* JSON object"),
    "nothing": (Fault.empty(), UnexpectedResponse, "200 OK with .* not a JSON object"),
    "nothing, 204": (Fault.empty(status=204), UnexpectedResponse, "204 No Content: an empty body"),
    "half": (Fault.truncated(), UnexpectedResponse, "200 OK with .* not a JSON object"),
    "a list": (Fault.not_an_object(value=[1, 2]), UnexpectedResponse, "200 OK with .* not a JSON object"),
    "null": (Fault.not_an_object(value=None), UnexpectedResponse, "200 OK with .* not a JSON object"),
    "an empty object": (Fault.not_an_object(value={}), UnexpectedResponse, "an answer about no job"),
    "too long": (Fault.huge(size=5 * 1024**2), UnexpectedResponse, "longer than 4 MiB"),
    "too long, of no length": (Fault.huge(size=5 * 1024**2, declared=False), UnexpectedResponse, "longer than 4 MiB"),
    "a bomb": (Fault.gzip_bomb(), UnexpectedResponse, "longer than 4 MiB"),
    "a reset": (Fault.reset(), AzureUnavailable, "the connection failed or was cut"),
    "no answer": (Fault.hang_up(), AzureUnavailable, "the connection failed or was cut"),
    "a cut": (Fault.cut(), AzureUnavailable, "the connection failed or was cut"),
    "a cut before the body": (Fault.cut(after=0), AzureUnavailable, "the connection failed or was cut"),
    "a length too large": (Fault.wrong_length(difference=10), AzureUnavailable, "the connection failed or was cut"),
    "a length too small": (Fault.wrong_length(difference=-10), UnexpectedResponse, "not a JSON object"),
    "403": (Fault.forbidden(), AuthorizationFailed, "403 Forbidden: AuthorizationFailed: The client 'demo-principal'"),
    "no such job": (Fault.job_not_found(), JobNotFound, "404 Not Found: BMSUserErrorDataSourceObjectNotFound"),
    "no such vault": (Fault.vault_not_found(), VaultNotFound, "404 Not Found: ResourceNotFound: .*rsv-harbour"),
    "not registered": (Fault.not_registered(), UnexpectedResponse, "409 Conflict: MissingSubscriptionRegistration"),
    "another status": (Fault.answer(status=299, body="odd"), UnexpectedResponse, "299: odd"),
    "not HTTP": (Fault.answer(headers={"Content-Encoding": "gzip"}, body="no"), AzureUnavailable, "was cut"),
}


@pytest.mark.parametrize("name", TROUBLE)
async def test_names_the_kind_of_trouble(client: BoundClient, sim: AzureSimulator, job_id: JobId, name: str) -> None:
    """Each fault is an error of its kind, with a message that a person can act on; then all is well again."""
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
    """What JSON is not made for is left out, and the rest of the job is read."""
    sim.faults.add(fault)
    job = await client.get_job(job_id)
    assert (job.outcome, job.progress_percent) == (Outcome.COMPLETED, None)


async def test_another_jobs_answer_is_refused(client: BoundClient, sim: AzureSimulator, job_id: JobId) -> None:
    """An answer about another job, whoever mixed them up, is no answer."""
    sim.faults.add(Fault.not_an_object(value=job_payload(name=OTHER_JOB_NAME)))
    with pytest.raises(UnexpectedResponse, match=f"about {OTHER_JOB_NAME} when asked for {JOB_NAME}"):
        await client.get_job(job_id)


@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [(7, 7), (None, 30), (datetime(2001, 1, 1, tzinfo=UTC), 0), ("soon", 30), (10**9, 3600), ("-5", 0), ("nan", None)],
    ids=str,
)
async def test_reads_how_long_to_wait(
    client: BoundClient, sim: AzureSimulator, job_id: JobId, retry_after: float | str | None, wait: float | None
) -> None:
    """Retry-After comes in seconds, as a date, as nonsense or not at all; more than an hour is not believed."""
    sim.faults.add(Fault.throttled(retry_after=retry_after))
    with pytest.raises(Throttled) as caught:
        await client.get_job(job_id)
    assert caught.value.retry_after == timedelta(seconds=30 if wait is None else wait)


async def test_a_failing_server_may_say_how_long_to_wait(
    client: BoundClient, sim: AzureSimulator, job_id: JobId
) -> None:
    """Retry-After counts with a 503 too."""
    in_a_minute = datetime.now(UTC) + timedelta(seconds=60)
    sim.faults.add(Fault.server_error(status=503, retry_after=in_a_minute))
    with pytest.raises(AzureUnavailable) as caught:
        await client.get_job(job_id)
    assert caught.value.retry_after is not None
    assert timedelta(seconds=50) < caught.value.retry_after <= timedelta(seconds=60)


async def test_names_the_request(client: BoundClient, sim: AzureSimulator, job_id: JobId) -> None:
    """A message has the request ID that Microsoft's support asks for."""
    sim.faults.add(Fault.server_error())
    with pytest.raises(AzureUnavailable, match=r"\(request [0-9a-f-]{36}\)\.$") as caught:
        await client.get_job(job_id)
    assert caught.value.request_id is not None
    assert caught.value.request_id in str(caught.value)


async def test_a_resource_that_is_not_there(client: BoundClient, vault: Vault) -> None:
    """The service misses jobs, the gateway misses vaults, groups and subscriptions: two kinds."""
    with pytest.raises(JobNotFound):
        await client.get_job(JobId.parse(vault.job_id(OTHER_JOB_NAME)))
    for before, after in (("rsv-harbour", "rsv-gone"), ("rg-harbour", "rg-gone"), (SUBSCRIPTION_ID, JOB_NAME)):
        with pytest.raises(VaultNotFound):
            await client.get_job(JobId.parse(vault.job_id(OTHER_JOB_NAME).replace(before, after)))


# ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


DRIPS = [Fault.drip_body(interval=0.02), Fault.drip_headers(interval=0.02)]


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("fault", DRIPS, ids=lambda fault: fault.kind)
async def test_a_request_ends_when_its_time_is_over(*, fault: Fault, tls: bool, tmp_path: Path) -> None:
    """A server that sends a byte now and then holds a thread for the total time-out, not for ever."""
    async with AzureSimulator(tls=tls) as sim:
        vault = sim.add_vault(SUBSCRIPTION_ID, "rg", "vault")
        job_id = JobId.parse(vault.set_job(JOB_NAME, {"properties": {"status": "Completed"}}))
        authority = tmp_path / "ca.pem"
        authority.write_text(sim.ca_pem)
        settings = Settings(azure_endpoint=sim.url, development=True, azure_total_timeout=timedelta(seconds=0.5))
        client = BoundClient(settings, StaticToken(TOKEN), ca_file=str(authority) if tls else None)
        try:
            await client.get_job(job_id)  # the time-out is each request's own
            sim.faults.add(fault)
            started = time.monotonic()
            with pytest.raises(AzureUnavailable, match=r"no whole answer within 0\.5s"):
                await client.get_job(job_id)
            assert 0.4 < time.monotonic() - started < 1.5
            assert (await client.get_job(job_id)).name == JOB_NAME
        finally:
            client.close()


async def test_a_silent_server_is_waited_for_as_long_as_is_set(
    open_client: OpenClient, sim: AzureSimulator, job_id: JobId
) -> None:
    """No byte within the read time-out: the request ends."""
    client = open_client(azure_read_timeout="0.3s")
    with sim.hold():
        started = time.monotonic()
        with pytest.raises(AzureUnavailable, match="no answer within the time-out"):
            await client.get_job(job_id)
        assert 0.2 < time.monotonic() - started < 1.5


async def test_threads_are_freed(open_client: OpenClient, sim: AzureSimulator, job_id: JobId) -> None:
    """Requests that hang use up neither threads nor connections for those that come after."""
    client = open_client(azure_connections=2, azure_total_timeout="0.3s")
    sim.faults.add(Fault.drip_headers(interval=0.05), times=6)
    answers = await asyncio.gather(*(client.get_job(job_id) for _ in range(6)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {AzureUnavailable}
    assert len(azure_threads()) <= 2
    started = time.monotonic()
    await asyncio.gather(*(client.get_job(job_id) for _ in range(6)))
    assert time.monotonic() - started < 1


async def test_a_host_that_nobody_is_at(open_client: OpenClient, job_id: JobId) -> None:
    """A refused connection is trouble with Azure, told without an address."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        client = open_client(azure_endpoint=f"http://127.0.0.1:{sock.getsockname()[1]}")
        with pytest.raises(AzureUnavailable, match=r"could not be reached: the connection failed or was cut\.$"):
            await client.get_job(job_id)


async def test_a_name_that_does_not_resolve(open_client: OpenClient, job_id: JobId) -> None:
    """A host without an address is told as that."""
    client = open_client(azure_endpoint="https://management.invalid")
    with pytest.raises(AzureUnavailable, match="the name of its host could not be resolved"):
        await client.get_job(job_id)


async def test_a_host_that_does_not_answer_the_connection(open_client: OpenClient, job_id: JobId) -> None:
    """A connection that is never accepted ends with the connect time-out."""
    with socket.socket() as sock, contextlib.ExitStack() as stack:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        for _ in range(4):  # fill the queue of connections that wait to be accepted
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(sock.getsockname())
        client = open_client(azure_endpoint=f"http://127.0.0.1:{sock.getsockname()[1]}", azure_connect_timeout="0.3s")
        with pytest.raises(AzureUnavailable, match="no connection within the time-out"):
            await client.get_job(job_id)


async def test_a_handshake_that_is_not_answered(open_client: OpenClient, job_id: JobId) -> None:
    """A server that takes the connection and then says nothing holds a thread no longer than one that does not."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        client = open_client(
            azure_endpoint=f"https://127.0.0.1:{sock.getsockname()[1]}",
            azure_connect_timeout="0.3s",
            azure_read_timeout="0.3s",
        )
        started = time.monotonic()
        with pytest.raises(AzureUnavailable, match="time-out"):
            await client.get_job(job_id)
        assert time.monotonic() - started < 1.5


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_refused_token_is_renewed_once(open_client: OpenClient, sim: AzureSimulator, job_id: JobId) -> None:
    """After a 401 the request is made again, with a token that was not handed out before."""
    sim.tokens.expire(TOKEN)
    sim.tokens.add("fresh-token", "demo-principal")
    tokens = RenewedTokens(TOKEN, "fresh-token")
    assert (await open_client(tokens=tokens).get_job(job_id)).name == JOB_NAME
    assert tokens.asked == [(None, False), (None, True)]
    assert len({request.authorization_sha256 for request in sim.requests}) == 2


async def test_a_claims_challenge_is_answered(open_client: OpenClient, sim: AzureSimulator, job_id: JobId) -> None:
    """Continuous access evaluation: the claims of the challenge go into the request for the next token."""
    sim.tokens.revoke(TOKEN, claims={"access_token": {"nbf": {"essential": True, "value": "1772586000"}}})
    sim.tokens.add("fresh-token", "demo-principal")
    tokens = RenewedTokens(TOKEN, "fresh-token")
    assert (await open_client(tokens=tokens).get_job(job_id)).name == JOB_NAME
    claims = '{"access_token": {"nbf": {"essential": true, "value": "1772586000"}}}'
    assert tokens.asked == [(None, False), (claims, True)]


@pytest.mark.parametrize("challenge", ['Bearer claims="!!!"', 'Bearer claims="gICA"', "Bearer"])
async def test_a_challenge_that_makes_no_sense_is_a_plain_refusal(
    open_client: OpenClient, sim: AzureSimulator, job_id: JobId, challenge: str
) -> None:
    """Claims that cannot be read are not passed on, and the token is renewed."""
    sim.faults.add(Fault.answer(status=401, headers={"WWW-Authenticate": challenge}))
    tokens = RenewedTokens(TOKEN, TOKEN)
    await open_client(tokens=tokens).get_job(job_id)
    (_, _), (claims, renewed) = tokens.asked
    assert (claims or None, renewed) == (None, True)


@pytest.mark.parametrize(
    "fault", [Fault.unauthorized(), Fault.expired_token(), Fault.claims_challenge()], ids=lambda f: f.kind
)
async def test_a_second_refusal_is_final(client: BoundClient, sim: AzureSimulator, job_id: JobId, fault: Fault) -> None:
    """Two 401 in a row fail, with what Azure says about the token."""
    sim.faults.add(fault, times=2)
    with pytest.raises(AuthenticationFailed, match=r"401 Unauthorized: .*Token"):
        await client.get_job(job_id)
    assert len(sim.requests) == 2


async def test_tokens_are_told_to_nobody(
    open_client: OpenClient, sim: AzureSimulator, job_id: JobId, caplog: pytest.LogCaptureFixture
) -> None:
    """No log line at any level and no error, causes included, holds a token or a header."""
    caplog.set_level(logging.DEBUG)
    secret = "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.eyJzdWIiOiJ0ZXN0In0.c2lnbmF0dXJl"
    sim.tokens.add(secret, "demo-principal")
    client = open_client(tokens=StaticToken(secret))
    texts = []
    echo = Fault.answer(status=400, body=f'{{"error": {{"code": "Bad", "message": "bad header Bearer {secret}"}}}}')
    for fault, _, _ in (*TROUBLE.values(), (echo, None, None)):
        sim.faults.add(fault)
        with pytest.raises(AzureError) as caught:
            await client.get_job(job_id)
        error: BaseException | None = caught.value
        while error is not None:
            texts.append(f"{error!r}{error}")
            error = error.__cause__ or error.__context__
    assert len(caplog.records) > len(TROUBLE)
    for text in (caplog.text, *texts, *(str(vars(record)) for record in caplog.records)):
        assert secret not in text
        assert "Bearer eyJ" not in text


# ── what is sent, and where ──────────────────────────────────────────────────────────────────────────────────────────


async def test_sends_what_azure_wants_to_know(client: BoundClient, sim: AzureSimulator, job_id: JobId) -> None:
    """A GET with the api-version, an ID of its own that Azure is asked to return, and our name."""
    await client.get_job(job_id)
    await client.get_job(job_id)
    first, second = sim.requests
    assert (first.method, first.query) == ("GET", {"api-version": "2025-02-01"})
    assert first.user_agent is not None
    assert first.user_agent.startswith("backupjobwatch/")
    assert {"authorization", "accept", "x-ms-return-client-request-id"} <= set(first.header_names)
    assert first.client_request_id != second.client_request_id


async def test_names_go_percent_encoded(client: BoundClient, sim: AzureSimulator) -> None:
    """A resource group may have letters of any script, and parentheses: they arrive as they were."""
    group = "Grüße_(東京).ß-1"
    vault = sim.add_vault(SUBSCRIPTION_ID, group, "vault")
    job_id = JobId.parse(vault.set_job(JOB_NAME, job_payload()))
    assert (await client.get_job(job_id)).name == JOB_NAME
    assert f"/resourceGroups/{group}/" in sim.requests[0].path
    assert quote(group, safe="") in job_id.url_path


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(client: BoundClient, sim: AzureSimulator, job_id: JobId, status: int) -> None:
    """Wherever Azure or a proxy points to, nobody else is asked: the token is Azure's alone."""
    with recording_server() as elsewhere:
        sim.faults.add(Fault.redirect(to=elsewhere.url, status=status))
        with pytest.raises(UnexpectedResponse, match=f"Azure answered {status} "):
            await client.get_job(job_id)
        assert elsewhere.visits == ()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_proxies_of_the_environment_are_not_used(
    open_client: OpenClient, job_id: JobId, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy is an explicit setting: the environment's never sees a request."""
    with recording_server() as proxy:
        monkeypatch.setenv(variable, proxy.url)
        assert (await open_client().get_job(job_id)).name == JOB_NAME
        assert proxy.visits == ()


async def test_a_netrc_is_not_used(
    open_client: OpenClient, sim: AzureSimulator, job_id: JobId, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A .netrc for the host does not replace the token."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert (await open_client().get_job(job_id)).name == JOB_NAME


async def test_a_proxy_that_is_set_is_used(open_client: OpenClient, job_id: JobId) -> None:
    """BACKUPJOBWATCH_AZURE_PROXY gets the requests; what it answers instead of Azure is no job."""
    with recording_server() as proxy:
        with pytest.raises(UnexpectedResponse):
            await open_client(azure_proxy=proxy.url).get_job(job_id)
        assert len(proxy.visits) == 1


async def test_a_proxy_that_is_not_there(open_client: OpenClient, job_id: JobId) -> None:
    """A proxy that cannot be reached is told as that."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        client = open_client(azure_proxy=f"http://127.0.0.1:{sock.getsockname()[1]}")
        with pytest.raises(AzureUnavailable, match="the proxy does not let us through"):
            await client.get_job(job_id)


async def test_connections_are_kept(
    client: BoundClient, sim: AzureSimulator, job_id: JobId, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests one after the other share a connection."""
    caplog.set_level(logging.DEBUG, "urllib3")
    for _ in range(5):
        await client.get_job(job_id)
    assert caplog.text.count("Starting new HTTP connection") == 1


async def test_no_more_connections_than_are_set(
    open_client: OpenClient, sim: AzureSimulator, job_id: JobId, caplog: pytest.LogCaptureFixture
) -> None:
    """However many ask, so many requests are under way at one time."""
    caplog.set_level(logging.DEBUG, "urllib3")
    client = open_client(azure_connections=3)
    with sim.hold() as hold:
        asked = [asyncio.create_task(client.get_job(job_id)) for _ in range(9)]
        await sim.requests_arrived(3)
        await asyncio.sleep(0.1)
        assert hold.arrivals == 3
    await asyncio.gather(*asked)
    assert caplog.text.count("Starting new HTTP connection") == 3


@pytest.mark.parametrize("path", ["@evil.example/x", ".evil.example/x", ":1/x", "//evil.example/x", "\\evil.example"])
def test_a_path_does_not_change_the_host(path: str) -> None:
    """Whatever a path is made of, the token goes to the endpoint that is set, or nowhere."""
    with recording_server() as server:
        transport = Transport(Settings(azure_endpoint=server.url, development=True))
        with contextlib.suppress(ValueError, AzureError):
            transport.get(path, query="a=b", headers={}, token=TOKEN)
        transport.close()
        assert all(visit.headers["host"] == server.url.removeprefix("http://") for visit in server.visits)


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_speaks_tls_with_those_it_trusts_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate of an authority that is not trusted ends the request before a token is sent."""
    async with AzureSimulator(tls=True) as sim:
        vault = sim.add_vault(SUBSCRIPTION_ID, "rg", "vault")
        job_id = JobId.parse(vault.set_job(JOB_NAME, running_payload()))
        authority = tmp_path / "ca.pem"
        authority.write_text(sim.ca_pem)
        settings = Settings(azure_endpoint=sim.url)
        trusting = BoundClient(settings, StaticToken(TOKEN), ca_file=str(authority))
        wary = BoundClient(settings, StaticToken(TOKEN))
        try:
            assert (await trusting.get_job(job_id)).outcome is Outcome.IN_PROGRESS
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
            with pytest.raises(AzureUnavailable, match="TLS certificate or handshake is not acceptable"):
                await wary.get_job(job_id)
        finally:
            trusting.close()
            wary.close()
        assert len(sim.requests) == 1
