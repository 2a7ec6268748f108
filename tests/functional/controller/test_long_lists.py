"""``spec.latest`` in a vault whose job list has more pages than the read budget covers at once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from demo.simulator import Fault
from tests.functional.watch_groups import LISTS, job_name
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID
from tests.support.builders import at
from tests.support.clock import OperatorClock

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, BackupVault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi

JOBS, PAGE, PAGES = 1011, 20, 51
RATE, BURST = 2.0, 20
BUDGET: Final = {"azure_reads_per_second": RATE, "azure_read_burst": BURST}
VAULT: Final = "bv-harbour"
SPEC: dict[str, Any] = {
    "vault": {"subscriptionId": SUBSCRIPTION_ID, "resourceGroup": RESOURCE_GROUP, "name": VAULT, "kind": "BackupVault"},
    "pollInterval": "10s",
    "activeDeadlineSeconds": 3600,
}


def fill(sim: AzureSimulator) -> BackupVault:
    """Add a vault with a thousand jobs of another item, and one running job of aks-1 on the last page."""
    sim.clock.advance((datetime.now(UTC) - sim.clock.now()).total_seconds())
    sim.lists.page_size = PAGE
    sim.arm.remaining_requests = None
    vault = sim.add_backup_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, VAULT)
    about = {"operation": "Backup", "operationCategory": "Backup"}
    for number in range(JOBS):
        item, status, age = ("aks-1", "InProgress", 2) if number == JOBS - 1 else ("aks-2", "Completed", 60)
        properties = {**about, "dataSourceName": item, "status": status, "startTime": at(-age)}
        vault.set_job(job_name(number), {"properties": properties})
    return vault


def pages(sim: AzureSimulator) -> Counter[str]:
    """Count how often each page was requested. The first page has no token."""
    return Counter(request.query.get("$skiptoken", "") for request in sim.requests_to(LISTS))


async def find(api: KubernetesApi, sim: AzureSimulator, clock: OperatorClock, *, within: float) -> None:
    """Wait until the watch finds its job, and verify that the operator always stays within its read budget."""
    api.create({**SPEC, "latest": {"item": "aks-1", "startedAfter": at(-10)}})
    since, excess = clock.elapsed, 0.0
    while not api.get()["status"].get("jobs"):
        await clock.advance(1)
        covered = BURST + RATE * (clock.elapsed - since + 1)
        excess = max(excess, len(sim.requests) - covered)
        assert clock.elapsed - since < within, api.get()["status"]
    assert excess == 0
    assert (await api.status(phase="Running"))["job"]["name"] == job_name(JOBS - 1)


async def test_a_list_of_51_pages(api: KubernetesApi, sim: AzureSimulator, start: StartOperator) -> None:
    """The list continues as the budget refills, and requests each page once."""
    fill(sim)
    async with start(**BUDGET) as operator:
        await find(api, sim, OperatorClock(operator), within=60)
    assert pages(sim) == Counter(dict.fromkeys(pages(sim), 1))
    assert len(pages(sim)) == PAGES


async def test_a_page_in_the_middle_is_refused(api: KubernetesApi, sim: AzureSimulator, start: StartOperator) -> None:
    """After the pause, the list continues with the refused page. It does not start over."""
    fill(sim)
    rule = sim.faults.add(Fault.throttled(retry_after=20), path=LISTS, skip=30)
    async with start(**BUDGET) as operator:
        await find(api, sim, OperatorClock(operator), within=90)
    assert rule.used == 1
    assert sorted(pages(sim).values()) == [1] * (PAGES - 1) + [2]
    assert pages(sim)[""] == 1


async def test_the_job_ends_while_the_next_list_is_read(
    api: KubernetesApi, sim: AzureSimulator, start: StartOperator
) -> None:
    """After the watch has found the job, it reads only that job and succeeds when the job ends."""
    vault = fill(sim)
    async with start(**BUDGET) as operator:
        clock = OperatorClock(operator)
        await find(api, sim, clock, within=60)
        read = sum(pages(sim).values())
        job = vault.find_job(job_name(JOBS - 1))
        assert job is not None
        vault.set_job(job_name(JOBS - 1), {"properties": {**job["properties"], "status": "Completed"}})
        await clock.advance_until(lambda: api.get()["status"]["phase"] == "Succeeded", within=60)
        assert sum(pages(sim).values()) == read
