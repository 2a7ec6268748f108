"""Resolve host names of receivers without blocking the event loop's thread pool."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult


class Resolver(AbstractResolver):
    """Resolver with a separate thread for each lookup.

    A lookup cannot be cancelled and can take a minute. In the event loop's thread pool, a few slow lookups would delay all
    other ones, and the shutdown, which waits for the pool.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of *host*. Raise socket.gaierror if it has none."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Any]] = loop.create_future()

        def deliver(found: list[Any] | OSError) -> None:
            if answer.done():  # Cancelled.
                return
            if isinstance(found, OSError):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def resolve() -> None:
            found: list[Any] | OSError
            try:
                found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            except UnicodeError:
                found = socket.gaierror(socket.EAI_NONAME, "no name")
            except OSError as error:
                found = error
            with contextlib.suppress(RuntimeError):  # The loop is closed.
                loop.call_soon_threadsafe(deliver, found)

        threading.Thread(target=resolve, name="resolver", daemon=True).start()
        return [
            ResolveResult(hostname=host, host=address[0], port=port, family=each, proto=proto, flags=0)
            for each, _, proto, _, address in await answer
        ]

    async def close(self) -> None:
        """Do nothing: the resolver holds no resources."""
