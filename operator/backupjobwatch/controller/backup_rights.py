"""What this process decides about requests for backups."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backupjobwatch.domain.polling.backup_plan import Admission, RequestContext

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from backupjobwatch.controller.watch_state import WatchState
    from backupjobwatch.domain.api.backup_record import BackupRecord
    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.api.target import Identity
    from backupjobwatch.domain.jobs.backup_requests import BackupRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRights:
    """The identity of this process, the namespaces that may request backups, and when they may."""

    allows: Callable[[str], bool] = lambda _: False
    admit: Callable[[Watch, Identity, BackupRequest, BackupRecord | None], Admission] = lambda *_: Admission()
    process: str = field(default_factory=lambda: str(uuid.uuid4()))

    def context(self, state: WatchState, *, deadline: datetime | None) -> RequestContext:
        """Return what the domain needs to know about the request of a watch."""
        return RequestContext(
            process=self.process,
            is_allowed=self.allows(state.watch.namespace),
            since=state.since,
            deadline=deadline,
            result=state.backup_result,
            known=state.known_record,
        )
