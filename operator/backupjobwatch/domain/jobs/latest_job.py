"""The job that ``spec.latest`` identifies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.jobs.resource_ids import fold_case

if TYPE_CHECKING:
    from datetime import datetime

    from backupjobwatch.domain.jobs.resource_ids import VaultId

_BACKUP: Final = "backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestJob:
    """The first job of an item that started after a time."""

    vault: VaultId
    item: str
    """Azure's name of the protected item. Compared without regard to letter case."""
    operation: str
    container: str | None
    started_after: datetime | None
    """None: after the watch was created."""

    @property
    def is_backup(self) -> bool:
        """Whether the operation is a backup, of any type."""
        return fold_case(self.operation).startswith("backup")

    def runs(self, operation: str | None) -> bool:
        """Tell whether *operation* is the one in the spec.

        ``Backup`` includes ``Backup (Full)`` and no other type. ``Restore`` includes all types of restore.
        """
        wanted, actual = fold_case(self.operation), fold_case(operation or "")
        if wanted == _BACKUP:
            return actual in (_BACKUP, f"{_BACKUP} (full)")
        return actual == wanted or actual.startswith(f"{wanted} (")

    def may_run(self, operation: str | None) -> bool:
        """Tell whether *operation*, to which Azure may still add a type, decides later whether it is the one in the spec."""
        wanted, actual = fold_case(self.operation), fold_case(operation or "")
        return wanted.startswith(f"{actual} (") or wanted == actual == _BACKUP
