"""What this process may decide about requests for backups."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backupjobwatch.domain.polling.backup_plan import RequestContext

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from backupjobwatch.controller.watch_state import WatchState


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRights:
    """The identity of this process, and the namespaces that may request backups."""

    allows: Callable[[str], bool] = lambda _: False
    process: str = field(default_factory=lambda: str(uuid.uuid4()))

    def context(self, state: WatchState, *, deadline: datetime | None) -> RequestContext:
        """Return what the domain needs to know about the request of a watch."""
        return RequestContext(
            process=self.process,
            request_id=str(uuid.uuid4()),
            is_allowed=self.allows(state.watch.namespace),
            since=state.since,
            deadline=deadline,
            result=state.backup_result,
            known=state.known_record,
        )
