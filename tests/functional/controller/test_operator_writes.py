"""The operator with more to write than it sends at the same time: queued writes do not time out."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from backupjobwatch.controller.controller import WORKERS
from backupjobwatch.kube import events
from backupjobwatch.kube.client import TIMEOUT
from tests.support.builders import JOB_NAME, job_payload, running_payload
from tests.support.kubernetes import EVENT_POSTS, STATUS_WRITES
from tests.support.movable_process import running_movable

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi

WATCHES = WORKERS + 12
NAMES = [f"watch-{number}" for number in range(WATCHES)]
AMPLE = {"azure_reads_per_second": 25.0, "azure_read_burst": 250}


def watch_each(api: KubernetesApi, vault: Vault) -> None:
    """Create watches of jobs that have ended."""
    for number, name in enumerate(NAMES):
        job_id = vault.set_job(f"00000000-0000-4000-8000-{number:012}", job_payload())
        api.create({"jobResourceId": job_id, "pollInterval": "10s"}, name)


def finished(api: KubernetesApi) -> list[str]:
    return [name for name in NAMES if api.get(name)["status"].get("phase") == "Succeeded"]


def failed(caplog: pytest.LogCaptureFixture) -> set[str]:
    """Return the watches for which a status write has failed."""
    found = (re.search("team-a/(.*): failed to write the status", text) for text in caplog.messages)
    return {match[1] for match in found if match}


async def test_queued_writes_do_not_time_out(
    api: KubernetesApi, vault: Vault, start: StartOperator, caplog: pytest.LogCaptureFixture
) -> None:
    """Of many status writes, only those that were sent and got no response in time fail."""
    caplog.set_level(logging.WARNING, "backupjobwatch.controller.controller")
    with api.traffic.hold(STATUS_WRITES) as hold:
        async with start(**AMPLE) as operator:
            watch_each(api, vault)
            await hold.all_arrived(WORKERS)
            sent = {request.path.split("/")[-2] for request in api.traffic.matching(STATUS_WRITES)}
            operator.advance(TIMEOUT + 1)
            await hold.reached(WATCHES)
            assert failed(caplog) == sent
            hold.release()
            await api.until(lambda: set(finished(api)) >= set(NAMES) - sent)
            await operator.advance_until(lambda: len(finished(api)) == WATCHES)
            assert failed(caplog) == sent


async def test_status_writes_do_not_delay_events(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """While status writes hang, the Events of earlier writes are posted."""
    async with start(**AMPLE):
        api.create({"jobResourceId": vault.set_job("00000000-0000-4000-8000-0000000000ff", job_payload())})
        with api.traffic.hold(EVENT_POSTS) as posts:
            await posts.arrived()
            with api.traffic.hold(STATUS_WRITES) as statuses:
                watch_each(api, vault)
                await statuses.all_arrived(WORKERS)
                posts.release()
                await api.events_emitted(1)
                statuses.release()
            await api.until(lambda: len(finished(api)) == WATCHES)


async def test_a_result_from_before_the_deadline_is_polled_again(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, tmp_path: Path
) -> None:
    """A result seen before the deadline but written after it does not fail the watch: Azure is polled again."""
    running = vault.set_job(JOB_NAME, running_payload())
    ample = {name.upper(): str(value) for name, value in AMPLE.items()}
    async with running_movable(sim.url, tmp_path / "log", **ample) as operator:
        await api.until(lambda: api.watched)
        api.create({"jobResourceId": running, "pollInterval": "10s", "activeDeadlineSeconds": 600}, "late")
        await api.status("late", phase="Running")
        with api.traffic.hold(STATUS_WRITES) as hold:
            watch_each(api, vault)
            await hold.all_arrived(WORKERS)
            vault.set_job(JOB_NAME, running_payload(status="Cancelling"))
            asked = len(sim.requests)
            api.annotate("late", reconcile_fluxcd_io__requestedAt="now")
            await sim.requests_arrived(asked + 1)
            await operator.pass_time(0)  # for the response
            vault.set_job(JOB_NAME, job_payload())
            await operator.set_wall_clock(600)
            hold.release()
        await operator.pass_until(lambda: api.get("late")["status"]["phase"] != "Running")
    assert api.get("late")["status"]["reason"] == "JobCompleted"


async def test_events_do_not_delay_polls(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """A watch whose Event is stuck in the queue is still polled and written."""
    async with start(**AMPLE) as operator:
        with api.traffic.hold(EVENT_POSTS) as hold:
            watch_each(api, vault)
            await hold.all_arrived(events.WORKERS)
            api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "10s"}, "going")
            await api.status("going", phase="Running")
            vault.set_job(JOB_NAME, job_payload())
            await operator.advance_until(lambda: api.get("going")["status"]["phase"] == "Succeeded")
            hold.release()
