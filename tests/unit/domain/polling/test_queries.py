"""Queries: the requests that they stand for, and the watches that share them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from backupjobwatch.domain.jobs.findings import PinnedJob
from backupjobwatch.domain.jobs.latest_job import LatestJob
from backupjobwatch.domain.jobs.latest_window import WORKLOADS
from backupjobwatch.domain.jobs.resource_ids import VaultId, VaultKind
from backupjobwatch.domain.polling.queries import JobWindow, job_queries, latest_window, window_since, workload_history
from tests.support.builders import NOW, RESOURCE_GROUP, SUBSCRIPTION
from tests.support.polling import job_id, vault_id

VAULT = vault_id()
BACKUP_VAULT = VaultId(
    subscription_id=SUBSCRIPTION, resource_group=RESOURCE_GROUP, name="vault0", kind=VaultKind.BACKUP_VAULT
)
MIDNIGHT = datetime(2018, 5, 21, tzinfo=UTC)
DAY = timedelta(days=1)


def latest(vault: VaultId) -> LatestJob:
    return LatestJob(vault=vault, item="vm1", operation="Backup", container=None, started_after=None)


def test_filter() -> None:
    """The list of a window starts at its first day and ends a day after the day of the request."""
    window = JobWindow(VAULT, MIDNIGHT - DAY)

    assert window.filter_at(NOW) == "startTime eq '2018-05-20 12:00:00 AM' and endTime eq '2018-05-23 12:00:00 AM'"
    assert window.filter_at(NOW + DAY) == (
        "startTime eq '2018-05-20 12:00:00 AM' and endTime eq '2018-05-24 12:00:00 AM'"
    )


def test_longest_filter() -> None:
    """No window is longer than 30 days."""
    window = JobWindow(VAULT, MIDNIGHT - 60 * DAY, WORKLOADS)

    assert window.filter_at(NOW) == (
        "backupManagementType eq 'AzureWorkload' and "
        "startTime eq '2018-03-22 12:00:00 AM' and endTime eq '2018-04-21 12:00:00 AM'"
    )


def test_backup_vault() -> None:
    """The list of a Backup vault has no filter: all watches of the vault share it."""
    windows = {
        latest_window(latest(BACKUP_VAULT), created=NOW, now=NOW),
        workload_history(BACKUP_VAULT, now=NOW),
        window_since(BACKUP_VAULT, NOW),
    }

    assert windows == {JobWindow(BACKUP_VAULT, None)}
    assert JobWindow(BACKUP_VAULT, None).filter_at(NOW) is None


@pytest.mark.parametrize("hours", [0, 5, 14])
def test_windows_are_shared(hours: int) -> None:
    """Watches that were created on one day share a list, regardless of the time of the request."""
    window = latest_window(latest(VAULT), created=NOW, now=NOW + timedelta(hours=hours))

    assert window == latest_window(latest(VAULT), created=NOW - timedelta(hours=5), now=NOW)
    assert window == JobWindow(VAULT, MIDNIGHT - DAY)


def test_history() -> None:
    """The history of workload jobs reaches as far back as the vault lists jobs."""
    assert workload_history(VAULT, now=NOW) == JobWindow(VAULT, MIDNIGHT - 29 * DAY, WORKLOADS)


def test_window_since() -> None:
    """A list of the jobs since a time begins at midnight."""
    assert window_since(VAULT, NOW) == JobWindow(VAULT, MIDNIGHT)


def test_jobs() -> None:
    """Each job has a query, except those that the operation could not start."""
    pinned = [PinnedJob(name=job_id(number).name, error_code="X" if number == 1 else None) for number in range(3)]

    assert job_queries(VAULT, pinned) == (job_id(0), job_id(2))
