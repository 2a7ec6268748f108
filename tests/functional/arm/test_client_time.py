"""ArmClient limits the time of each request, and no hanging request blocks a thread."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import pytest

from backupjobwatch.arm.credentials import StaticToken
from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.errors import AzureUnavailable
from backupjobwatch.settings import Settings
from demo.ports import reserved_port
from demo.simulator import AzureSimulator, Fault
from tests.functional.bound_client import BoundClient
from tests.support.azure import SUBSCRIPTION_ID
from tests.support.builders import JOB_NAME
from tests.support.canary import TOKEN
from tests.support.operator import azure_threads

if TYPE_CHECKING:
    from pathlib import Path

    from backupjobwatch.domain.jobs.job import Job
    from tests.functional.conftest import OpenClient

DRIPS = [Fault.drip_body(interval=0.02), Fault.drip_headers(interval=0.02)]


async def answered(client: BoundClient, job_id: JobId) -> Job:
    """Return a job. On a busy machine, even a request without a fault may exceed a time limit of one or two seconds."""
    async with asyncio.timeout(120):
        while True:
            with contextlib.suppress(AzureUnavailable):
                return await client.get_job(job_id)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("fault", DRIPS, ids=lambda fault: fault.kind)
async def test_a_request_ends_at_its_timeout(*, fault: Fault, tls: bool, tmp_path: Path) -> None:
    """The total timeout also ends requests to a server that sends one byte at a time."""
    async with AzureSimulator(tls=tls, tokens={TOKEN: "demo-principal"}) as sim:
        vault = sim.add_vault(SUBSCRIPTION_ID, "rg", "vault")
        job_id = JobId.parse(vault.set_job(JOB_NAME, {"properties": {"status": "Completed"}}))
        authority = tmp_path / "ca.pem"
        authority.write_text(sim.ca_pem)
        settings = Settings(
            azure_endpoint=sim.url,
            azure_ca_file=str(authority) if tls else "",
            development=True,
            azure_total_timeout=timedelta(seconds=2),
        )
        client = BoundClient(settings, StaticToken(TOKEN))
        try:
            await answered(client, job_id)  # the timeout is per request, not per connection
            sim.faults.add(fault)
            started = time.monotonic()
            with pytest.raises(AzureUnavailable, match=r"no complete response within 2s"):
                await client.get_job(job_id)
            assert 1.9 < time.monotonic() - started < 30
            assert (await answered(client, job_id)).name == JOB_NAME
        finally:
            client.close()


async def test_a_silent_server_ends_at_the_read_timeout(
    open_client: OpenClient, sim: AzureSimulator, job_id: JobId
) -> None:
    """A request to a silent server ends after the read timeout."""
    client = open_client(azure_read_timeout="0.3s")
    with sim.hold():
        started = time.monotonic()
        with pytest.raises(AzureUnavailable, match="the response timed out"):
            await client.get_job(job_id)
        assert 0.2 < time.monotonic() - started < 30


async def test_threads_are_freed(open_client: OpenClient, sim: AzureSimulator, job_id: JobId) -> None:
    """Requests that time out release their threads and connections."""
    client = open_client(azure_connections=2, azure_total_timeout="1s")
    sim.faults.add(Fault.drip_headers(interval=0.05), times=6)
    answers = await asyncio.gather(*(client.get_job(job_id) for _ in range(6)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {AzureUnavailable}
    assert len(azure_threads()) <= 2

    await asyncio.gather(*(answered(client, job_id) for _ in range(6)))


class SlowTokens:
    """A token source that blocks its caller until the test sets *released*."""

    owner: Literal["operator", "namespace"] = "operator"

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.released = threading.Event()

    def get(self, *, claims: str | None = None, renewed: bool = False) -> str:
        """Return a token after the release."""
        del claims, renewed
        self.requested.set()
        assert self.released.wait(60)
        return TOKEN


async def test_a_request_that_begins_after_the_end(open_client: OpenClient, sim: AzureSimulator, job_id: JobId) -> None:
    """A thread that gets its token while the client closes sends no request. The process would wait for it."""
    tokens = SlowTokens()
    client = open_client(tokens=tokens)
    with sim.hold():
        asked = asyncio.create_task(client.get_job(job_id))
        assert await asyncio.to_thread(tokens.requested.wait, 60)
        client.close()
        tokens.released.set()
        async with asyncio.timeout(20):
            with pytest.raises(AzureUnavailable):
                await asked
    assert sim.requests == ()


async def test_a_refused_connection(open_client: OpenClient, job_id: JobId) -> None:
    """A refused connection raises AzureUnavailable, and the message contains no address."""
    with reserved_port() as closed:
        client = open_client(azure_endpoint=f"http://127.0.0.1:{closed}")
        with pytest.raises(AzureUnavailable, match=r"could not be reached: the connection failed or was closed\.$"):
            await client.get_job(job_id)


async def test_a_name_that_does_not_resolve(open_client: OpenClient, job_id: JobId) -> None:
    """If DNS does not resolve the host, the message says so."""
    client = open_client(azure_endpoint="https://management.invalid")
    with pytest.raises(AzureUnavailable, match="the name of its host could not be resolved"):
        await client.get_job(job_id)


async def test_a_host_that_does_not_answer_the_connection(open_client: OpenClient, job_id: JobId) -> None:
    """A request whose connection is never accepted ends after the connect timeout."""
    with socket.socket() as sock, contextlib.ExitStack() as stack:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        for _ in range(4):  # fill the accept queue
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(sock.getsockname())
        client = open_client(azure_endpoint=f"http://127.0.0.1:{sock.getsockname()[1]}", azure_connect_timeout="0.3s")
        with pytest.raises(AzureUnavailable, match="the connection timed out"):
            await client.get_job(job_id)


async def test_a_handshake_that_is_not_answered(open_client: OpenClient, job_id: JobId) -> None:
    """A server that accepts the connection but not the TLS handshake causes a timeout, too."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        client = open_client(
            azure_endpoint=f"https://127.0.0.1:{sock.getsockname()[1]}",
            azure_connect_timeout="0.3s",
            azure_read_timeout="0.3s",
        )
        started = time.monotonic()
        with pytest.raises(AzureUnavailable, match="timed out"):
            await client.get_job(job_id)
        assert time.monotonic() - started < 30
