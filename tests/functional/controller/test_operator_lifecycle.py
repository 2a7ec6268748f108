"""The operator's start, stop, restart, probes and namespaces, and two operators at the same time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.app import run
from backupjobwatch.errors import KubeUnavailable
from backupjobwatch.settings import Settings
from tests.functional.leaders import ended
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload, running_payload
from tests.support.clock import OperatorClock
from tests.support.kubernetes import EVENT_POSTS

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi

LISTS = "^GET .*/backupjobwatches$"


# ── restarts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_new_process_resumes_and_repeats_nothing(
    api: KubernetesApi, vault: Vault, start: StartOperator
) -> None:
    """After a restart, the new process catches up from the objects and repeats nothing that is done."""
    going = vault.set_job(JOB_NAME, running_payload())
    done = vault.set_job(OTHER_JOB_NAME, job_payload())
    async with start():
        api.create({"jobResourceId": going})
        api.create({"jobResourceId": done}, "done")
        before = await api.status(phase="Running")
        await api.events_emitted(2)
    api.create({"jobResourceId": done}, "new")
    api.edit(pollInterval="10s")
    vault.set_job(JOB_NAME, job_payload())
    async with start() as operator:
        await api.status("new", phase="Succeeded")
        await operator.advance_to("Succeeded", api)
        assert (await api.status())["watchStartTime"] == before["watchStartTime"]
        await api.events_emitted(4)
    assert len(api.writes("done")) == 1


async def test_an_unchanged_watch_is_polled_soon_after_a_restart(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """Ticks start within one interval, spread by uid. They write nothing if nothing has changed."""
    job_id = vault.set_job(JOB_NAME, running_payload())
    async with start():
        api.create({"jobResourceId": job_id, "pollInterval": "10s"})
        await api.until(api.events)
    for _ in range(3):
        asked = len(sim.requests)
        async with start() as operator:
            await operator.idle()
            operator.advance(10)
            await sim.requests_arrived(asked + 1)
    assert len(api.writes()) == 1


async def test_a_missing_event_is_emitted_at_the_next_start(
    api: KubernetesApi, vault: Vault, start: StartOperator
) -> None:
    """If a process ends between a status write and its Event, the next process emits the Event once."""
    refusal = api.traffic.fail(EVENT_POSTS, status=503, times=None)
    async with start():
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
        await api.until(lambda: refusal.used)
    assert api.events() == []
    refusal.end()
    for _ in range(2):
        async with start():
            await api.until(lambda: api.traffic.matching(EVENT_POSTS)[-1].status in (201, 409))
    assert [event["reason"] for event in api.events()] == ["JobCompleted"]


async def test_a_stop_during_a_poll_loses_nothing(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """A stopping operator finishes the reconcile in progress, writes its result, and emits its Event."""
    async with start() as operator:
        with sim.hold() as hold:
            api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
            await hold.arrived()
            async with OperatorClock(operator).frozen():  # the stop has a time limit
                operator.finish()
                await operator.idle()
    await api.status(phase="Succeeded")
    assert len(api.events()) == 1


async def test_a_stop_does_not_wait_for_azure_for_ever(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """A stop abandons a hanging poll before Kubernetes' grace period ends. The next process polls again."""
    hold = sim.hold()
    async with start(azure_total_timeout="60s") as operator:
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
        await hold.arrived()
        operator.finish()
        started = time.monotonic()
        await asyncio.sleep(0.1)
        operator.advance(30)
        await ended(operator)
        assert time.monotonic() - started < 30
        hold.release()
    async with start():
        await api.status(phase="Succeeded")


# ── start ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_waits_for_the_crd(
    api: KubernetesApi, vault: Vault, start: StartOperator, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the CRD, the operator logs what to do and is live but not ready. It starts when the CRD is installed."""
    api.crd_installed = False
    async with start(watching=False) as operator:
        await api.until(lambda: len(api.traffic.matching(LISTS)) == 1)
        await operator.idle()
        assert (await operator.probe("/healthz"), await operator.probe("/readyz")) == (200, 503)
        assert "kubectl apply --server-side -k crds" in caplog.text
        api.crd_installed = True
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
        operator.advance(5)
        await api.status(phase="Succeeded")
        assert await operator.probe("/readyz") == 200


async def test_waits_for_permission(
    api: KubernetesApi, vault: Vault, start: StartOperator, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator that may not list watches logs the refusal, and starts when it gets the permission."""
    refusal = api.traffic.fail(LISTS, status=403, times=None, message="cannot list resource")
    async with start(watching=False) as operator:
        await api.until(lambda: refusal.used)
        await operator.idle()
        assert "cannot list resource" in caplog.text
        refusal.end()
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
        operator.advance(5)
        await api.status(phase="Succeeded")


async def test_may_be_stopped_while_it_waits(api: KubernetesApi, start: StartOperator) -> None:
    """The operator stops on request even without the CRD."""
    api.crd_installed = False
    async with start(watching=False):
        await api.until(lambda: api.traffic.matching(LISTS))


async def test_without_a_way_to_an_api_server_it_fails(sim: AzureSimulator) -> None:
    """Without a kubeconfig and a ServiceAccount, the operator exits with the reason."""
    with pytest.raises(KubeUnavailable, match="no access to a Kubernetes API server"):
        await run(Settings(probe_port=0, metrics_port=0))


async def test_follows_only_the_namespaces_that_are_listed(
    api: KubernetesApi, vault: Vault, start: StartOperator
) -> None:
    """With namespaces set, the operator reads, lists, watches and writes nothing in other namespaces."""
    job_id = vault.set_job(JOB_NAME, job_payload())
    for namespace in ("team-a", "team-b", "team-c"):
        api.create({"jobResourceId": job_id}, namespace=namespace)
    async with start(namespaces="team-a, team-b") as operator:
        for namespace in ("team-a", "team-b"):
            await api.status(namespace=namespace, phase="Succeeded")
        await api.until(lambda: api.watched == 2)
        await operator.advance_until(lambda: len(api.traffic.matching(r"namespaces/team-b/backupjobwatches$")) > 2)
        api.create({"jobResourceId": job_id}, "later", namespace="team-b")
        await api.status("later", namespace="team-b", phase="Succeeded")
    assert api.get(namespace="team-c")["status"] == {"observedGeneration": -1}
    for request in api.traffic.requests:
        if "backupjobwatches" in request.path:
            assert "/namespaces/team-" in request.path
            assert "team-c" not in request.path


# ── probes, resources and a second operator ───────────────────────────────────────────────────────────────────────────


async def test_probes(api: KubernetesApi, start: StartOperator) -> None:
    """The probes respond only while the operator runs."""
    async with start() as operator:
        assert (await operator.probe("/healthz"), await operator.probe("/readyz")) == (200, 200)
        assert await operator.probe("/elsewhere") == 404
    assert await operator.probe("/healthz") is None


async def test_a_stop_leaves_nothing_behind(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """A graceful stop leaves no additional threads, tasks or open files."""
    left: set[str] = set()
    # The first round loads what is loaded once per process. A leak shows in each of the others.
    for round_ in range(4):
        before = _resources()
        async with start() as operator:
            for number in range(5):
                api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload())}, f"{round_}-{number}")
            await api.events_emitted(5 * (round_ + 1))
            await operator.poll(sim)
        assert operator.leftovers == []
        await asyncio.sleep(0.1)
        if round_ > 0:
            with contextlib.suppress(AssertionError):  # the assertion below says what is left
                await api.until(partial(_nothing_beyond, before), within=30)
            left = _resources() - before
            if not left:
                break
    assert left == set()


async def test_two_operators_do_not_contradict_each_other(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """Two operators without leader election write the same statuses and emit each Event once."""
    async with start() as one, start() as other:
        spec = {"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "10s"}
        names = [f"watch-{number}" for number in range(5)]
        for name in names:
            api.create(spec, name)
        await api.events_emitted(5)
        vault.set_job(JOB_NAME, job_payload())
        one.advance(10)
        await other.advance_until(lambda: len(api.events()) == 10)
        await one.idle()
        await other.idle()
    assert len(api.events()) == 10
    assert {tuple(write["phase"] for write in api.writes(name)) for name in names} == {("Running", "Succeeded")}


async def test_the_resync_logs_what_it_repairs(
    api: KubernetesApi, vault: Vault, start: StartOperator, caplog: pytest.LogCaptureFixture
) -> None:
    """The resync logs a deletion that the watch stream missed."""
    caplog.set_level(logging.INFO)
    async with start(resync_interval="1s") as operator:
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
        await api.until(api.events)
        api.swallow("DELETED")
        api.delete()
        await operator.advance_until(lambda: "missed deletion event" in caplog.text)


def _nothing_beyond(before: set[str]) -> bool:
    return _resources() <= before


def _resources() -> set[str]:
    """Return the threads and open files, except the threads of this event loop."""
    resources = {thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}
    for file in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            resources.add(str(file.readlink()))
    return resources
