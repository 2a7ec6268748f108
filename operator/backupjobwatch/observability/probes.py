"""Liveness and readiness, over HTTP."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from aiohttp import web

from backupjobwatch.observability.listener import listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def serve_probes(port: int, *, alive: Callable[[], bool], ready: Callable[[], bool]) -> AsyncIterator[None]:
    """Answer /healthz and /readyz on *port* with 200 or 503."""

    def answer(question: Callable[[], bool]) -> Callable[[web.Request], object]:
        async def handle(_: web.Request) -> web.Response:
            yes = question()
            return web.Response(text="ok\n" if yes else "not now\n", status=200 if yes else 503)

        return handle

    app = web.Application()
    app.router.add_get("/healthz", answer(alive))  # type: ignore[arg-type]
    app.router.add_get("/readyz", answer(ready))  # type: ignore[arg-type]
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=0)  # as for metrics
    async with listening(runner, port, setting="BACKUPJOBWATCH_PROBE_PORT") as number:
        _log.info("Started the probe server: port %d", number)
        yield
