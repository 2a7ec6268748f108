"""Serves /metrics on a port of its own, so that a NetworkPolicy can restrict it and not the probes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Final

from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from backupjobwatch.observability.listener import listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backupjobwatch.observability.metrics.instruments import Metrics

_log = logging.getLogger(__name__)

_NAP: Final = 1.0
"""Seconds between two measurements of the event loop's lag."""


@contextlib.asynccontextmanager
async def serve_metrics(port: int, metrics: Metrics) -> AsyncIterator[None]:
    """Answer /metrics on *port* in the format that the scraper accepts, and measure the event loop's lag meanwhile."""
    app = web.Application()
    app.router.add_get("/metrics", make_aiohttp_handler(metrics.registry))
    # No connection is kept: kopf, as it stops, waits for tasks that it does not know, and each of them is one.
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=0)
    napping = asyncio.create_task(_measure_lag(metrics), name="event-loop-lag")
    try:
        async with listening(runner, port, setting="BACKUPJOBWATCH_METRICS_PORT") as number:
            _log.info("Started the metrics server: port %d", number)
            yield
    finally:
        napping.cancel()
        await asyncio.gather(napping, return_exceptions=True)


async def _measure_lag(metrics: Metrics) -> None:
    while True:
        began = time.monotonic()  # not the loop's own clock, which tells when the loop looked at it
        await asyncio.sleep(_NAP)
        metrics.observe_loop_lag(time.monotonic() - began - _NAP)
