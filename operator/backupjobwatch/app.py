"""Build the parts of the operator, run kopf, and stop everything in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import kopf

from backupjobwatch import __version__
from backupjobwatch.arm.client import ArmClient
from backupjobwatch.arm.identities import ClusterCredentialProvider
from backupjobwatch.arm.poller import Poller
from backupjobwatch.constants import CONTROLLER
from backupjobwatch.controller.controller import Controller
from backupjobwatch.controller.kopf_handlers import REGISTRY, Memo, kopf_settings
from backupjobwatch.controller.reconciler import Reconciler
from backupjobwatch.controller.resync import Resync
from backupjobwatch.controller.ttl import TTLController
from backupjobwatch.errors import KubeError
from backupjobwatch.kube.client import KubeClient
from backupjobwatch.kube.events import EventRecorder
from backupjobwatch.kube.leader_election import LeaderElector
from backupjobwatch.notify.dispatcher import NotificationDispatcher
from backupjobwatch.notify.gitops import Triggers
from backupjobwatch.notify.receivers import Receivers
from backupjobwatch.notify.webhook import Webhooks
from backupjobwatch.observability.metrics.instruments import Metrics
from backupjobwatch.observability.metrics.server import serve_metrics
from backupjobwatch.observability.metrics.state import StateCollector
from backupjobwatch.observability.probes import serve_probes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backupjobwatch.settings import Settings


_log = logging.getLogger(__name__)

PATIENCE: Final = 5.0
"""Seconds that steps under way are given at the end. Kubernetes gives a pod 30."""
_IDENTITY: Final[Any] = CONTROLLER
"""For kopf's peering, which is off. Without it, kopf needs the name of the user, and a pod's user ID has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The parts of one operator."""

    settings: Settings
    kube: KubeClient
    controller: Controller
    resync: Resync
    metrics: Metrics
    elector: LeaderElector | None
    """None where this operator acts without asking whether others do."""

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Self]:
        """Connect to the API server and get ready to ask Azure. KubeError where there is no way to the former.

        SettingsError where an operator that is to stand for election does not know where its Lease is.
        """
        async with contextlib.AsyncExitStack() as stack:
            kube = await KubeClient.connect()
            stack.push_async_callback(kube.close)
            elector = None
            if settings.leader_election:
                own = (
                    await KubeClient.connect()
                )  # where all the other's connections wait for a slow answer, the Lease does not
                stack.push_async_callback(own.close)
                elector = LeaderElector(settings, own)
                stack.push_async_callback(elector.close)  # after all below: others act once nothing here does
            metrics = Metrics()
            client = ArmClient(settings, metrics)
            stack.callback(client.close)
            poller = Poller(settings, client, ClusterCredentialProvider(settings, kube, metrics), metrics)
            recorder = EventRecorder(kube, on_emitted=metrics.observe_transition, queue_metrics=metrics.queue("events"))
            webhooks = Webhooks(settings)
            stack.push_async_callback(webhooks.close)
            controller = Controller(
                Reconciler(kube, poller, recorder, metrics),
                poller,
                recorder,
                NotificationDispatcher(Receivers(kube, webhooks, Triggers(kube)), metrics),
                TTLController(kube, recorder, queue_metrics=metrics.queue("ttl")),
                heartbeat=settings.heartbeat,
                queue_metrics=metrics.queue("reconcile"),
            )
            controller.start()
            stack.push_async_callback(controller.close, PATIENCE)
            metrics.registry.register(StateCollector(controller, poller, watch_limit=settings.metrics_watch_limit))
            resync = Resync(settings, kube, controller, metrics)
            yield cls(
                settings=settings, kube=kube, controller=controller, resync=resync, metrics=metrics, elector=elector
            )

    @property
    def alive(self) -> bool:
        """Whether what has to go on does."""
        return self.resync.alive and (self.elector is None or self.elector.alive)

    @property
    def leading(self) -> bool:
        """Whether this operator is the one that acts."""
        return self.elector is None or self.elector.leading


RETRY: Final = 5.0
"""Seconds between two looks for the CRD at start."""


async def run(settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Run until *stop* is set, or a signal says so.

    Raises KubeError without an API server, SettingsError without a Lease or a free port, LeaseLost when the Lease went
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
            await runtime.controller.close(0.0)
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
    resyncing = asyncio.create_task(runtime.resync.run(), name="resync")
    try:
        while not stop.is_set():
            await _follow(runtime, stop, ready)
    finally:
        stop.set()
        resyncing.cancel()
        await asyncio.gather(resyncing, return_exceptions=True)


async def _follow(runtime: Runtime, stop: asyncio.Event, ready: asyncio.Event) -> None:
    """Run kopf until it is told to stop, or fails: it takes some of the API server's bad moments to be the end."""
    namespaces = runtime.settings.namespaces
    started, idle = asyncio.Event(), asyncio.Event()
    attending = asyncio.create_task(_attend(runtime, started, stop, ready, idle), name="attend")
    try:
        await kopf.operator(
            registry=REGISTRY,
            settings=kopf_settings(),
            memo=Memo(runtime.controller),
            identity=_IDENTITY,
            clusterwide=not namespaces,
            namespaces=namespaces,
            stop_flag=idle,
            ready_flag=started,
        )
    except Exception as error:  # noqa: BLE001 -- kopf's own and private ones among them
        ready.clear()
        runtime.controller.resume()
        _log.error("The watches are not followed for %gs, but for the resync: %s", RETRY, error)
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
            await runtime.kube.check(runtime.settings.scopes[0])
        except KubeError as error:
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
        await runtime.controller.close(PATIENCE)
    finally:
        idle.set()
