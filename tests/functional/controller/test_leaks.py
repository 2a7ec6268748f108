"""The operator's resources do not grow over time: a month of ticks in ``make soak``, part of a day here."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.builders import job_payload, running_payload
from tests.support.movable_process import Holdings, running_movable
from tests.support.receiver import Receiver
from tests.support.scale import at_scale

if TYPE_CHECKING:
    from pathlib import Path

    from demo.simulator import AzureSimulator, Vault
    from tests.support.kubernetes import KubernetesApi
    from tests.support.movable_process import MovableOperator

TICK: Final = 300.0
"""Seconds: the longest ``pollInterval``, and the heartbeat."""
DAY: Final = at_scale(12, 288)
"""Ticks per day. Each day creates and deletes the same number of watches."""
DAYS: Final = at_scale(4, 31)
LASTING: Final = 4
LASTING_JOBS: Final = "1a571146-5e1f-4000-8000"
CONNECTIONS: Final = 2
MOST_THREADS: Final = CONNECTIONS + (os.cpu_count() or 1) + 4 + 1
"""Threads: one per connection, those of asyncio's default pool, and the main thread.

The pools may grow to their limit on any day, when more work runs at the same time.
"""
MIB: Final = 1024 * 1024


@pytest.mark.timeout(at_scale(300, 3600))
async def test_a_month(api: KubernetesApi, sim: AzureSimulator, vault: Vault, tmp_path: Path) -> None:
    """Some watches last, others come and go. Tasks, threads, files and memory stay as after the first day."""
    lasting = {"pollInterval": "5m", "activeDeadlineSeconds": 31536000}
    days: list[Holdings] = []
    ticks = polls = 0
    async with (
        Receiver() as receiver,
        running_movable(
            sim.url, tmp_path / "log", NOTIFY_HTTP_HOSTS="127.0.0.1", AZURE_CONNECTIONS=str(CONNECTIONS)
        ) as operator,
    ):
        await api.until(lambda: api.watched)
        hook = [{"name": "hook", "webhook": {"url": receiver.url}}]
        for number in range(LASTING):
            job = vault.set_job(f"{LASTING_JOBS}-{number:012}", running_payload())
            api.create({**lasting, "jobResourceId": job}, f"lasting-{number}")
            await api.status(f"lasting-{number}", phase="Running")
        for day in range(DAYS):
            for tick in range(DAY):
                if tick % 6 == 0:
                    job = vault.set_job(str(uuid.uuid4()), job_payload(name=None))
                    api.create(
                        {"jobResourceId": job, "notify": hook, "ttlSecondsAfterFinished": 900}, f"passing-{day}-{tick}"
                    )
                before = polls_of_lasting(sim)
                await operator.pass_time(TICK)
                await until_polled(sim, before + LASTING)
                await operator.pass_time(0)  # waits until it is idle, or its work would seem to take minutes
            await until_deleted(api, operator)
            days.append(await operator.holdings())
            ticks += DAY
            polls += polls_of_lasting(sim)
            clear_history(api, sim)
    grown = {name: getattr(days[-1], name) - getattr(days[0], name) for name in Holdings.__slots__}
    sys.stdout.write(
        f"{ticks} ticks, {polls} polls, {len(receiver.deliveries)} deliveries; {days[0]}, and then {grown}\n"
    )
    assert polls >= 0.9 * ticks * LASTING
    assert len(receiver.deliveries) >= ticks // 6 - 8
    assert len(api.objects.find(None)) <= LASTING + 8
    assert grown["tasks"] <= 4
    assert days[-1].threads <= MOST_THREADS
    assert grown["files"] <= 4
    assert grown["objects"] < days[0].objects / 50
    assert grown["memory"] < 8 * MIB


def polls_of_lasting(sim: AzureSimulator) -> int:
    """Return the number of polls of the long-running jobs."""
    return len([request for request in sim.requests if LASTING_JOBS in request.path])


async def until_polled(sim: AzureSimulator, polls: int) -> None:
    """Wait up to 5 s for the polls of a tick. A tick has no polls if the previous ones were late, which is rare."""
    for _ in range(250):
        if polls_of_lasting(sim) >= polls:
            return
        await asyncio.sleep(0.02)


async def until_deleted(api: KubernetesApi, operator: MovableOperator) -> None:
    """Wait until the finished watches are deleted and kopf's tasks for them have ended."""
    await operator.pass_until(lambda: len(api.objects.find(None)) == LASTING, step=60.0)
    await operator.pass_time(60.0)
    await operator.pass_time(0)


def clear_history(api: KubernetesApi, sim: AzureSimulator) -> None:
    """Clear the history of the cluster and Azure, which run in this process, so that they stay fast."""
    sim.clear_requests()
    del api.objects.history[:-20]
    api.traffic.requests.clear()
    api.objects.events.clear()
