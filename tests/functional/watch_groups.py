"""Groups of watches for tests: one running job per watch, in one vault or in several."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.jobs.times import parse_time
from tests.support.builders import ABSENT, job_payload
from tests.support.kubernetes import NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from demo.simulator import Vault
    from tests.support.kubernetes import KubernetesApi

GETS: Final = "/backupJobs/[^/]+$"
LISTS: Final = "/backupJobs$"
FINISHED: Final = ("Succeeded", "Failed")


def job_name(number: int) -> str:
    """Return the name of a job."""
    return f"00000000-0000-4000-8000-{number:012}"


def watch_name(number: int) -> str:
    """Return the name of a watch."""
    return f"watch-{number}"


def put_job(vault: Vault, number: int, status: str = "InProgress", **properties: Any) -> str:
    """Set a job that started ten minutes ago, and return its resource ID."""
    now = datetime.now(UTC)
    running = status in ("InProgress", "Cancelling")
    times = {
        "startTime": f"{now - timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}",
        "endTime": ABSENT if running else f"{now:%Y-%m-%dT%H:%M:%SZ}",
    }
    name = job_name(number)
    return vault.set_job(name, job_payload(**{"name": name, "status": status, **times, **properties}))


def watch_jobs(api: KubernetesApi, vaults: Sequence[Vault], numbers: Iterable[int], **spec: Any) -> None:
    """Create a watch for each job number, distributed over the vaults. All jobs are running."""
    for number in numbers:
        job_id = put_job(vaults[number % len(vaults)], number)
        api.create({"jobResourceId": job_id, **spec}, watch_name(number))


def phase(api: KubernetesApi, name: str = NAME) -> str | None:
    """Return the phase of a watch."""
    found: str | None = api.get(name).get("status", {}).get("phase")
    return found


def phases(api: KubernetesApi) -> Counter[str | None]:
    """Count all watches by phase."""
    return Counter(body["status"].get("phase") for body in api.objects._watches.values())


async def all_running(api: KubernetesApi, count: int) -> None:
    """Wait until all watches are Running."""
    await api.until(lambda: phases(api)["Running"] == count)


async def deadline_passed(api: KubernetesApi, name: str = NAME) -> None:
    """Wait until the deadline of a watch has passed. The operator compares it with the wall clock.

    An edit of the deadline restarts the watch, and with it the time until the deadline.
    """
    generation = api.get(name)["metadata"]["generation"]
    await api.status(name, observedGeneration=generation)
    body = api.get(name)
    started = parse_time(body["status"]["watchStartTime"])
    assert started is not None
    end = started + timedelta(seconds=body["spec"]["activeDeadlineSeconds"])
    while datetime.now(UTC) < end:  # noqa: ASYNC110 -- no event to await
        await asyncio.sleep(0.05)
