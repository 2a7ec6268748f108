"""Find the jobs of a protected item: the one of a request, or a running backup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.jobs.item_resolution import plain_name
from backupjobwatch.domain.jobs.job import Outcome
from backupjobwatch.domain.jobs.resource_ids import fold_case, is_guid

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.jobs.protected_items import ProtectedItem

_HOST: Final = re.compile(r" \[[^\[\]]+\]$")
"""Host in the item name of a database job that has ended: ``msdb [sql-host-1]``."""
_CONFLICTS: Final = frozenset(
    {
        *("400249", "usererrorbackupoperationinprogress", "systembackupoperationinprogress"),
        *("510008", "operationcancelledbecauseconflictingoperationrunningusererror"),
        "usererrormaxconcurrentoperationlimitreached",
    }
)
"""Codes and titles of jobs that failed because another backup of the item was running."""


def find_requested(jobs: Iterable[Job], *, request_id: str | None, item_name: str) -> str | None:
    """Return the name of the backup that the request *request_id* started. None if *jobs* has none.

    Nothing else than the ID is evidence: a scheduled backup may have started at the same time.
    """
    wanted = None if request_id is None else fold_case(request_id)
    names = (
        fold_case(job.name or "")
        for job in jobs
        if wanted is not None and fold_case(job.activity_id or "") == wanted and _is_backup_of(job, item_name)
    )
    return next(filter(is_guid, names), None)


def find_running(jobs: Iterable[Job], item: ProtectedItem, items: Sequence[ProtectedItem]) -> str | None:
    """Return the name of the oldest running backup of *item*. *items* are all items of the vault.

    A job without a container counts only if no other item has the same name.
    """
    is_unique = sum(plain_name(each.name) == plain_name(item.name) for each in items) == 1
    running = [
        (job.start_time, fold_case(job.name or ""))
        for job in jobs
        if job.outcome is Outcome.IN_PROGRESS
        and job.start_time is not None
        and is_guid(job.name or "")
        and fold_case(job.operation or "") == "backup"
        and _is_backup_of(job, item.name)
        and (is_unique if job.container is None else _is_in_container(job.container, item))
    ]
    return min(running)[1] if running else None


def failed_by_conflict(job: Job) -> bool:
    """Return whether *job* failed because another backup of its item was running."""
    return any(fold_case(text or "") in _CONFLICTS for error in job.errors for text in (error.code, error.title))


def _is_backup_of(job: Job, item_name: str) -> bool:
    name = job.entity_friendly_name or ""
    names = {plain_name(each) for each in (name, _HOST.sub("", name), *job.aliases)}
    return fold_case(job.operation or "").startswith("backup") and plain_name(item_name) in names


def _is_in_container(container: str, item: ProtectedItem) -> bool:
    """Return whether a job's *container* is that of *item*. Jobs of Backup vaults name the instance instead."""
    mine, known = fold_case(container), fold_case(item.container or item.path_name)
    return mine == known or known.endswith(f";{mine}") or mine.endswith(f";{known}")
