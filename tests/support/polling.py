"""Queries and watches of one principal in one subscription, for tests of the polling domain."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId, VaultId
from backupjobwatch.domain.polling.demands import Demands
from backupjobwatch.domain.polling.token_bucket import TokenBucket
from tests.support.builders import NOW, RESOURCE_GROUP, SUBSCRIPTION, job, list_entry, running_job

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.polling.queries import Query

START: Final = 100_000.0
"""The initial value of the monotonic clock."""


def wall(now: float) -> datetime:
    """Return the wall-clock time when the monotonic clock shows *now*."""
    return NOW + timedelta(seconds=now - START)


def vault_id(number: int = 0) -> VaultId:
    """Return the ID of a vault."""
    return VaultId(subscription_id=SUBSCRIPTION, resource_group=RESOURCE_GROUP, name=f"vault{number}")


def job_id(number: int = 0, in_vault: int = 0) -> JobId:
    """Return the ID of a job."""
    return JobId(vault=vault_id(in_vault), name=f"b0b00001-5e1f-4000-8000-{number:012}")


def operation_id(number: int = 0, in_vault: int = 0) -> OperationId:
    """Return the ID of an operation."""
    return OperationId(vault=vault_id(in_vault), name=f"09e70001-5e1f-4000-8000-{number:012}")


def demands_of(
    *queries: Query, rate: float = 2.0, burst: float = 20, interval: float = 30, now: float = START
) -> Demands:
    """Return demands for queries that one watch each has required since *now*."""
    demands = Demands(bucket=TokenBucket(rate=rate, burst=burst))
    for number, query in enumerate(queries):
        demands.add(query, f"uid-{number}", interval=interval, now=now)
    return demands


def running(job_id: JobId, **overrides: Any) -> Job:
    """Return a running job as a GET returns it."""
    return running_job(name=job_id.name, **overrides)


def ended(job_id: JobId, status: str = "Completed") -> Job:
    """Return a finished job as a GET returns it."""
    return job(name=job_id.name, status=status)


def entry(job_id: JobId, status: str = "InProgress", **overrides: Any) -> Job:
    """Return a job as a list returns it."""
    found = list_entry(name=job_id.name, status=status, **overrides)
    return replace(found, end_time=None) if status == "InProgress" else found
