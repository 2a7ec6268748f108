"""The whole operator with far more to write than it may at one time: what cannot begin yet is kept small, and not lost."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from backupjobwatch.controller.reconciler import WRITES_AT_ONCE
from backupjobwatch.kube.client import EVENTS_AT_ONCE, TIMEOUT
from backupjobwatch.kube.limiter import CROWD
from tests.support.builders import job_payload
from tests.support.kubernetes import EVENT_POSTS, STATUS_WRITES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.kubernetes_traffic import Hold
    from tests.support.operator import Operator

FIRST = WRITES_AT_ONCE * (1 + CROWD)
"""As many as there are turns, and as wait for one before others do not begin."""
WATCHES = FIRST + 60
NAMES = [f"watch-{number}" for number in range(WATCHES)]
AMPLE = {"azure_reads_per_second": 25.0, "azure_read_burst": WATCHES}


def watch_each(api: KubernetesApi, vault: Vault, names: Sequence[str]) -> None:
    """Create watches of jobs that have ended."""
    for name in names:
        job_id = vault.set_job(f"00000000-0000-4000-8000-{NAMES.index(name):012}", job_payload())
        api.create({"jobResourceId": job_id, "pollInterval": "5m"}, name)


async def crowd(api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, hold: Hold) -> None:
    """Have so many wait to be written that others do not begin, and then the others."""
    watch_each(api, vault, NAMES[:FIRST])
    async with asyncio.timeout(60):
        while len(sim.requests) < FIRST:  # noqa: ASYNC110 -- nobody tells of it
            await asyncio.sleep(0.02)
    await hold.all_arrived(WRITES_AT_ONCE, settle=1.0)
    watch_each(api, vault, NAMES[FIRST:])
    await asyncio.sleep(1.0)
    assert operator.begun == FIRST


async def nothing_begun(operator: Operator) -> None:
    """Wait until nothing is under way."""
    async with asyncio.timeout(60):
        while operator.begun:  # noqa: ASYNC110 -- nobody tells of it
            await asyncio.sleep(0.05)


def finished(api: KubernetesApi) -> int:
    return sum(body["status"].get("phase") == "Succeeded" for body in api.objects._watches.values())


async def test_who_would_wait_long_to_be_written_does_not_begin(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """While no status is answered, few steps are under way; then each watch has its own, but for one that is gone."""
    with api.traffic.hold(STATUS_WRITES) as hold:
        async with start(**AMPLE) as operator:
            await crowd(api, sim, vault, operator, hold)
            api.delete(NAMES[-1])
            api.edit(NAMES[-2], suspend=True)
            hold.release()
            await api.until(lambda: finished(api) == WATCHES - 2 or None, within=30)
            await api.status(NAMES[-2], reason="Suspended")
            await nothing_begun(operator)


async def test_who_would_wait_long_to_be_told_does_not_begin(
    api: KubernetesApi, vault: Vault, start: StartOperator
) -> None:
    """While no Event is answered, few wait for that, and all statuses are written; then each Event is posted, once."""
    with api.traffic.hold(EVENT_POSTS) as hold:
        async with start(**AMPLE) as operator:
            watch_each(api, vault, NAMES)
            began = time.monotonic()
            await api.until(lambda: finished(api) == WATCHES or None, within=60)
            await api.until(lambda: hold.arrivals >= EVENTS_AT_ONCE, within=60)
            attempts = 1 + int((time.monotonic() - began) / TIMEOUT)  # those that timed out are repeated
            assert hold.arrivals <= attempts * EVENTS_AT_ONCE
            assert operator.begun < WATCHES - 60
            hold.release()
            await api.until(lambda: len(api.events()) == WATCHES or None, within=30)
            await nothing_begun(operator)


async def test_a_stop_does_not_wait_for_who_has_not_begun(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """An operator that is told to stop begins nothing more of what was kept; the next one does it."""
    with api.traffic.hold(STATUS_WRITES) as hold:
        async with start(**AMPLE) as operator:
            await crowd(api, sim, vault, operator, hold)
            stopping = asyncio.create_task(operator.stop())
            await asyncio.sleep(0.1)
            hold.release()
            await stopping
        assert WRITES_AT_ONCE <= finished(api) <= FIRST
    async with start(**AMPLE):
        await api.until(lambda: finished(api) == WATCHES or None, within=30)


async def test_a_stop_tells_of_who_waits_for_that(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """An operator that is told to stop posts the Events of statuses that it has written, those too that had not begun."""
    with api.traffic.hold(EVENT_POSTS) as hold:
        async with start(**AMPLE) as operator:
            watch_each(api, vault, NAMES)
            await api.until(lambda: finished(api) == WATCHES or None, within=30)
            await hold.all_arrived(EVENTS_AT_ONCE, settle=1.0)
            stopping = asyncio.create_task(operator.stop())
            await asyncio.sleep(0.1)
            hold.release()
            await stopping
    assert len(api.events()) == WATCHES
