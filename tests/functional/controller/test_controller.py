"""The controller without kopf: its end, and what a defect does to it."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.app import PATIENCE, Runtime
from backupjobwatch.arm.client import ArmClient
from backupjobwatch.arm.identities import ClusterCredentialProvider
from backupjobwatch.arm.observer import Observer
from backupjobwatch.arm.poller import Poller
from backupjobwatch.controller.controller import Controller
from backupjobwatch.controller.reconciler import Reconciler
from backupjobwatch.controller.ttl import TTLController
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.kube.client import KubeClient
from backupjobwatch.notify.dispatcher import NotificationDispatcher
from backupjobwatch.notify.gitops import Triggers
from backupjobwatch.notify.receivers import Receivers
from backupjobwatch.notify.webhook import Webhooks
from backupjobwatch.observability.metrics.instruments import Metrics
from backupjobwatch.settings import Settings
from tests.functional.notifying import webhook
from tests.support.builders import JOB_NAME, job_payload
from tests.support.canary import TOKEN
from tests.support.kubernetes import DELETIONS, STATUS_WRITES
from tests.support.operator import MovableLoop
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.support.kubernetes import KubernetesApi


@pytest.fixture
def settings(sim: AzureSimulator) -> Settings:
    return Settings(
        azure_endpoint=sim.url,
        development=True,
        development_token=TOKEN,  # type: ignore[arg-type]
        operator_identity_namespaces=("*",),
    )


async def test_steps_under_way_are_finished(api: KubernetesApi, vault: Vault, settings: Settings) -> None:
    """At its end a runtime waits for the steps that it began."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
    async with Runtime.open(settings) as runtime:
        runtime.controller.on_event(Watch.from_body(api.get()))
    await api.status(phase="Succeeded")
    assert runtime.controller.uids == frozenset()


async def test_steps_that_do_not_end_are_ended(api: KubernetesApi, vault: Vault, settings: Settings) -> None:
    """The wait is bounded: what hangs is left for the next process."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MovableLoop)
    started = time.monotonic()
    with api.traffic.hold(STATUS_WRITES) as hold:
        async with Runtime.open(settings) as runtime:
            runtime.controller.on_event(Watch.from_body(api.get()))
            await hold.arrived()
            loop.call_later(0.1, loop.advance, PATIENCE)
    assert time.monotonic() - started < PATIENCE
    assert runtime.controller.uids == frozenset()
    await asyncio.sleep(0.1)
    assert "phase" not in await api.status()


async def test_nothing_goes_on_after_its_end(api: KubernetesApi, vault: Vault, settings: Settings) -> None:
    """Deliveries and deletions that are under way end with the controller: another operator may act from then on."""
    settings = settings.model_copy(update={"notify_http_hosts": ("127.0.0.1",)})
    async with Receiver() as receiver, Runtime.open(settings) as runtime:
        receiver.then = "hang"
        job_id = vault.set_job(JOB_NAME, job_payload())
        api.create({"jobResourceId": job_id, "notify": [webhook(receiver.url)]}, "telling")
        api.create({"jobResourceId": job_id, "ttlSecondsAfterFinished": 0}, "expiring")
        others = asyncio.all_tasks()
        with api.traffic.hold(DELETIONS) as hold:
            for name in ("telling", "expiring"):
                runtime.controller.on_event(Watch.from_body(api.get(name)))
            await asyncio.gather(hold.arrived(), receiver.received(1))
            begun = {
                what for task in asyncio.all_tasks() - others for what in ("_deliver", "_expire") if what in repr(task)
            }
            assert begun == {"_deliver", "_expire"}
            await asyncio.wait_for(runtime.controller.close(0.0), 1)
            assert not {task for task in asyncio.all_tasks() - others for what in begun if what in repr(task)}


async def test_nothing_begins_after_its_end(api: KubernetesApi, vault: Vault, settings: Settings) -> None:
    """What kopf or the resync still bring to a controller that is closed begins no step, no delivery, no deletion."""
    settings = settings.model_copy(update={"notify_http_hosts": ("127.0.0.1",)})
    async with Receiver() as receiver, Runtime.open(settings) as runtime:
        for name in ("new", "telling", "expiring"):
            api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())}, name)
        for name in ("telling", "expiring"):
            runtime.controller.on_event(Watch.from_body(api.get(name)))
            await api.status(name, phase="Succeeded")
        await api.events_told(2)
        await runtime.controller.close(0.0)
        before = len(api.traffic.requests)
        added: dict[str, dict[str, Any]] = {
            "new": {},
            "telling": {"notify": [webhook(receiver.url)]},
            "expiring": {"ttlSecondsAfterFinished": 0},
        }
        for name, fields in added.items():
            body = api.get(name)
            runtime.controller.on_event(Watch.from_body({**body, "spec": {**body["spec"], **fields}}))
        await asyncio.sleep(0.2)
        assert (len(api.traffic.requests), receiver.deliveries) == (before, [])


async def test_a_watch_that_is_not_followed_has_no_ticks(api: KubernetesApi, vault: Vault, settings: Settings) -> None:
    """A tick of a watch that was forgotten is told to end; to forget it twice is fine."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
    watch = Watch.from_body(api.get())
    async with Runtime.open(settings) as runtime:
        runtime.controller.on_event(watch)
        assert runtime.controller.tick(watch.uid)
        runtime.controller.remove(watch.uid)
        runtime.controller.remove(watch.uid)
        assert not runtime.controller.tick(watch.uid)


async def test_a_defect_costs_a_step_and_no_more(
    api: KubernetesApi, vault: Vault, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that nobody thought of is logged with its traceback, and the watch is reconciled again when it is time."""
    caplog.set_level(logging.ERROR)
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "pollInterval": "10s"})
    metrics = Metrics()
    client = ArmClient(settings, metrics)
    client.close()  # its threads are gone: every request of it is a RuntimeError
    kube = await KubeClient.connect()
    observer = Observer(ClusterCredentialProvider(settings, kube, metrics), Poller(settings, client, metrics))
    reconciler = Reconciler(kube, observer, metrics)
    webhooks = Webhooks(settings)
    dispatcher = NotificationDispatcher(Receivers(kube, webhooks, Triggers(kube)), metrics)
    controller = Controller(
        reconciler, dispatcher, TTLController(kube, reconciler), metrics, heartbeat=settings.heartbeat
    )
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MovableLoop)
    watch = Watch.from_body(api.get())
    try:
        controller.on_event(watch)
        for failures in (1, 2, 3):
            async with asyncio.timeout(60):
                while len(caplog.records) < failures:  # noqa: ASYNC110 -- a log record wakes nobody
                    await asyncio.sleep(0.01)
            loop.advance(10)
            await asyncio.sleep(0.05)
            assert controller.tick(watch.uid)
    finally:
        await controller.close(1.0)
        await webhooks.close()
        await kube.close()
    assert {record.message for record in caplog.records} == {"team-a/nightly: a step failed"}
