"""How long a finished watch is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.jobs.times import parse_time
from backupjobwatch.domain.status.notifications import due
from backupjobwatch.domain.status.transitions import Transition, event_name

if TYPE_CHECKING:
    from backupjobwatch.domain.api.snapshot import Watch


TTL_SKIPPED: Final = "TTLSkipped"
"""Reason of Events about watches that are kept because somebody would make them anew."""


def expiry(watch: Watch) -> datetime | None:
    """Return when *watch* is to be deleted; None for never, and while that is not known or somebody is to be told."""
    seconds = watch.spec.get("ttlSecondsAfterFinished")
    completed = parse_time(watch.status_for_target.get("completionTime"))
    if watch.deleting or not (watch.observed and watch.finished) or completed is None:
        return None
    if due(watch):
        return None
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 0:
        return None
    try:
        return completed + timedelta(seconds=seconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def ttl_skipped_event(watch: Watch, owner: str) -> Transition:
    """Return what is told of a *watch* that is not deleted since *owner* would make it anew."""
    return Transition(
        name=event_name(watch, watch.target, TTL_SKIPPED),
        type="Warning",
        reason=TTL_SKIPPED,
        message=f"Not deleted as spec.ttlSecondsAfterFinished has it: {owner} owns this object, and would make it anew.",
    )
