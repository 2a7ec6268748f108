"""Count the operator's requests to the Azure simulator with many watches.

Simulated time passes as fast as the machine allows. The table also contains the number of requests with one GET per
watch and interval. The jobs end at equal intervals. ``make bench-reads`` prints the table.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

KUBECONFIG: Final = Path(tempfile.mkdtemp(prefix="backupjobwatch-bench-")) / "kubeconfig"
os.environ["KUBECONFIG"] = str(KUBECONFIG)  # the kubernetes library reads it on import

from pydantic import SecretStr  # noqa: E402

from backupjobwatch.settings import Settings  # noqa: E402
from demo.simulator import AzureSimulator, ManualClock  # noqa: E402
from tests.support.builders import job_payload, running_payload  # noqa: E402
from tests.support.clock import OperatorClock  # noqa: E402
from tests.support.kubernetes import KubernetesApi  # noqa: E402
from tests.support.operator import running_operator  # noqa: E402

if TYPE_CHECKING:
    from demo.simulator import Vault

SUBSCRIPTION_ID: Final = "00000000-5e1f-4000-8000-000000000001"
INTERVAL: Final = 30.0
MINUTES: Final = 60
LAST_END: Final = MINUTES * 60 - 4 * INTERVAL
"""The simulated time at which the last job ends, in seconds."""
STRIDE: Final = 2.0
"""Simulated seconds per iteration."""
SCENARIOS: Final = ((1, 1), (100, 1), (2000, 1), (2000, 50))
"""The numbers of watches and vaults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """The counts of one scenario."""

    watches: int
    vaults: int
    gets: int
    lists: int
    naive: int
    """The number of requests with one GET per watch and interval until the end of the job."""
    unseen: int
    """The number of watches that had not seen the end of their job when the time ended."""
    seconds: float
    """The duration of the measurement in real time."""

    def __str__(self) -> str:
        reads = self.gets + self.lists
        share = f"{100 * reads / self.naive:.1f} %"
        cells = (self.watches, self.vaults, self.gets, self.lists, reads, self.naive, share, self.unseen)
        return f"| {' | '.join(str(cell) for cell in cells)} | {self.seconds:.0f} s |"


HEADER: Final = """\
| watches | vaults | GETs | lists | reads | one GET each | share | ends not yet seen | took |
|--:|--:|--:|--:|--:|--:|--:|--:|--:|"""


async def count(watches: int, vaults: int) -> Count:
    """Follow jobs that are distributed evenly over the vaults until after the last job ends."""
    started = time.monotonic()
    async with KubernetesApi(KUBECONFIG) as api, AzureSimulator(clock=ManualClock()) as sim:
        all_vaults = [sim.add_vault(SUBSCRIPTION_ID, "rg", f"rsv-{number}") for number in range(vaults)]
        settings = Settings(
            azure_endpoint=sim.url,
            development=True,
            development_token=SecretStr("demo-token"),
            operator_identity_namespaces=("*",),
            probe_port=0,
            metrics_port=0,
        )
        jobs = [(all_vaults[number % vaults], f"00000000-0000-4000-8000-{number:012}") for number in range(watches)]
        for number, (vault, name) in enumerate(jobs):
            job_id = vault.set_job(name, running_payload())
            api.create({"jobResourceId": job_id, "pollInterval": "30s"}, f"watch-{number}")
        async with running_operator(settings) as operator:
            clock = OperatorClock(operator)
            ended = 0
            while clock.elapsed < MINUTES * 60:
                await clock.advance(STRIDE)
                due = min(int(watches * clock.elapsed / LAST_END), watches)
                _end(jobs[ended:due])
                ended = due
            unseen = sum(body["status"].get("phase") != "Succeeded" for body in api.objects.find(None))
        lists = len(sim.requests_to("/backupJobs$"))
        return Count(
            watches=watches,
            vaults=vaults,
            gets=len(sim.requests) - lists,
            lists=lists,
            naive=sum(int((number + 1) / watches * LAST_END // INTERVAL) + 1 for number in range(watches)),
            unseen=unseen,
            seconds=time.monotonic() - started,
        )


def _end(jobs: list[tuple[Vault, str]]) -> None:
    for vault, name in jobs:
        vault.set_job(name, job_payload())


def main() -> None:
    """Print the table."""
    logging.disable(logging.WARNING)
    print(f"{MINUTES} minutes at {INTERVAL:g} s, 2 reads a second allowed (the default), counted by the simulator:\n")
    print(HEADER, flush=True)
    for watches, vaults in SCENARIOS:
        print(asyncio.run(count(watches, vaults)), flush=True)


if __name__ == "__main__":
    main()
