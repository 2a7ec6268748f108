"""The operator with more watches than its budget covers stays within the budget and sees every end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID
from tests.support.builders import job_payload, running_payload
from tests.support.clock import OperatorClock

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi

WATCHES, RATE, BURST = 150, 5.0, 20


async def test_hundreds_of_watches_stay_within_the_budget(
    api: KubernetesApi, sim: AzureSimulator, start: StartOperator
) -> None:
    """With three times as many polls due as allowed, the operator never exceeds the budget and sees all ends."""
    vaults = [sim.add_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, f"rsv-{number}") for number in range(3)]
    names = [f"00000000-0000-4000-8000-{number:012}" for number in range(WATCHES)]

    def ended() -> int:
        return sum(body["status"].get("phase") == "Succeeded" for body in api.objects._watches.values())

    def seen() -> int:
        return sum("job" in body["status"] for body in api.objects._watches.values())

    sim.arm.remaining_requests = None  # a high count of remaining requests would raise the rate
    async with start(azure_reads_per_second=RATE, azure_read_burst=BURST, heartbeat="1h") as operator:
        clock = OperatorClock(operator)
        for number, name in enumerate(names):
            job_id = vaults[number % 3].set_job(name, running_payload())
            api.create({"jobResourceId": job_id, "pollInterval": "10s"}, f"watch-{number}")
        async with asyncio.timeout(120):
            while seen() < WATCHES:
                await clock.advance(2)
                assert len(sim.requests) <= BURST + RATE * clock.elapsed
        for _ in range(10):
            await clock.advance(2)
        settled, since = len(sim.requests), clock.elapsed
        for _ in range(20):
            await clock.advance(2)
        steady = (len(sim.requests) - settled) / (clock.elapsed - since)
        for number, name in enumerate(names):
            vaults[number % 3].set_job(name, job_payload())
        before = clock.elapsed
        async with asyncio.timeout(120):
            while ended() < WATCHES:
                await clock.advance(2)
                assert len(sim.requests) <= BURST + RATE * clock.elapsed
        assert clock.elapsed - before < 4 * WATCHES / RATE
    assert steady < RATE
    assert {request.path.split("/")[8] for request in sim.requests_to("/backupJobs$")} == {"rsv-0", "rsv-1", "rsv-2"}
