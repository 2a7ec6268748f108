"""Serve /metrics on a separate port, so that a NetworkPolicy can restrict it without blocking probes."""

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

_LAG_INTERVAL: Final = 1.0
"""Seconds between two measurements of the event loop's lag."""


@contextlib.asynccontextmanager
async def serve_metrics(port: int, metrics: Metrics) -> AsyncIterator[None]:
    """Serve /metrics on *port* in the format that the scraper accepts, and measure the event loop's lag."""
    app = web.Application()
    app.router.add_get("/metrics", make_aiohttp_handler(metrics.registry))
    lag = asyncio.create_task(_measure_lag(metrics), name="event-loop-lag")
    try:
        async with listening(app, port, setting="BACKUPJOBWATCH_METRICS_PORT") as number:
            _log.info("Started the metrics server: port %d", number)
            yield
    finally:
        lag.cancel()
        await asyncio.gather(lag, return_exceptions=True)


async def _measure_lag(metrics: Metrics) -> None:
    while True:
        began = time.monotonic()
        await asyncio.sleep(_LAG_INTERVAL)
        metrics.observe_loop_lag(time.monotonic() - began - _LAG_INTERVAL)
