"""Queries: the data that a watch requires from Azure. Watches with equal queries share the results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from backupjobwatch.domain.jobs.latest_window import (
    WORKLOADS,
    history_window,
    list_filter,
    list_window,
    midnight,
    window_end,
)
from backupjobwatch.domain.jobs.payloads import last_segment
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId, VaultId, VaultKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from backupjobwatch.domain.api.backup_record import BackupRecord
    from backupjobwatch.domain.jobs.backup_requests import BackupRequest
    from backupjobwatch.domain.jobs.findings import (
        OperationFailure,
        PinnedJob,
        RequestFailure,
        UnsupportedItem,
        Waiting,
    )
    from backupjobwatch.domain.jobs.latest_job import LatestJob
    from backupjobwatch.errors import AzureError


@dataclass(frozen=True, slots=True)
class JobWindow:
    """The jobs of a vault that started on ``first_day`` or later. Their list ends at the time of the request."""

    vault: VaultId
    first_day: datetime | None
    """Midnight, UTC. None for a Backup vault, whose list has no filter."""
    management_type: str | None = None
    """Only jobs of this ``backupManagementType``; None for all."""

    def filter_at(self, now: datetime) -> str | None:
        """Return the ``$filter`` of a request at *now*."""
        if self.first_day is None:
            return None
        end = window_end(self.first_day, now=now)
        return list_filter(self.first_day, end, management_type=self.management_type)


@dataclass(frozen=True, slots=True)
class ProtectedItems:
    """The protected items or backup instances of a vault."""

    vault: VaultId


@dataclass(frozen=True, slots=True)
class PolicyQuery:
    """A policy of a Backup vault. Its rules can start a backup."""

    vault: VaultId
    policy_id: str
    """The policy's ID, as ``ProtectedItem.policy_id`` has it."""

    @property
    def url_path(self) -> str:
        """The ID with percent-encoded segments, to append to the endpoint of Azure Resource Manager."""
        return f"{self.vault.url_path}/backupPolicies/{quote(last_segment(self.policy_id) or '', safe='')}"


Query = JobId | OperationId | JobWindow | ProtectedItems | PolicyQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """The queries of a watch, and what their results show so far."""

    queries: frozenset[Query] = frozenset()
    pinned: tuple[PinnedJob, ...] = ()
    """The jobs of the watch, if an operation, a list or a backup request led to them."""
    found: Waiting | UnsupportedItem | OperationFailure | RequestFailure | AzureError | None = None
    """Why the jobs are not known yet. Also None if there is no observation."""
    jobs: tuple[JobId, ...] = ()
    """The queries for the jobs of the watch, once they are known."""
    record: BackupRecord | None = None
    """The record of the backup request to write; None without one."""
    request: BackupRequest | None = None
    """The request to send when that record is written. Without an admission, the record does not contain it yet."""
    recheck_at: datetime | None = None
    """When the requirements change without an observation."""


def latest_window(latest: LatestJob, *, created: datetime, now: datetime, is_searched: bool = False) -> JobWindow:
    """Return the window in which the job of ``spec.latest`` is listed. ``list_window`` describes *is_searched*."""
    return window_since(latest.vault, list_window(latest, created=created, now=now, is_searched=is_searched)[0])


def workload_history(vault: VaultId, *, now: datetime) -> JobWindow:
    """Return the window of all workload jobs that Azure lists. Databases on several hosts may share a name."""
    return window_since(vault, history_window(now)[0], WORKLOADS)


def window_since(vault: VaultId, start: datetime, management_type: str | None = None) -> JobWindow:
    """Return the window of the jobs that started at *start* or later."""
    if vault.kind is VaultKind.BACKUP_VAULT:
        return JobWindow(vault, None)
    return JobWindow(vault, midnight(start), management_type)


def job_queries(vault: VaultId, pinned: Sequence[PinnedJob]) -> tuple[JobId, ...]:
    """Return the queries for *pinned* jobs, except those that the operation could not start."""
    return tuple(JobId(vault=vault, name=job.name) for job in pinned if job.error_code is None)
