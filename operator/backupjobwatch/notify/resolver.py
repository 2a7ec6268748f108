"""Looks up the names of receivers, whose name servers may be as slow as they like."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult


class Resolver(AbstractResolver):
    """Asks the system, in a thread of its own for each name.

    Nobody can end such a question, which goes on for up to a minute when its asker has given up. In the event loop's own
    threads, a few names would keep everybody else's waiting, and the operator from stopping: it waits for those threads.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of *host*; socket.gaierror where it has none."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Any]] = loop.create_future()

        def tell(found: list[Any] | OSError) -> None:
            if answer.done():  # by cancellation
                return
            if isinstance(found, OSError):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def look_up() -> None:
            found: list[Any] | OSError
            try:
                found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            except UnicodeError:
                found = socket.gaierror(socket.EAI_NONAME, "no name")
            except OSError as error:
                found = error
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(tell, found)

        threading.Thread(target=look_up, name="resolver", daemon=True).start()
        return [
            ResolveResult(hostname=host, host=address[0], port=port, family=each, proto=proto, flags=0)
            for each, _, proto, _, address in await answer
        ]

    async def close(self) -> None:
        """Nothing is kept."""
