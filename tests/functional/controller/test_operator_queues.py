"""The operator with far more to write than it sends at the same time queues the rest and loses nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from backupjobwatch.controller.controller import WORKERS
from backupjobwatch.kube import events
from tests.support.builders import JOB_NAME, job_payload
from tests.support.kubernetes import EVENT_POSTS, STATUS_WRITES

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

WATCHES = 3 * WORKERS
NAMES = [f"watch-{number}" for number in range(WATCHES)]
AMPLE = {"azure_reads_per_second": 25.0, "azure_read_burst": WATCHES}
PATIENT = {"azure_read_timeout": timedelta(minutes=5), "azure_total_timeout": timedelta(minutes=5)}


def watch_each(api: KubernetesApi, vault: Vault, count: int = WATCHES) -> None:
    """Create watches of jobs that have ended."""
    for number, name in enumerate(NAMES[:count]):
        job_id = vault.set_job(f"00000000-0000-4000-8000-{number:012}", job_payload())
        api.create({"jobResourceId": job_id, "pollInterval": "5m"}, name)


def finished(api: KubernetesApi) -> int:
    return sum(body["status"].get("phase") == "Succeeded" for body in api.objects._watches.values())


async def test_few_statuses_are_written_at_the_same_time(
    api: KubernetesApi, vault: Vault, start: StartOperator
) -> None:
    """While status writes hang, only the workers wait. Then each watch is written in its latest state."""
    with api.traffic.hold(STATUS_WRITES) as hold:
        async with start(**AMPLE):
            watch_each(api, vault)
            await hold.all_arrived(WORKERS, settle=1.0)
            waiting = set(NAMES) - {request.path.split("/")[-2] for request in api.traffic.matching(STATUS_WRITES)}
            deleted, suspended, *_ = waiting
            api.delete(deleted)
            api.edit(suspended, suspend=True)
            hold.release()
            await api.until(lambda: finished(api) == WATCHES - 2 or None)
            await api.status(suspended, reason="Suspended")


async def test_few_events_are_posted_at_the_same_time(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """While Event writes hang, few are sent and all statuses are written. Then each Event is posted once."""
    with api.traffic.hold(EVENT_POSTS) as hold:
        async with start(**AMPLE):
            watch_each(api, vault)
            await api.until(lambda: finished(api) == WATCHES or None)
            await hold.all_arrived(events.WORKERS)
            hold.release()
            await api.until(lambda: len(api.events()) == WATCHES or None)


async def test_a_stop_finishes_what_began(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """A stopping operator finishes the writes in flight. The next operator does the rest."""
    with api.traffic.hold(STATUS_WRITES) as hold:
        async with start(**AMPLE) as operator:
            watch_each(api, vault)
            await hold.all_arrived(WORKERS)
            await start_stopping(operator)
            hold.release()
            await operator.stop()
    assert finished(api) >= WORKERS
    async with start(**AMPLE):
        await api.until(lambda: finished(api) == WATCHES or None)


async def test_a_stop_sends_no_more_requests(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """A stopping operator waits for the responses in flight, and sends no request after them."""
    with sim.hold() as hold:
        async with start(**AMPLE, azure_connections=8, **PATIENT) as operator:
            watch_each(api, vault)
            await api.until(lambda: hold.arrivals == 4)  # one identity may use half of the connections
            await start_stopping(operator)
            asked = hold.arrivals
            hold.release()
            await operator.stop()
    assert (len(sim.requests), finished(api) > 0) == (asked, True)


async def start_stopping(operator: Operator) -> None:
    """Stop the operator, and wait until the stop has begun: the operator is no longer ready then."""
    operator.finish()
    async with asyncio.timeout(120):
        while await operator.probe("/readyz") == HTTPStatus.OK:  # noqa: ASYNC110 -- another thread has the event
            await asyncio.sleep(0.02)


async def test_a_stop_does_not_wait_for_long(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """While the API server does not respond, a stop ends at its timeout. The next operator does the rest."""
    with api.traffic.hold(STATUS_WRITES) as hold:
        async with start(**AMPLE) as operator:
            watch_each(api, vault)
            await hold.all_arrived(WORKERS)
            await operator.stop()
        assert hold.arrivals <= 2 * WORKERS
        assert finished(api) == 0
    async with start(**AMPLE):
        await api.until(lambda: finished(api) == WATCHES or None)
        await api.until(lambda: len(api.events()) == WATCHES or None)


async def test_a_stop_emits_what_was_written(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """A stopping operator posts the Events of all statuses that it has written, including queued ones."""
    few = 5 * events.WORKERS  # a stop has five seconds for all of them
    with api.traffic.hold(EVENT_POSTS) as hold:
        async with start(**AMPLE) as operator:
            watch_each(api, vault, few)
            await api.until(lambda: finished(api) == few or None)
            await hold.all_arrived(events.WORKERS, settle=1.0)
            await start_stopping(operator)
            hold.release()
            await operator.stop()
    assert len(api.events()) == few


async def test_watches_are_polled_while_no_worker_is_free(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """While all workers wait for the API server, the operator still polls Azure for new watches."""
    with api.traffic.hold(STATUS_WRITES) as hold:
        async with start(**AMPLE):
            watch_each(api, vault)
            await hold.all_arrived(WORKERS, settle=1.0)
            job_id = vault.set_job(JOB_NAME, job_payload())
            api.create({"jobResourceId": job_id, "pollInterval": "5m"}, "late")
            await api.until(lambda: sim.requests_to(JOB_NAME))
            hold.release()
            await api.status("late", phase="Succeeded")
