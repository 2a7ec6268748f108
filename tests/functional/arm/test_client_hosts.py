"""ArmClient sends its requests only to Azure's host, over TLS and a limited number of connections."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from backupjobwatch.arm.credentials import StaticToken
from backupjobwatch.arm.transport import Transport
from backupjobwatch.domain.jobs.job import Outcome
from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.errors import AzureError, AzureUnavailable, UnexpectedResponse
from backupjobwatch.settings import Settings
from demo.ports import reserved_port
from demo.simulator import AzureSimulator, Fault
from tests.functional.bound_client import BoundClient
from tests.support.azure import SUBSCRIPTION_ID, recording_server
from tests.support.builders import JOB_ID, JOB_NAME, job_payload, running_payload
from tests.support.canary import TOKEN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.functional.conftest import OpenClient


async def test_request_has_version_and_headers(client: BoundClient, sim: AzureSimulator, job_id: JobId) -> None:
    """A request is a GET with the api-version, a unique client request ID and the operator's user agent."""
    await client.get_job(job_id)
    await client.get_job(job_id)
    first, second = sim.requests
    assert (first.method, first.query) == ("GET", {"api-version": "2025-02-01"})
    assert first.user_agent is not None
    assert first.user_agent.startswith("backupjobwatch/")
    assert {"authorization", "accept", "x-ms-return-client-request-id"} <= set(first.header_names)
    assert first.client_request_id != second.client_request_id


async def test_names_go_percent_encoded(client: BoundClient, sim: AzureSimulator) -> None:
    """A resource group with non-ASCII letters and parentheses arrives unchanged."""
    group = "Grüße_(東京).ß-1"
    vault = sim.add_vault(SUBSCRIPTION_ID, group, "vault")
    job_id = JobId.parse(vault.set_job(JOB_NAME, job_payload()))
    assert (await client.get_job(job_id)).name == JOB_NAME
    assert f"/resourceGroups/{group}/" in sim.requests[0].path
    assert quote(group, safe="") in job_id.url_path


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(client: BoundClient, sim: AzureSimulator, job_id: JobId, status: int) -> None:
    """The client follows no redirect, so no other host gets the token."""
    with recording_server() as elsewhere:
        sim.faults.add(Fault.redirect(to=elsewhere.url, status=status))
        with pytest.raises(UnexpectedResponse, match=f"The response {status} .* is not from Azure"):
            await client.get_job(job_id)
        assert elsewhere.visits == ()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_proxies_of_the_environment_are_not_used(
    open_client: OpenClient, job_id: JobId, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client ignores the proxy variables of the environment."""
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
    """The client sends its requests to the configured proxy and rejects the proxy's own response."""
    with recording_server() as proxy:
        with pytest.raises(UnexpectedResponse):
            await open_client(azure_proxy=proxy.url).get_job(job_id)
        assert len(proxy.visits) == 1


async def test_an_unreachable_proxy(open_client: OpenClient, job_id: JobId) -> None:
    """If the proxy is unreachable, the error names the proxy as the cause."""
    with reserved_port() as closed:
        client = open_client(azure_proxy=f"http://127.0.0.1:{closed}")
        with pytest.raises(AzureUnavailable, match="the proxy refused the connection"):
            await client.get_job(job_id)


async def test_connections_are_kept(
    client: BoundClient, sim: AzureSimulator, job_id: JobId, caplog: pytest.LogCaptureFixture
) -> None:
    """Consecutive requests share one connection."""
    caplog.set_level(logging.DEBUG, "urllib3")
    for _ in range(5):
        await client.get_job(job_id)
    assert caplog.text.count("Starting new HTTP connection") == 1


async def test_no_more_connections_than_are_set(
    open_client: OpenClient, sim: AzureSimulator, job_id: JobId, caplog: pytest.LogCaptureFixture
) -> None:
    """Concurrent requests never use more connections than the limit."""
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
    """No path can redirect the token from the configured endpoint to another host."""
    with recording_server() as server:
        transport = Transport(Settings(azure_endpoint=server.url, development=True))
        with contextlib.suppress(ValueError, AzureError):
            transport.send(path, query="a=b", headers={}, token=TOKEN)
        transport.close()
        assert all(visit.headers["host"] == server.url.removeprefix("http://") for visit in server.visits)


@pytest.mark.parametrize(
    "path",
    [
        f"/subscriptions/{SUBSCRIPTION_ID}/providers/Microsoft.RecoveryServices/locations/westus/backupCrrJobs",
        f"/subscriptions/{SUBSCRIPTION_ID}/providers/Microsoft.RecoveryServices/locations/westus/x/backupCrrJob",
        f"/subscriptions/{SUBSCRIPTION_ID}/providers/Microsoft.RecoveryServices/locations/../backupCrrJob",
        f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/rg/providers/Microsoft.DataProtection/locations/westus/backup",
        f"{JOB_ID}/cancel",
        JOB_ID,
    ],
)
def test_only_known_posts(path: str) -> None:
    """A POST outside the list of allowed requests is not sent."""
    with recording_server() as server:
        transport = Transport(Settings(azure_endpoint=server.url, development=True))
        for send in (transport.send, transport.write):
            with pytest.raises(UnexpectedResponse, match="does not send this request"):
                send(path, query="a=b", headers={}, token=TOKEN, body={})
        transport.close()
        assert server.visits == ()


async def test_no_token_for_an_untrusted_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client sends no token to a server with an untrusted certificate."""
    async with AzureSimulator(tls=True, tokens={TOKEN: "demo-principal"}) as sim:
        vault = sim.add_vault(SUBSCRIPTION_ID, "rg", "vault")
        job_id = JobId.parse(vault.set_job(JOB_NAME, running_payload()))
        authority = tmp_path / "ca.pem"
        authority.write_text(sim.ca_pem)
        trusting = BoundClient(Settings(azure_endpoint=sim.url, azure_ca_file=str(authority)), StaticToken(TOKEN))
        wary = BoundClient(Settings(azure_endpoint=sim.url), StaticToken(TOKEN))
        try:
            assert (await trusting.get_job(job_id)).outcome is Outcome.IN_PROGRESS
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
            with pytest.raises(AzureUnavailable, match="TLS certificate or handshake was rejected"):
                await wary.get_job(job_id)
        finally:
            trusting.close()
            wary.close()
        assert len(sim.requests) == 1
