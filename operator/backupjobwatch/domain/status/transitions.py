"""What is worth a write, and what is worth telling."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from backupjobwatch.domain.jobs.payloads import mappings
from backupjobwatch.domain.jobs.times import parse_time
from backupjobwatch.domain.status.notifications import GIVEN_UP, RETRYING
from backupjobwatch.domain.status.verdict import FAILED, SUCCEEDED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from backupjobwatch.domain.api.snapshot import Watch

BUCKET: Final = 5
"""Percent of progress that are worth a write."""
NOTIFICATION_REASONS: Final = {RETRYING: "NotificationRetrying", GIVEN_UP: "NotificationFailed"}
"""Reasons of Events about notifications that were not delivered, by their state."""
REPEAT_WITHIN: Final = timedelta(hours=1)
"""How long ago something may have happened to be told again at start. Kubernetes keeps Events that long."""

_CALM = frozenset({"Progressing", "Suspended", "WaitingForJob", "JobNotVisible", "JobInProgress", "JobCancelling"})
_MAX_NAME = 253


def needs_write(previous: Mapping[str, Any], status: Mapping[str, Any], *, heartbeat: timedelta) -> bool:
    """Tell whether *status* says something that *previous* does not, or the *heartbeat* is due.

    Growing durations, rewordings and small progress are not worth a write: each one costs etcd, wakes every watcher
    of the object, and makes Argo CD refresh. The heartbeat refreshes them.
    """
    if _significant_fields(previous) != _significant_fields(status):
        return True
    before, after = (parse_time(each.get("lastPollTime")) for each in (previous, status))
    # A time in the future was written while the clock was ahead: without abs(), no heartbeat would come until then.
    return before is not None and after is not None and abs(after - before) >= heartbeat


def write_reason(watch: Watch, status: Mapping[str, Any]) -> Literal["transition", "change", "heartbeat"]:
    """Say what makes *status* worth a write onto *watch*, for those who count writes."""
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
    """A change worth a Kubernetes Event. It has the same name whenever and by whomever it is told."""

    name: str
    """Name of the Event: where it exists, this has been told already."""
    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    phase: str = ""
    """The phase that was entered, where it is one that was."""
    repeated: bool = False
    """Whether an earlier process may have told it: nobody counts it again."""


def find_transition(watch: Watch, status: Mapping[str, Any]) -> Transition | None:
    """Return what is worth telling of the change from the status in *watch* to *status*; None for no change."""
    told = ("target", "phase", "reason")
    if all(watch.status.get(name) == status.get(name) for name in told):
        return None
    return describe(watch, status)


def find_transitions(before: Watch, status: Mapping[str, Any]) -> tuple[Transition, ...]:
    """Return everything worth an Event that changed from *before* to *status*."""
    transition = find_transition(before, status)
    return (*((transition,) if transition else ()), *notification_failure_events(before, status))


def describe(watch: Watch, status: Mapping[str, Any]) -> Transition:
    """Return the transition into *status*."""
    phase, reason = str(status.get("phase")), str(status.get("reason"))
    calm = phase == SUCCEEDED or (phase != FAILED and reason in _CALM)
    return Transition(
        # The start is in it so that a target which is edited away and back is told about again.
        name=event_name(watch, status.get("target"), status.get("watchStartTime"), phase, reason),
        type="Normal" if calm else "Warning",
        reason=reason,
        message=str(status.get("message") or ""),
        phase=phase,
    )


def event_name(watch: Watch, *parts: object) -> str:
    """Return the name of the Event about *watch* that *parts* tell from others."""
    digest = hashlib.sha256("/".join(map(str, (watch.uid, *parts))).encode()).hexdigest()[:16]
    return f"{watch.name[: _MAX_NAME - len(digest) - 1].rstrip('.-')}.{digest}"


def notification_failure_events(
    watch: Watch, status: Mapping[str, Any], *, after: datetime | None = None
) -> tuple[Transition, ...]:
    """Return the Events about notifications that were not delivered: those new in *status*, or since *after*."""
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
    """Return what happened to a watch lately and for good: a process that died may not have told it."""
    completed = parse_time(watch.status_for_target.get("completionTime"))
    is_news = watch.finished and completed is not None and now - completed <= REPEAT_WITHIN
    ending = (replace(describe(watch, watch.status), repeated=True),) if is_news else ()
    return (*ending, *notification_failure_events(watch, watch.status_for_target, after=now - REPEAT_WITHIN))
