"""Compute when a finished watch expires (``spec.ttlSecondsAfterFinished``)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.jobs.times import parse_time
from backupjobwatch.domain.status.notifications import due
from backupjobwatch.domain.status.transitions import Transition, event_name

if TYPE_CHECKING:
    from backupjobwatch.domain.api.snapshot import Watch


TTL_SKIPPED: Final = "TTLSkipped"
"""Reason of the Event about an expired watch that is not deleted because its owner would recreate it."""


def expiry(watch: Watch) -> datetime | None:
    """Return when *watch* expires. None if it never does, has not finished, or has pending notifications."""
    seconds = watch.spec.get("ttlSecondsAfterFinished")
    completed = parse_time(watch.status_for_target.get("completionTime"))
    if watch.deleting or not (watch.observed and watch.finished) or completed is None or due(watch):
        return None
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 0:
        return None
    try:
        return completed + timedelta(seconds=seconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def ttl_skipped_event(watch: Watch, owner: str) -> Transition:
    """Return the Event about an expired *watch* that is not deleted because *owner* would recreate it."""
    return Transition(
        name=event_name(watch, watch.target, TTL_SKIPPED),
        type="Warning",
        reason=TTL_SKIPPED,
        message=(
            f"Skipped the deletion by spec.ttlSecondsAfterFinished, because {owner} owns this object and would recreate it. "
            "Remove the field, or delete the object at its owner."
        ),
    )
