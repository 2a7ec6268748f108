"""The job that ``spec.latest`` identifies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.jobs.resource_ids import fold_case

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from backupjobwatch.domain.jobs.resource_ids import VaultId

_BACKUP: Final = "backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestJob:
    """``spec.latest``: the first job of an item that started after a time, or a job that completed recently."""

    vault: VaultId
    item: str
    """Azure's name of the protected item. Comparisons ignore letter case."""
    operation: str
    container: str | None
    started_after: datetime | None
    """Start of the search. None means the creation of the watch."""
    completed_within: timedelta | None = None
    """How long before the start of the search a job may have completed. Excludes ``started_after``."""

    @property
    def is_backup(self) -> bool:
        """Whether the operation is a backup of any type."""
        return fold_case(self.operation).startswith("backup")

    def runs(self, operation: str | None) -> bool:
        """Return whether *operation* matches the spec.

        ``Backup`` includes ``Backup (Full)`` and no other type. ``Restore`` includes all types of restore.
        """
        wanted, actual = fold_case(self.operation), fold_case(operation or "")
        if wanted == _BACKUP:
            return actual in (_BACKUP, f"{_BACKUP} (full)")
        return actual == wanted or actual.startswith(f"{wanted} (")

    def may_run(self, operation: str | None) -> bool:
        """Return whether *operation* may start or stop matching the spec when Azure adds the backup type."""
        wanted, actual = fold_case(self.operation), fold_case(operation or "")
        return wanted.startswith(f"{actual} (") or wanted == actual == _BACKUP
