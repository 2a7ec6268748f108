"""Connections of BackupSender: whether any part of a request may have been sent."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.domain.polling.backup_plan import RECOVER_AFTER, SEND_WITHIN
from backupjobwatch.errors import AzureUnavailable, RequestUncertain
from demo.ports import reserved_port
from demo.simulator import AzureSimulator, Fault, Vault
from tests.functional.sending import Sending
from tests.support.azure import recording_server

if TYPE_CHECKING:
    from tests.functional.conftest import OpenClient


@pytest.fixture
def sending(open_client: OpenClient, sim: AzureSimulator, vault: Vault) -> Sending:
    return Sending(open_client, sim, vault)


@pytest.mark.parametrize("fault", [Fault.delayed(seconds=60), Fault.drip_headers(interval=1)], ids=lambda f: f.kind)
async def test_timeouts(sending: Sending, sim: AzureSimulator, fault: Fault) -> None:
    """A time-out after the request was sent is uncertain."""
    sending.client.arm.session.transport.write_timeout = 1.0
    sim.faults.add(fault)

    assert type(await sending.error()) is RequestUncertain
    assert sending.posts == 1


@pytest.mark.parametrize("total", [timedelta(seconds=5), timedelta(minutes=10)])
async def test_time_limit(open_client: OpenClient, total: timedelta) -> None:
    """With any settings, a write may take longer than Azure Resource Manager's 60 s, and times out before recovery."""
    limit = timedelta(seconds=open_client(azure_total_timeout=total).arm.session.transport.write_timeout)
    assert timedelta(seconds=60) < limit < RECOVER_AFTER - SEND_WITHIN


async def test_nothing_listens(sending: Sending, sim: AzureSimulator) -> None:
    """A failed connection is definite: nothing was sent. The next attempt succeeds."""
    await sim.stop()
    error = await sending.error()
    assert type(error) is AzureUnavailable
    assert not error.was_sent
    await sim.start()
    await sending.send()
    assert sending.posts == 1


async def test_unknown_host(open_client: OpenClient, sim: AzureSimulator, vault: Vault) -> None:
    """A name that does not resolve is definite."""
    error = await Sending(open_client, sim, vault, azure_endpoint="https://azure.invalid").error()

    assert isinstance(error, AzureUnavailable)
    assert not error.was_sent


async def test_unacceptable_certificate(open_client: OpenClient, sim: AzureSimulator, vault: Vault) -> None:
    """A failed TLS handshake is definite: the request is sent only after it."""
    async with AzureSimulator(tls=True) as other:
        error = await Sending(open_client, sim, vault, azure_endpoint=other.url).error()

        assert isinstance(error, AzureUnavailable)
        assert not error.was_sent
        assert other.requests == ()


async def test_proxies(open_client: OpenClient, sim: AzureSimulator, vault: Vault) -> None:
    """A proxy that refuses the tunnel to Azure gets no request, so this is definite."""
    with recording_server() as proxy:
        options = {"azure_proxy": proxy.url, "azure_endpoint": "https://management.azure.invalid"}
        error = await Sending(open_client, sim, vault, **options).error()
        assert isinstance(error, AzureUnavailable)
        assert not error.was_sent
        assert proxy.visits == ()


async def test_proxy_that_answers_itself(open_client: OpenClient, sim: AzureSimulator, vault: Vault) -> None:
    """A response of a proxy to the request itself is uncertain. A proxy that does not listen is definite."""
    with recording_server() as proxy:
        assert type(await Sending(open_client, sim, vault, azure_proxy=proxy.url).error()) is RequestUncertain
        assert [visit.method for visit in proxy.visits] == ["POST"]
    with reserved_port() as closed:
        error = await Sending(open_client, sim, vault, azure_proxy=f"http://127.0.0.1:{closed}").error()
        assert isinstance(error, AzureUnavailable)
        assert not error.was_sent


async def test_new_connections(sending: Sending, caplog: pytest.LogCaptureFixture) -> None:
    """Each write has a new connection, because Azure may close a kept one just when it is used."""
    caplog.set_level(logging.DEBUG, "urllib3")
    for _ in range(3):
        await sending.send()
    assert caplog.text.count("Starting new HTTP connection") == 3
