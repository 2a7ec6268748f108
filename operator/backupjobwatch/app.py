"""Build the components of the operator, run kopf, and stop them in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

import kopf

from backupjobwatch import __version__
from backupjobwatch.arm.backup_rates import BackupRates
from backupjobwatch.arm.backup_sender import BackupSender
from backupjobwatch.arm.client import ArmClient
from backupjobwatch.arm.identities import ClusterCredentialProvider
from backupjobwatch.arm.poller import Poller
from backupjobwatch.constants import CONTROLLER, GROUP, PLURAL
from backupjobwatch.controller.backup_admission import BackupAdmission
from backupjobwatch.controller.backup_requester import BackupRequester
from backupjobwatch.controller.controller import HIGH, Controller
from backupjobwatch.controller.kopf_handlers import REGISTRY, Memo, kopf_settings
from backupjobwatch.controller.reconciler import Reconciler
from backupjobwatch.controller.resync import Resync
from backupjobwatch.controller.ttl import TTLController
from backupjobwatch.domain.polling.backup_limit import BackupLimit
from backupjobwatch.errors import KubeError, ObjectNotFound
from backupjobwatch.kube.client import KubeClient
from backupjobwatch.kube.events import EventRecorder
from backupjobwatch.kube.leader_election import LeaderElector
from backupjobwatch.kube.work_queue import WorkQueue
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

DRAIN_TIMEOUT: Final = 5.0
"""Seconds that running reconciles get at shutdown. Kubernetes kills a pod after 30."""
_IDENTITY: Final[Any] = CONTROLLER
"""For kopf's peering, which is off. Without it, kopf needs the name of the user, and a pod's user ID has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The components of an operator."""

    settings: Settings
    kube: KubeClient
    controller: Controller
    resync: Resync
    metrics: Metrics
    elector: LeaderElector | None
    """None without leader election."""

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Self]:
        """Connect to the API server and build the components.

        Raise KubeError without a configuration for the API server. Raise SettingsError if the namespace of the Lease is
        unknown.
        """
        async with contextlib.AsyncExitStack() as stack:
            kube = await KubeClient.connect()
            stack.push_async_callback(kube.close)
            elector = None
            if settings.leader_election:
                # A separate client, so that slow requests of the main client cannot delay the renewal.
                lease_client = await KubeClient.connect()
                stack.push_async_callback(lease_client.close)
                elector = LeaderElector(settings, lease_client)
                # Runs after all callbacks below: the Lease is released when this process has stopped acting.
                stack.push_async_callback(elector.close)
            metrics = Metrics()
            client = ArmClient(settings, metrics)
            stack.callback(client.close)
            credentials = ClusterCredentialProvider(settings, kube, metrics)
            queue = WorkQueue[str](metrics.queue("reconcile"))
            on_observation = partial(queue.add, priority=HIGH)
            poller = Poller(settings, client, credentials, metrics, on_observation=on_observation)
            recorder = EventRecorder(kube, metrics.queue("events"), on_emitted=metrics.observe_transition)
            webhooks = Webhooks(settings)
            stack.push_async_callback(webhooks.close)
            rates = BackupRates(settings)
            limit = BackupLimit(settings.on_demand_requests_per_hour)
            admission = BackupAdmission(limit, rates, allows=settings.allows_on_demand, slots_of=poller.slots_of)
            requester = BackupRequester(
                kube,
                BackupSender(client.session, credentials, rates),
                metrics,
                admission=admission,
                is_leading=lambda: elector is None or elector.leading,
            )
            controller = Controller(
                queue,
                Reconciler(kube, poller, metrics, record_events=recorder.record, admission=admission),
                poller,
                recorder,
                dispatcher=NotificationDispatcher(Receivers(kube, webhooks, Triggers(kube)), metrics),
                ttl=TTLController(kube, recorder, metrics),
                requester=requester,
                heartbeat=settings.heartbeat,
            )
            controller.start()
            stack.push_async_callback(controller.close, DRAIN_TIMEOUT)
            state = StateCollector(
                controller.summaries, poller.budgets, poller.overdue, watch_limit=settings.metrics_watch_limit
            )
            metrics.registry.register(state)
            resync = Resync(settings, kube, controller, metrics)
            yield cls(
                settings=settings, kube=kube, controller=controller, resync=resync, metrics=metrics, elector=elector
            )

    @property
    def alive(self) -> bool:
        """Whether the resync and the leader election are running."""
        return self.resync.alive and (self.elector is None or self.elector.alive)

    @property
    def leading(self) -> bool:
        """Whether this process is the leader. Always true without leader election."""
        return self.elector is None or self.elector.leading


CRD_DELETED: Final = (
    f"The CRD {PLURAL}.{GROUP} was deleted, and all watches with it. To continue, install the CRD: "
    "kubectl apply --server-side -k crds. To uninstall, delete the operator too."
)
RETRY: Final = 5.0
"""Seconds between two attempts to list watches at start, and before kopf restarts after a failure."""


async def run(settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Run the operator until *stop* is set or a signal arrives.

    Raise KubeError without an API server, SettingsError without a Lease namespace or a free port, and LeaseLost when the
    Lease is lost.
    """
    stop = stop or asyncio.Event()
    _handle_signals(stop)
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
        namespaces = ", ".join(settings.namespaces) or "all namespaces"
        _log.info("Started backupjobwatch %s for %s", __version__, namespaces)
        if await _wait_for_crd(runtime, stop) and await _wait_for_election(runtime, stop, ready):
            await _lead(runtime, stop, ready)
        if runtime.elector is not None and runtime.elector.failure is not None:
            raise runtime.elector.failure
    _log.info("Stopped")


async def _wait_for_election(runtime: Runtime, stop: asyncio.Event, ready: asyncio.Event) -> bool:
    """Wait until this process is the leader. Return False if it must stop instead.

    A standby is ready, because a rolling update waits for readiness before it stops the leader.
    """
    elector = runtime.elector
    if elector is None:
        return True

    async def stop_acting() -> None:
        try:
            await runtime.controller.close(0.0)
        finally:
            stop.set()

    elector.start(stop_acting)
    await _wait_for_any(elector.elected, elector.is_standby, stop)
    if not elector.elected.is_set():
        ready.set()
        await _wait_for_any(elector.elected, stop)
    return not stop.is_set()


async def _wait_for_any(*events: asyncio.Event) -> None:
    """Wait until one of *events* is set."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def _lead(runtime: Runtime, stop: asyncio.Event, ready: asyncio.Event) -> None:
    """Run kopf and the resync until *stop* is set."""
    runtime.metrics.track_leader(lambda: runtime.leading)
    resyncing = asyncio.create_task(runtime.resync.run(), name="resync")
    try:
        while not stop.is_set():
            await _run_kopf(runtime, stop, ready)
            await _wait_for_crd(runtime, stop, missing=CRD_DELETED)
    finally:
        stop.set()
        resyncing.cancel()
        await asyncio.gather(resyncing, return_exceptions=True)


async def _run_kopf(runtime: Runtime, stop: asyncio.Event, ready: asyncio.Event) -> None:
    """Run kopf until *stop* is set or kopf fails, which some errors of the API server cause."""
    namespaces = runtime.settings.namespaces
    started, drained = asyncio.Event(), asyncio.Event()
    shutdown = asyncio.create_task(_drain_on_stop(runtime, started, stop, ready, drained), name="shutdown")
    try:
        await kopf.operator(
            registry=REGISTRY,
            settings=kopf_settings(),
            memo=Memo(runtime.controller),
            identity=_IDENTITY,
            clusterwide=not namespaces,
            namespaces=namespaces,
            stop_flag=drained,
            ready_flag=started,
        )
    except Exception as error:  # noqa: BLE001 -- kopf raises private exception classes too
        ready.clear()
        runtime.controller.resume()
        # The text of kopf's errors includes the whole response.
        _log.error("The watch stream failed, retrying in %gs: %s", RETRY, getattr(error, "message", None) or error)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), RETRY)
    else:
        stop.set()
    finally:
        shutdown.cancel()
        await asyncio.gather(shutdown, return_exceptions=True)


async def _wait_for_crd(runtime: Runtime, stop: asyncio.Event, *, missing: str | None = None) -> bool:
    """Wait until the API server lists watches. Return False if the process must stop instead.

    *missing* is the log message for a missing CRD, if it was installed before.
    """
    while not stop.is_set():
        try:
            await runtime.kube.check(runtime.settings.scopes[0])
        except ObjectNotFound as error:
            _log.error("%s", missing or f"Failed to list the watches: {error}")
        except KubeError as error:
            _log.error("Failed to list the watches: %s", error)
        else:
            return True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), RETRY)
    return False


def _handle_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # Not the main thread.
            asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def _drain_on_stop(
    runtime: Runtime, started: asyncio.Event, stop: asyncio.Event, ready: asyncio.Event, drained: asyncio.Event
) -> None:
    """Set *ready* once kopf has started. When *stop* is set, drain the controller before kopf stops.

    While kopf stops, it waits up to five seconds for tasks that it does not know.
    """
    await _wait_for_any(started, stop)
    if not stop.is_set():
        ready.set()
        await asyncio.sleep(0.1)
        _handle_signals(stop)  # kopf has replaced the handlers, and would stop before the controller is drained.
        await stop.wait()
    try:
        await runtime.controller.close(DRAIN_TIMEOUT)
    finally:
        drained.set()
