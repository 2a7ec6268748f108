"""Serve the liveness and readiness probes over HTTP."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from aiohttp import web

from backupjobwatch.observability.listener import listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def serve_probes(port: int, *, alive: Callable[[], bool], ready: Callable[[], bool]) -> AsyncIterator[None]:
    """Serve /healthz and /readyz on *port* with 200 or 503."""

    def handler(check: Callable[[], bool]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(_: web.Request) -> web.Response:
            is_ok = check()
            return web.Response(text="ok\n" if is_ok else "not now\n", status=200 if is_ok else 503)

        return handle

    app = web.Application()
    app.router.add_get("/healthz", handler(alive))
    app.router.add_get("/readyz", handler(ready))
    async with listening(app, port, setting="BACKUPJOBWATCH_PROBE_PORT") as number:
        _log.info("Started the probe server: port %d", number)
        yield
