"""How soon the operator sends the next list or the next GET after a failed response of Azure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from demo.simulator import Fault
from tests.functional.watch_groups import GETS, LISTS, all_running, phase, put_job, watch_jobs, watch_name
from tests.support.clock import OperatorClock

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

LIST_READS: dict[str, Any] = {"azure_reads_per_second": 0.2, "azure_read_burst": 10}
"""A read budget that needs eight minutes for one GET per watch."""
WATCHES = 100
INTERVAL = 30.0


@pytest.mark.parametrize("fault", [None, Fault.server_error(status=503), Fault.reset()], ids=["none", "503", "reset"])
async def test_one_list_fails(
    *, api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator, fault: Fault | None
) -> None:
    """After a failed list, the next interval lists again. Ends show within two intervals and the GETs that follow."""
    async with start(**LIST_READS) as operator:
        clock = OperatorClock(operator)
        watch_jobs(api, [vault], range(WATCHES), pollInterval="30s")
        await all_running(api, WATCHES)
        for _ in range(12):
            await clock.advance(10)
        if fault is not None:
            rule = sim.faults.add(fault, path=LISTS)
            await clock.advance_until(lambda: rule.used, within=120, step=2)
        ended = range(WATCHES - 3, WATCHES)
        for number in ended:
            put_job(vault, number, "Completed")
        await clock.advance_until(
            lambda: all(phase(api, watch_name(number)) == "Succeeded" for number in ended), within=100, step=2
        )


UNUSABLE = [Fault.truncated(), Fault.empty(), Fault.huge(size=9_000_000)]


@pytest.mark.parametrize("fault", UNUSABLE, ids=lambda fault: fault.kind)
async def test_three_unusable_answers(
    *, api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, fault: Fault
) -> None:
    """The operator retries a GET one interval after each unusable response, even after a long outage."""
    clock = OperatorClock(operator)
    watch_jobs(api, [vault], [0], pollInterval="30s")
    await all_running(api, 1)
    outage = sim.faults.add(Fault.server_error(status=503), path=GETS, times=6)
    await clock.advance_until(lambda: outage.remaining == 0, within=3600, step=10)
    good = len(sim.requests_to(GETS)) + 1
    await clock.advance_until(lambda: len(sim.requests_to(GETS)) >= good, within=600, step=10)
    rule = sim.faults.add(fault, path=GETS, times=3)
    await clock.advance_until(lambda: rule.used, within=2 * INTERVAL, step=5)
    put_job(vault, 0, "Completed")
    await clock.advance_until(lambda: phase(api, watch_name(0)) == "Succeeded", within=3 * INTERVAL + 15, step=5)
