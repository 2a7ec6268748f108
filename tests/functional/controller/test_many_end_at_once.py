"""Four hundred jobs in eight vaults end at the same time, with the shipped read budget."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.api.spec import target_digest
from tests.functional.watch_groups import all_running, job_name, phases, put_job, watch_jobs, watch_name
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID
from tests.support.clock import OperatorClock
from tests.support.kubernetes import NAMESPACE

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi

WATCHES, VAULTS = 400, 8


def plant_copy(api: KubernetesApi, template: dict[str, Any], number: int, job_id: str) -> None:
    """Plant a watch with the status of *template*, adapted to another job."""
    body = copy.deepcopy(template)
    body["metadata"]["name"] = watch_name(number)
    body["spec"]["jobResourceId"] = job_id
    body["status"]["target"] = target_digest(body["spec"])
    body["status"]["job"] |= {"name": job_name(number), "resourceId": job_id, "vault": job_id.split("/")[8]}
    api.objects.plant((NAMESPACE, watch_name(number)), body)


@pytest.mark.timeout(900)
async def test_hundreds_of_jobs_end_at_once(api: KubernetesApi, sim: AzureSimulator, start: StartOperator) -> None:
    """All gates open within 60 seconds, because a few lists replace hundreds of GETs. The budget covers 140 of them."""
    sim.lists.page_size = 400
    sim.arm.remaining_requests = None
    vaults = [sim.add_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, f"rsv-{number}") for number in range(VAULTS)]
    async with start():
        watch_jobs(api, vaults, [0], pollInterval="30s")
        await all_running(api, 1)
    template = api.get(watch_name(0))
    for number in range(1, WATCHES):  # saves the wait for hundreds of first statuses
        plant_copy(api, template, number, put_job(vaults[number % VAULTS], number))
    async with start() as operator:
        clock = OperatorClock(operator)
        async with clock.frozen():
            for _ in range(18):
                await clock.advance(5, rounds=3)
            assert phases(api) == {"Running": WATCHES}
            for number in range(WATCHES):
                put_job(vaults[number % VAULTS], number, "Completed")
            since = clock.elapsed
            while phases(api)["Succeeded"] < WATCHES and clock.elapsed - since < 60:
                await clock.advance(2, rounds=3)
            assert phases(api) == {"Succeeded": WATCHES}
