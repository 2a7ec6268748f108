"""The limit of backup requests for each namespace and hour."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

WINDOW: Final = timedelta(hours=1)


@dataclass(slots=True)
class BackupLimit:
    """Counts the requests of each namespace, by their IDs. Repeated attempts of a request count once."""

    per_hour: int
    _known: dict[str, dict[str, datetime]] = field(default_factory=dict)

    def note(self, namespace: str, request_id: str, requested_at: datetime, *, now: datetime) -> None:
        """Count a request, which may have been sent by an earlier process."""
        known = {each: time for each, time in self._known.get(namespace, {}).items() if abs(now - time) < WINDOW}
        if abs(now - requested_at) < WINDOW:
            known.setdefault(request_id, requested_at)
        self._known[namespace] = known
        if not known:
            del self._known[namespace]

    def forget(self, namespace: str, request_id: str) -> None:
        """Drop a request for which Azure started no backup."""
        known = self._known.get(namespace, {})
        known.pop(request_id, None)
        if not known:
            self._known.pop(namespace, None)

    def wait(self, namespace: str, request_id: str, *, now: datetime) -> timedelta:
        """Return how long the request must wait for earlier ones of its namespace. Zero if it may be sent."""
        earlier = sorted(
            time
            for each, time in self._known.get(namespace, {}).items()
            if each != request_id and abs(now - time) < WINDOW
        )
        if len(earlier) < self.per_hour:
            return timedelta()
        return max(earlier[-self.per_hour] + WINDOW - now, timedelta())
