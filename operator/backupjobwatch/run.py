"""Runs the operator: election, kopf, the sweep and the probes in one event loop, until it is told to stop."""

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
from backupjobwatch.runtime import PATIENCE, Runtime

if TYPE_CHECKING:
    from backupjobwatch.settings import Settings

_log = logging.getLogger(__name__)

RETRY: Final = 5.0
"""Seconds between two looks for the CRD at start."""


async def run(settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Run until *stop* is set, or a signal says so.

    Raises StoreError without an API server, SettingsError without a Lease or a free port, LeaseLost when the Lease went
    to another, or cannot be renewed.
    """
    stop = stop or asyncio.Event()
    _heed_signals(stop)
    ready = asyncio.Event()
    async with (
        Runtime.open(settings) as runtime,
        serve_probes(
            settings.probe_port,
            alive=lambda: runtime.alive,
            ready=lambda: ready.is_set() and not stop.is_set(),
        ),
        serve_metrics(settings.metrics_port, runtime.metrics),
    ):
        _log.info("backupjobwatch %s for %s", __version__, ", ".join(settings.namespaces) or "all namespaces")
        if await _find_crd(runtime, stop) and await _win(runtime, stop, ready):
            await _act(runtime, stop, ready)
        if runtime.elector is not None and runtime.elector.failure is not None:
            raise runtime.elector.failure
    _log.info("Stopped")


async def _win(runtime: Runtime, stop: asyncio.Event, ready: asyncio.Event) -> bool:
    """Stand by until this operator is the one that acts; False where it is to stop instead.

    Who stands by is ready: a rolling update waits for that before it ends the leader.
    """
    elector = runtime.elector
    if elector is None:
        return True

    async def give_up() -> None:
        try:
            await runtime.roster.close(0.0)
        finally:
            stop.set()

    elector.start(give_up)
    await _first(elector.elected, elector.standing_by, stop)
    if not elector.elected.is_set():
        ready.set()
        await _first(elector.elected, stop)
    return not stop.is_set()


async def _first(*events: asyncio.Event) -> None:
    """Wait for one of *events*."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def _act(runtime: Runtime, stop: asyncio.Event, ready: asyncio.Event) -> None:
    """Follow the watches until it is time to stop."""
    runtime.metrics.lead(lambda: runtime.leading)
    sweeping = asyncio.create_task(runtime.sweep.run(), name="sweep")
    try:
        while not stop.is_set():
            await _follow(runtime, stop, ready)
    finally:
        stop.set()
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)


async def _follow(runtime: Runtime, stop: asyncio.Event, ready: asyncio.Event) -> None:
    """Run kopf until it is told to stop, or fails: it takes some of the API server's bad moments to be the end."""
    namespaces = runtime.settings.namespaces
    started, idle = asyncio.Event(), asyncio.Event()
    attending = asyncio.create_task(_attend(runtime, started, stop, ready, idle), name="attend")
    try:
        await kopf.operator(
            registry=REGISTRY,
            settings=kopf_settings(),
            memo=Memo(runtime.roster),
            clusterwide=not namespaces,
            namespaces=namespaces,
            stop_flag=idle,
            ready_flag=started,
        )
    except Exception as error:  # noqa: BLE001 -- kopf's own and private ones among them
        ready.clear()
        _log.error("The watches are not followed for %gs, but for the sweep: %s", RETRY, error)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), RETRY)
    else:
        stop.set()
    finally:
        attending.cancel()
        await asyncio.gather(attending, return_exceptions=True)


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


async def _attend(
    runtime: Runtime, started: asyncio.Event, stop: asyncio.Event, ready: asyncio.Event, idle: asyncio.Event
) -> None:
    """Be ready once kopf has started; when it is time to stop, end what is under way, and only then kopf.

    kopf, as it stops, waits five seconds for tasks that it does not know.
    """
    await _first(started, stop)
    if not stop.is_set():
        ready.set()
        await asyncio.sleep(0.1)
        _heed_signals(stop)  # back from kopf, which has taken them, and would not wait for us
        await stop.wait()
    try:
        await runtime.roster.close(PATIENCE)
    finally:
        idle.set()
