"""Open the ports of the probes and of /metrics."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import TYPE_CHECKING, Final

from aiohttp import web

from backupjobwatch.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_NO_IPV6: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def open_port(port: int) -> socket.socket:
    """Listen on *port* for IPv4 and IPv6, or for IPv4 alone if the node has no IPv6. 0 picks one free port for both.

    asyncio would open a socket for each, and with port 0 the two have different ports.
    """
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as error:
            if error.errno not in _NO_IPV6:
                raise
    return socket.create_server(("", port))


@contextlib.asynccontextmanager
async def listening(app: web.Application, port: int, *, setting: str) -> AsyncIterator[int]:
    """Serve *app* on *port* while entered. Yield the port, which is another one if *port* is 0.

    Raises SettingsError, with the name of the *setting*, if the port is not available.
    """
    # No keep-alive: each connection is a task, and while kopf stops it waits for tasks that it does not know.
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=0)
    await runner.setup()
    try:
        try:
            server = open_port(port)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise SettingsError(f"{setting}: port {port} is not available ({reason}). Set a free port.") from error
        await web.SockSite(runner, server).start()
        yield int(server.getsockname()[1])
    finally:
        await runner.cleanup()
