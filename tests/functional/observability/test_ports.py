"""The probe and metrics ports: the logged port is open for IPv4 and IPv6."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.observability.listener import open_port
from backupjobwatch.observability.metrics.instruments import Metrics
from backupjobwatch.observability.metrics.server import serve_metrics
from backupjobwatch.observability.probes import serve_probes
from demo.ports import reserved_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

SERVERS: dict[str, tuple[str, Callable[[int], AbstractAsyncContextManager[None]]]] = {
    "probes": ("/healthz", lambda port: serve_probes(port, alive=lambda: True, ready=lambda: True)),
    "metrics": ("/metrics", lambda port: serve_metrics(port, Metrics())),
}
ADDRESSES = ["127.0.0.1", *(["::1"] if socket.has_dualstack_ipv6() else [])]


async def request(address: str, port: int, path: str) -> str:
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.decode()


@pytest.mark.parametrize("chosen", [False, True], ids=["port 0", "a port"])
@pytest.mark.parametrize("name", SERVERS)
async def test_one_port_for_both(caplog: pytest.LogCaptureFixture, name: str, *, chosen: bool) -> None:
    """The port in the log answers over IPv4 and IPv6."""
    caplog.set_level("INFO")
    path, serve = SERVERS[name]
    with reserved_port() as free:
        port = free if chosen else 0
        async with serve(port):
            (logged,) = re.findall(r"port (\d+)", caplog.text)
            assert int(logged) == port or not chosen
            for address in ADDRESSES:
                assert (await request(address, int(logged), path)).startswith("HTTP/1.1 200")
    for address in ADDRESSES:
        with pytest.raises(ConnectionRefusedError):
            await request(address, int(logged), path)


async def test_two_servers_with_port_0(caplog: pytest.LogCaptureFixture) -> None:
    """Two servers with port 0 get different ports."""
    caplog.set_level("INFO")
    async with contextlib.AsyncExitStack() as stack:
        for _, serve in SERVERS.values():
            await stack.enter_async_context(serve(0))
    assert len(set(re.findall(r"port (\d+)", caplog.text))) == len(SERVERS)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_port_that_is_taken(family: socket.AddressFamily) -> None:
    """A port that is in use over IPv4 or IPv6 is an error."""
    if family == socket.AF_INET6 and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with socket.create_server(("", 0), family=family) as taken, pytest.raises(OSError, match="in use"):
        open_port(taken.getsockname()[1])


def test_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without IPv6, the port is open for IPv4."""
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    with open_port(0) as server, socket.create_connection(("127.0.0.1", server.getsockname()[1]), timeout=10):
        assert server.family == socket.AF_INET
