"""The controller without kopf: its shutdown, and how it handles unexpected failures."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.app import DRAIN_TIMEOUT, Runtime
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.kube.client import TIMEOUT
from backupjobwatch.settings import Settings
from tests.functional.notifying import webhook
from tests.support.builders import JOB_NAME, job_payload, running_payload
from tests.support.canary import TOKEN
from tests.support.kubernetes import DELETIONS, STATUS_WRITES
from tests.support.movable_loop import MovableLoop
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


async def test_polls_in_flight_are_finished(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, settings: Settings
) -> None:
    """A runtime that closes waits for the requests in flight and writes their results."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
    with sim.hold() as hold:
        async with Runtime.open(settings) as runtime:
            runtime.controller.on_event(Watch.from_body(api.get()))
            await hold.arrived()
            asyncio.get_running_loop().call_later(0.1, hold.release)
    assert (await api.status())["phase"] == "Succeeded"
    assert len(api.events()) == 1
    assert runtime.controller.uids == frozenset()


@pytest.mark.parametrize("what", ["polls", "writes"])
async def test_the_shutdown_has_a_timeout(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, settings: Settings, what: str
) -> None:
    """The shutdown has a timeout. A request that hangs is left to the next process."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MovableLoop)
    with sim.hold() if what == "polls" else api.traffic.hold(STATUS_WRITES) as hold:
        async with Runtime.open(settings) as runtime:
            runtime.controller.on_event(Watch.from_body(api.get()))
            await hold.arrived()
            began = loop.time()
            loop.call_later(0.1, loop.advance, DRAIN_TIMEOUT)
        assert DRAIN_TIMEOUT <= loop.time() - began < TIMEOUT
    assert runtime.controller.uids == frozenset()
    await asyncio.sleep(0.1)
    assert "phase" not in await api.status()


async def test_closing_cancels_deliveries_and_deletions(api: KubernetesApi, vault: Vault, settings: Settings) -> None:
    """Closing the controller cancels deliveries and deletions, because another operator may act afterwards."""
    settings = settings.model_copy(update={"notify_http_hosts": ("127.0.0.1",)})
    others = asyncio.all_tasks()
    async with Receiver() as receiver, Runtime.open(settings) as runtime:
        receiver.then = "hang"
        job_id = vault.set_job(JOB_NAME, job_payload())
        api.create({"jobResourceId": job_id, "notify": [webhook(receiver.url)]}, "telling")
        api.create({"jobResourceId": job_id, "ttlSecondsAfterFinished": 0}, "expiring")
        with api.traffic.hold(DELETIONS) as hold:
            for name in ("telling", "expiring"):
                runtime.controller.on_event(Watch.from_body(api.get(name)))
            await asyncio.gather(hold.arrived(), receiver.received(1))
            await asyncio.wait_for(runtime.controller.close(0.0), 60)
            names = {task.get_name() for task in asyncio.all_tasks() - others}
            assert not names & {"reconcile", "events", "ttl", "azure-read"}
            left = [repr(task) for task in asyncio.all_tasks() - others]
            assert not [task for task in left if "_deliver" in task or "_expire" in task]


async def test_a_closed_controller_starts_nothing(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, settings: Settings
) -> None:
    """Events, ticks and resyncs that reach a closed controller start no poll, delivery or deletion."""
    settings = settings.model_copy(update={"notify_http_hosts": ("127.0.0.1",)})
    async with Receiver() as receiver, Runtime.open(settings) as runtime:
        for name in ("new", "telling", "expiring"):
            api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())}, name)
        for name in ("telling", "expiring"):
            runtime.controller.on_event(Watch.from_body(api.get(name)))
            await api.status(name, phase="Succeeded")
        await api.events_emitted(2)
        await runtime.controller.close(0.0)
        before = len(api.traffic.requests), len(sim.requests)
        added: dict[str, dict[str, Any]] = {
            "new": {},
            "telling": {"notify": [webhook(receiver.url)]},
            "expiring": {"ttlSecondsAfterFinished": 0},
        }
        for name, fields in added.items():
            body = api.get(name)
            watch = Watch.from_body({**body, "spec": {**body["spec"], **fields}})
            runtime.controller.on_event(watch)
            runtime.controller.tick(watch.uid)
            runtime.controller.resync(watch, listed_since=asyncio.get_running_loop().time())
        await asyncio.sleep(0.2)
        assert (len(api.traffic.requests), len(sim.requests), receiver.deliveries) == (*before, [])


async def test_an_unknown_watch_has_no_ticks(api: KubernetesApi, vault: Vault, settings: Settings) -> None:
    """``tick`` returns False for a removed watch. Removing a watch twice is harmless."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
    watch = Watch.from_body(api.get())
    async with Runtime.open(settings) as runtime:
        runtime.controller.on_event(watch)
        assert runtime.controller.tick(watch.uid)
        runtime.controller.remove(watch.uid)
        runtime.controller.remove(watch.uid)
        assert not runtime.controller.tick(watch.uid)


async def test_the_resync_replaces_lost_ticks(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, settings: Settings
) -> None:
    """kopf can lose a timer. The resync polls a watch that is overdue by an interval."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "10s"})
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MovableLoop)
    async with Runtime.open(settings) as runtime:
        runtime.controller.on_event(Watch.from_body(api.get()))
        await api.status(phase="Running")
        await runtime.resync.once()
        assert len(sim.requests) == 1
        vault.set_job(JOB_NAME, job_payload())
        loop.advance(25)
        await asyncio.sleep(0)
        await runtime.resync.once()
        await api.status(phase="Succeeded")
        assert len(sim.requests) == 2


async def test_a_defect_is_logged_and_retried(
    api: KubernetesApi, vault: Vault, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected error is logged with its traceback, and the watch is reconciled again after a backoff."""
    caplog.set_level(logging.ERROR)
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())}, "other")
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MovableLoop)
    async with Runtime.open(settings) as runtime:
        reconciler, broken = runtime.controller._reconciler, Watch.from_body(api.get())
        write = reconciler._objects.write_status

        async def write_status(watch: Watch, status: Any) -> dict[str, Any]:
            if watch.uid == broken.uid and len(caplog.records) < 3:
                raise RuntimeError
            return await write(watch, status)

        reconciler._objects.write_status = write_status  # type: ignore[method-assign]
        runtime.controller.on_event(broken)
        runtime.controller.on_event(Watch.from_body(api.get("other")))
        await api.status("other", phase="Succeeded")
        for failures in (1, 2, 3):
            async with asyncio.timeout(120):
                while len(caplog.records) < failures:  # noqa: ASYNC110 -- no event to await
                    await asyncio.sleep(0.01)
            loop.advance(10)
        await api.status(phase="Succeeded")
    assert {record.message for record in caplog.records} == {"team-a/nightly: failed to reconcile"}
    assert all(record.exc_info for record in caplog.records)
