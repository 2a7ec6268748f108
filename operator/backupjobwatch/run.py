"""Runs the operator: kopf, the sweep and the probes in one event loop, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from typing import TYPE_CHECKING, Final

import kopf

from backupjobwatch import __version__
from backupjobwatch.errors import StoreError
from backupjobwatch.handlers import REGISTRY, Memo, kopf_settings
from backupjobwatch.metrics.server import serve_metrics
from backupjobwatch.probes import serve_probes
from backupjobwatch.runtime import Runtime

if TYPE_CHECKING:
    from backupjobwatch.settings import Settings

_log = logging.getLogger(__name__)

RETRY: Final = 5.0
"""Seconds between two looks for the CRD at start."""


async def run(settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Run until *stop* is set, or a signal says so. StoreError where there is no way to an API server."""
    stop = stop or asyncio.Event()
    _heed_signals(stop)
    started = asyncio.Event()
    async with (
        Runtime.open(settings) as runtime,
        serve_probes(
            settings.probe_port,
            alive=lambda: runtime.sweep.alive,
            ready=lambda: started.is_set() and not stop.is_set(),
        ),
        serve_metrics(settings.metrics_port, runtime.metrics),
    ):
        _log.info("backupjobwatch %s for %s", __version__, ", ".join(settings.namespaces) or "all namespaces")
        if not await _find_crd(runtime, stop):
            return
        runtime.metrics.lead(leading=True)
        sweeping = asyncio.create_task(runtime.sweep.run(), name="sweep")
        try:
            while not stop.is_set():
                await _follow(runtime, stop, started)
        finally:
            stop.set()
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)
        _log.info("Stopped")


async def _follow(runtime: Runtime, stop: asyncio.Event, started: asyncio.Event) -> None:
    """Run kopf until it is told to stop, or fails: it takes some of the API server's bad moments to be the end."""
    namespaces = runtime.settings.namespaces
    started.clear()
    heeding = asyncio.create_task(_heed_signals_after(started, stop), name="signals")
    try:
        await kopf.operator(
            registry=REGISTRY,
            settings=kopf_settings(),
            memo=Memo(runtime.roster),
            clusterwide=not namespaces,
            namespaces=namespaces,
            stop_flag=stop,
            ready_flag=started,
        )
    except Exception as error:  # noqa: BLE001 -- kopf's own and private ones among them
        _log.error("The watches are not followed for %gs, but for the sweep: %s", RETRY, error)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), RETRY)
    else:
        stop.set()
    finally:
        heeding.cancel()
        await asyncio.gather(heeding, return_exceptions=True)


async def _find_crd(runtime: Runtime, stop: asyncio.Event) -> bool:
    """Wait until the watches can be listed; False where the operator is to stop instead."""
    while not stop.is_set():
        try:
            await runtime.store.check(runtime.settings.scopes[0])
        except StoreError as error:
            _log.error("The watches cannot be listed: %s", error)
        else:
            return True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), RETRY)
    return False


def _heed_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not the main thread
            asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def _heed_signals_after(started: asyncio.Event, stop: asyncio.Event) -> None:
    """Take the signals back from kopf, which installs handlers of its own as it starts.

    Stopped by them rather than by the flag, kopf waits five seconds for its own waiter for the flag.
    """
    await started.wait()
    await asyncio.sleep(0.1)
    _heed_signals(stop)
