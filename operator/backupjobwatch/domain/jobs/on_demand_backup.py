"""The backup that ``spec.onDemand`` requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backupjobwatch.domain.jobs.payloads import last_segment

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from backupjobwatch.domain.jobs.resource_ids import VaultId


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDemandBackup:
    """``spec.onDemand``. Either ``item`` or ``item_id`` is set."""

    vault: VaultId
    item: str | None = None
    """Friendly name of the protected item. Comparisons ignore letter case."""
    item_id: str | None = None
    """Resource ID of the protected item or backup instance."""
    container: str | None = None
    """Container or server of the item, if several have an item of that name."""
    retain_for: timedelta | None = None
    retain_until: datetime | None = None
    backup_type: str | None = None
    """Type of a database backup, such as Full."""
    rule: str | None = None
    """Backup rule of a Backup vault's policy. None means its only one."""
    retention_tag: str | None = None
    follows_running: bool = False
    """Whether a running backup of the item counts instead of a new one."""

    @property
    def title(self) -> str:
        """The item's name for messages."""
        return self.item or last_segment(self.item_id) or ""

    def retained_until(self, now: datetime) -> datetime | None:
        """Return until when a backup that is requested at *now* is kept. None leaves it to Azure."""
        return self.retain_until if self.retain_for is None else now + self.retain_for
