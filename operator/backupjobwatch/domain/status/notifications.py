"""Compute which notifications are due, and record their results.

The object alone decides. A notification is due until ``status.notifications`` shows it as delivered or failed. If the
operator restarts in between, it delivers the notification again with the same id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.api.notify_spec import Notify, parse_notify
from backupjobwatch.domain.api.snapshot import FINISHED_PHASES
from backupjobwatch.domain.jobs.payloads import mappings
from backupjobwatch.domain.jobs.text import sanitize
from backupjobwatch.domain.jobs.times import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from backupjobwatch.domain.api.snapshot import Watch

MESSAGE: Final = 192
"""Maximum characters of an entry's message. The size limit of a status leaves room for eight entries."""
DELIVERED: Final = "Delivered"
RETRYING: Final = "Retrying"
FAILED: Final = "Failed"

_UID = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A notification that is due."""

    notify: Notify
    """The entry of ``spec.notify``."""
    id: str
    phase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryResult:
    """The outcome of a notification so far."""

    name: str
    """The name of the entry."""
    id: str
    phase: str
    time: datetime
    failure: str | None
    """Why the last attempt failed. None if the notification was delivered."""
    retrying: bool = False
    """Whether another attempt follows."""

    @property
    def state(self) -> str:
        """State of the entry in ``status.notifications``."""
        if self.failure is None:
            return DELIVERED
        return RETRYING if self.retrying else FAILED


def notification_id(watch: Watch, phase: str) -> str:
    """Return the ID of the notifications of *phase* for the current target. It never changes."""
    return f"{watch.uid[:_UID]}.{watch.target}.{phase.lower()}"


def due(watch: Watch) -> tuple[Notification, ...]:
    """Return the notifications of the current phase that were not delivered and have not failed."""
    phase = watch.status_for_target.get("phase")
    if watch.deleting or not watch.observed or not isinstance(phase, str):
        return ()
    entries = mappings(watch.status_for_target.get("notifications"))
    done = [(entry.get("name"), entry.get("id")) for entry in entries if entry.get("state") != RETRYING]
    key = notification_id(watch, phase)
    return tuple(
        Notification(notify=notify, id=key, phase=phase)
        for notify in parse_notify(watch.spec)
        if phase in notify.phases and (notify.name, key) not in done
    )


def next_notifications(watch: Watch, deliveries: Iterable[DeliveryResult], *, phase: str) -> list[dict[str, Any]]:
    """Return ``status.notifications`` of *watch*, which enters *phase* or stays in it, and the outcomes of *deliveries*.

    Entries are dropped if the spec no longer has them, or if they belong to an earlier target. ``Retrying`` entries are
    also dropped if they are no longer due. Results of an earlier target or of an earlier phase are ignored.
    """
    known = {str(entry.get("name")): dict(entry) for entry in mappings(watch.status_for_target.get("notifications"))}
    for each in deliveries:
        if each.id == notification_id(watch, each.phase) and not _is_outdated(each, known.get(each.name, {})):
            known[each.name] = _entry_of(each)
    return [
        known[notify.name]
        for notify in parse_notify(watch.spec)
        if notify.name in known
        if known[notify.name].get("state") != RETRYING
        or (phase in notify.phases and known[notify.name].get("id") == notification_id(watch, phase))
    ]


def _is_outdated(delivery: DeliveryResult, known: Mapping[str, Any]) -> bool:
    """Return whether the entry *known* is newer than *delivery*, or reports the same failure."""
    if delivery.phase not in FINISHED_PHASES and known.get("phase") in FINISHED_PHASES:
        return True
    if not delivery.retrying or known.get("id") != delivery.id:
        return False
    return known.get("state") != RETRYING or known.get("message") == _entry_of(delivery)["message"]


def _entry_of(delivery: DeliveryResult) -> dict[str, Any]:
    entry = {
        "name": delivery.name,
        "id": delivery.id,
        "phase": delivery.phase,
        "state": delivery.state,
        "time": format_time(delivery.time),
    }
    return entry if delivery.failure is None else {**entry, "message": sanitize(delivery.failure, MESSAGE)}
