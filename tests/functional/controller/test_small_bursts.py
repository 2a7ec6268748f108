"""With the smallest allowed read bursts, no job waits longer than others for its detail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.functional.watch_groups import job_name, put_job, watch_jobs, watch_name
from tests.support.clock import OperatorClock

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi

WATCHES = 20
SOON = 10 * 60.0
"""Seconds. The budget allows 300 reads in this time: twenty lists of the vault and 14 GETs of each job."""


@pytest.mark.parametrize("burst", [5, 6, 7, 20])
async def test_every_jobs_detail_is_refreshed(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator, burst: int
) -> None:
    """Lists contain no progress. Each status still shows it, although the budget does not cover a GET per interval."""
    async with start(azure_reads_per_second=0.5, azure_read_burst=burst) as operator:
        clock = OperatorClock(operator)
        async with clock.frozen():
            watch_jobs(api, [vault], range(WATCHES), pollInterval="30s")
            await clock.advance_until(
                lambda: all(api.get(watch_name(number))["status"].get("job") for number in range(WATCHES)),
                within=600,
                step=5,
            )
            for number in range(WATCHES):
                tasks = [{"taskId": "Transfer data to vault", "status": "InProgress", "duration": "PT5M"}]
                put_job(vault, number, extendedInfo={"tasksList": tasks, "progressPercentage": 50})
            sim.clear_requests()
            until = clock.elapsed + SOON
            while clock.elapsed < until:
                await clock.advance(10)
            gets = {number: len(sim.requests_to(job_name(number))) for number in range(WATCHES)}
            shown = [api.get(watch_name(number))["status"].get("extendedInfo", {}) for number in range(WATCHES)]
            assert min(gets.values()) > 0, gets
            assert [info.get("progressPercent") for info in shown] == [50] * WATCHES
