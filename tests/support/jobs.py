"""Azure Backup jobs of one vault whose states tests control."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from tests.support.azure import payload

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Fault, FaultRule, Hold, RequestRecord


class Jobs:
    """The jobs of the only vault in a subscription."""

    def __init__(self, azure: AzureSimulator, subscription: str | None = None) -> None:
        self._azure = azure
        self.subscription = subscription or str(uuid.uuid4())
        self.vault = azure.add_vault(self.subscription, "rg-e2e", "rsv-e2e")

    def elsewhere(self) -> Jobs:
        """Return the jobs of another vault in another subscription."""
        return Jobs(self._azure)

    def start(self, item: str = "vm-e2e") -> str:
        """Start a backup job, and return its resource ID."""
        name = str(uuid.uuid4())
        self._set(name, "job-iaasvm-inprogress", item)
        return self.vault.job_id(name)

    def complete(self, job_id: str, item: str = "vm-e2e") -> str:
        """Complete a job successfully."""
        self._set(name_of(job_id), "job-iaasvm-completed", item)
        return job_id

    def fail(self, job_id: str, item: str = "vm-e2e") -> str:
        """Fail a job."""
        self._set(name_of(job_id), "job-iaasvm-failed", item)
        return job_id

    def become(self, job_id: str, example: str) -> str:
        """Set a job to an Azure example."""
        self._set(name_of(job_id), example, "vm-e2e")
        return job_id

    def completed(self, item: str = "vm-e2e") -> str:
        """Add a successful job, and return its resource ID."""
        return self.complete(self.start(item), item)

    def failed(self) -> str:
        """Add a failed job, and return its resource ID."""
        return self.fail(self.start())

    def hold(self, job_id: str) -> Hold:
        """Delay Azure's responses for a job until the hold is released."""
        return self._azure.hold(f"/backupJobs/{name_of(job_id)}$")

    def add_fault(self, fault: Fault, *, times: int | None = 1) -> FaultRule:
        """Apply *fault* to the next requests for any of the jobs."""
        return self._azure.faults.add(fault, path=self.subscription, times=times)

    def clear_fault(self, rule: FaultRule) -> None:
        """Remove a fault."""
        self._azure.faults.remove(rule)

    def requests(self, job_id: str = "") -> tuple[RequestRecord, ...]:
        """Return the requests to Azure for a job, or for all jobs."""
        return self._azure.requests_to(name_of(job_id) if job_id else self.subscription)

    def wait_requests(self, count: int, job_id: str) -> None:
        """Block until Azure has received *count* requests for a job."""
        self._azure.wait_requests(count, path=name_of(job_id), timeout=60)

    def _set(self, name: str, example: str, item: str) -> None:
        job: dict[str, Any] = payload(example)
        job["properties"]["entityFriendlyName"] = item
        self.vault.set_job(name, {"properties": job["properties"]})


def name_of(job_id: str) -> str:
    """Return the last segment of a job's resource ID."""
    return job_id.rsplit("/", 1)[-1]
