"""Decide which changes need a status write and which need an Event."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from backupjobwatch.domain.api.backup_record import RecordState
from backupjobwatch.domain.jobs.payloads import mapping, mappings
from backupjobwatch.domain.jobs.times import parse_time
from backupjobwatch.domain.status import notifications
from backupjobwatch.domain.status.notifications import RETRYING
from backupjobwatch.domain.status.verdict import FAILED, SUCCEEDED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from backupjobwatch.domain.api.snapshot import Watch

BUCKET: Final = 5
"""Percentage points of progress that need a write."""
NOTIFICATION_REASONS: Final = {RETRYING: "NotificationRetrying", notifications.FAILED: "NotificationFailed"}
"""Reasons of Events about undelivered notifications, by state."""
REQUESTED: Final = "BackupRequested"
"""Reason of the Event about an accepted backup request."""
REPEAT_WITHIN: Final = timedelta(hours=1)
"""Maximum age of a change whose Event is emitted again at start. Kubernetes keeps Events for one hour by default."""

_NORMAL = frozenset({"Progressing", "Suspended", "WaitingForJob", "JobNotVisible", "JobInProgress", "JobCancelling"})
"""Reasons of Events of type Normal. Other reasons, except success, are Warnings."""
_STARTED = (RecordState.ACCEPTED, RecordState.RECOVERED)
_MAX_NAME = 253


def needs_write(previous: Mapping[str, Any], status: Mapping[str, Any], *, heartbeat: timedelta) -> bool:
    """Return whether *status* differs significantly from *previous*, or the *heartbeat* is due.

    Durations, messages and small progress are not significant. Each write loads etcd, notifies all clients that watch the
    object, and makes Argo CD refresh.
    """
    if _significant_fields(previous) != _significant_fields(status):
        return True
    before, after = (parse_time(each.get("lastPollTime")) for each in (previous, status))
    # A lastPollTime in the future comes from a clock that was ahead. Without abs(), the heartbeat would stop until then.
    return before is not None and after is not None and abs(after - before) >= heartbeat


def write_reason(watch: Watch, status: Mapping[str, Any]) -> Literal["transition", "change", "heartbeat"]:
    """Return why *status* is written to *watch*, for the metric of writes."""
    if find_transition(watch, status) is not None:
        return "transition"
    return "heartbeat" if _significant_fields(watch.status) == _significant_fields(status) else "change"


def _significant_fields(status: Mapping[str, Any]) -> dict[str, Any]:
    extended = status.get("extendedInfo") or {}
    steady = (
        "observedGeneration",
        "phase",
        "target",
        "job",
        "jobs",
        "errors",
        "warnings",
        "detailPending",
        "troubleSince",
        "lastHandledReconcileAt",
        "notifications",
        "onDemand",
    )
    return {
        **{name: status.get(name) for name in steady},
        "conditions": [
            [condition.get(name) for name in ("type", "status", "reason", "observedGeneration")]
            for condition in status.get("conditions") or ()
        ],
        "dynamicErrorMessage": extended.get("dynamicErrorMessage"),
        "progress": _bucket(extended),
        "tasks": [
            [*(task.get(name) for name in ("taskId", "status", "startTime", "endTime")), _bucket(task)]
            for task in mappings(extended.get("tasks"))
        ],
    }


def _bucket(progress: Mapping[str, Any]) -> int | None:
    percent = progress.get("progressPercent")
    return percent // BUCKET if isinstance(percent, int) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A change that needs a Kubernetes Event."""

    name: str
    """Name of the Event. It is stable, so a second Event about the same change fails with a conflict."""
    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    phase: str = ""
    """The phase that was entered, if any."""
    repeated: bool = False
    """Whether an earlier process may have emitted the Event. Metrics do not count it again."""


def find_transition(watch: Watch, status: Mapping[str, Any]) -> Transition | None:
    """Return the transition from the status of *watch* to *status*. None if phase, reason and target are the same."""
    if all(watch.status.get(name) == status.get(name) for name in ("target", "phase", "reason")):
        return None
    return describe(watch, status)


def find_transitions(before: Watch, status: Mapping[str, Any]) -> tuple[Transition, ...]:
    """Return all changes from *before* to *status* that need an Event."""
    transition = find_transition(before, status)
    return (
        *((transition,) if transition else ()),
        *_request_events(before, status, known=mapping(before.status.get("onDemand"))),
        *notification_failure_events(before, status),
    )


def _request_events(watch: Watch, status: Mapping[str, Any], *, known: Mapping[str, Any]) -> tuple[Transition, ...]:
    """Return the Event for a backup request that Azure accepted, unless the record *known* already has it."""
    record = mapping(status.get("onDemand"))
    if record.get("state") not in _STARTED:
        return ()
    if known.get("state") in _STARTED and known.get("requestID") == record.get("requestID"):
        return ()
    return (
        Transition(
            name=event_name(watch, record.get("requestID"), REQUESTED),
            type="Normal",
            reason=REQUESTED,
            message=f"Azure accepted the request for a backup of {record.get('itemName')}. Its ID is {record.get('requestID')}.",
        ),
    )


def describe(watch: Watch, status: Mapping[str, Any]) -> Transition:
    """Return the transition into *status*."""
    phase, reason = str(status.get("phase")), str(status.get("reason"))
    is_normal = phase == SUCCEEDED or (phase != FAILED and reason in _NORMAL)
    return Transition(
        # The start time makes the name unique if the target is edited and then reverted.
        name=event_name(watch, status.get("target"), status.get("watchStartTime"), phase, reason),
        type="Normal" if is_normal else "Warning",
        reason=reason,
        message=str(status.get("message") or ""),
        phase=phase,
    )


def event_name(watch: Watch, *parts: object) -> str:
    """Return the name of an Event about *watch*, made unique by *parts*."""
    digest = hashlib.sha256("/".join(map(str, (watch.uid, *parts))).encode()).hexdigest()[:16]
    return f"{watch.name[: _MAX_NAME - len(digest) - 1].rstrip('.-')}.{digest}"


def notification_failure_events(
    watch: Watch, status: Mapping[str, Any], *, after: datetime | None = None
) -> tuple[Transition, ...]:
    """Return the Events about undelivered notifications that are new in *status*, or newer than *after*."""
    known = () if after else tuple(map(_outcome, mappings(watch.status.get("notifications"))))
    return tuple(
        Transition(
            name=event_name(watch, entry.get("id"), entry.get("name"), reason),
            type="Warning",
            reason=reason,
            message=f"spec.notify[{entry.get('name')}]: {entry.get('message')}",
        )
        for entry in mappings(status.get("notifications"))
        for reason in [NOTIFICATION_REASONS.get(str(entry.get("state")))]
        if reason is not None and _outcome(entry) not in known
        if after is None or (parse_time(entry.get("time")) or after) > after
    )


def _outcome(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(entry.get(name) for name in ("name", "id", "state"))


def events_to_replay(watch: Watch, *, now: datetime) -> tuple[Transition, ...]:
    """Return recent transitions of a watch. An earlier process may not have emitted their Events."""
    after, record = now - REPEAT_WITHIN, watch.backup_record
    completed = parse_time(watch.status_for_target.get("completionTime"))
    is_recent = watch.finished and completed is not None and completed >= after
    ending = (describe(watch, watch.status),) if is_recent else ()
    is_requested = record is not None and record.requested_at >= after
    request = _request_events(watch, watch.status, known={}) if is_requested else ()
    repeated = (replace(each, repeated=True) for each in (*ending, *request))
    return (*repeated, *notification_failure_events(watch, watch.status_for_target, after=after))
