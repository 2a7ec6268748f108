"""A list reports a change of a job while the status of its watch is being written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.functional.watch_groups import LISTS, all_running, phase, put_job, watch_jobs, watch_name
from tests.support.clock import OperatorClock

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi

LIST_READS: dict[str, Any] = {"azure_reads_per_second": 0.5, "azure_read_burst": 60, "heartbeat": "1h"}
"""A read budget that makes the operator use lists for thirty watches."""
OFTEN, RARELY = range(20), range(20, 30)
CHANGED = 25


async def test_a_job_ends_during_a_write(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """The watch is reconciled right after the write, not at its next tick five minutes later."""
    name = watch_name(CHANGED)
    async with start(**LIST_READS) as operator:
        clock = OperatorClock(operator)
        watch_jobs(api, [vault], OFTEN, pollInterval="10s")
        watch_jobs(api, [vault], RARELY, pollInterval="5m")
        await all_running(api, len(OFTEN) + len(RARELY))
        await clock.advance_until(lambda: sim.requests_to(LISTS), within=60)
        with api.traffic.hold(f"^PUT .*/{name}/status$") as hold:
            put_job(vault, CHANGED, operation="Restore")
            await clock.advance_until(lambda: hold.arrivals, within=60)
            put_job(vault, CHANGED, "Completed", operation="Restore")
            lists = len(sim.requests_to(LISTS))
            await clock.advance_until(lambda: len(sim.requests_to(LISTS)) > lists + 1, within=60)
            hold.release()
        await clock.advance_until(lambda: phase(api, name) == "Succeeded", within=30)
