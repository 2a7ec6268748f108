"""Run the Azure simulator for the benchmark, with vaults of jobs that run until a command ends them."""

from __future__ import annotations

import argparse
import asyncio
import copy
import dataclasses
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from demo.simulator import AzureSimulator
from demo.simulator.formats import ticks_at, timestamp
from demo.simulator.jobs import DOCUMENTED
from tests.bench.child import answer_questions

if TYPE_CHECKING:
    from collections.abc import Iterable

SUBSCRIPTION_ID: Final = "00000000-5e1f-4000-8000-000000000001"
RESOURCE_GROUP: Final = "rg-bench"
PAGE_SIZE: Final = 400
"""The number of jobs on a list page. Azure does not document it. One report gives about this number.

https://github.com/Azure/azure-sdk-for-js/issues/7630
"""
VAULTS: Final = 20
TOKEN: Final = "demo-token"


def job_name(number: int) -> str:
    """Return the name of a job."""
    return f"00000000-0000-4000-8000-{number:012}"


def vault_name(number: int) -> str:
    """Return the name of a job's vault. Jobs are distributed evenly."""
    return f"rsv-{number % VAULTS:02}"


def job_id(number: int) -> str:
    """Return the resource ID of a job."""
    return (
        f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.RecoveryServices/vaults/"
        f"{vault_name(number)}/backupJobs/{job_name(number)}"
    )


class Azure:
    """A simulator with numbered jobs."""

    def __init__(self, jobs: int) -> None:
        self.simulator = AzureSimulator()
        self._cleared = datetime.now(UTC)
        self._vaults = [
            self.simulator.add_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, vault_name(number)) for number in range(VAULTS)
        ]
        self.simulator.lists.page_size = PAGE_SIZE
        running = DOCUMENTED.timeline[1]
        for number in range(jobs):
            job = dataclasses.replace(
                DOCUMENTED,
                name=job_name(number),
                start_time=None,
                timeline=(dataclasses.replace(running, after=0.0),),
            )
            self._vaults[number % VAULTS].add_job(job)

    def end(self, numbers: Iterable[int]) -> float:
        """Complete jobs now, and return the Unix time at which all are completed."""
        end_time = timestamp(ticks_at(datetime.now(UTC)))
        for number in numbers:
            vault = self._vaults[number % VAULTS]
            job = vault.find_job(job_name(number))
            assert job is not None
            ended: dict[str, Any] = copy.deepcopy(job)
            ended["properties"] |= {"status": "Completed", "endTime": end_time}
            vault.set_job(job_name(number), ended)
        return time.time()

    def count(self, seconds: float) -> dict[str, int]:
        """Count the requests in the first *seconds* after the last :meth:`clear`. Each list page counts.

        Later requests do not count: a longer window could include one more of the periodic requests.
        """
        end = self._cleared + timedelta(seconds=seconds)
        requests = [request for request in self.simulator.requests if request.time < end]
        lists = sum(request.path.endswith("/backupJobs") for request in requests)
        return {"list_pages": lists, "job_gets": len(requests) - lists}

    def clear(self) -> None:
        """Restart the count at zero."""
        self._cleared = datetime.now(UTC)
        self.simulator.clear_requests()


async def serve(jobs: int) -> None:
    """Serve *jobs* jobs until standard input ends."""
    azure = Azure(jobs)
    async with azure.simulator as simulator:
        await answer_questions({"url": simulator.url}, {"end": azure.end, "count": azure.count, "clear": azure.clear})


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.azure")
    parser.add_argument("jobs", type=int)
    asyncio.run(serve(parser.parse_args().jobs))


if __name__ == "__main__":
    main()
