"""Watches with notifications, and statuses with the outcomes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from backupjobwatch import errors
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.status.assessment import Assessment
from backupjobwatch.domain.status.next_status import next_status
from backupjobwatch.domain.status.notifications import DeliveryResult, due
from tests.support.builders import JOB_ID, NOW, watch_body

ALL = ["Running", "Succeeded", "Failed"]
LATER = NOW + timedelta(minutes=1)


def entry_named(name: str, phases: list[str] | None = None) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": name, "webhook": {"url": "https://example.com"}}
    return {**entry, "phases": phases} if phases else entry


def notifying_body(*entries: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return watch_body({"jobResourceId": JOB_ID, "notify": list(entries), **fields})


def due_of(body: dict[str, Any]) -> list[tuple[str, str]]:
    return [(notice.notify.name, notice.phase) for notice in due(Watch.from_body(body))]


def settled_of(
    body: dict[str, Any], *names: str, failure: str | None = None, retrying: bool = False
) -> tuple[DeliveryResult, ...]:
    notices = {notice.notify.name: notice for notice in due(Watch.from_body(body))}
    return tuple(
        DeliveryResult(
            name=name, id=notices[name].id, phase=notices[name].phase, time=LATER, failure=failure, retrying=retrying
        )
        for name in names
    )


def states_of(body: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    entries = body["status"].get("notifications", ())
    return [(entry["name"], entry["state"], entry.get("message")) for entry in entries]


def written(body: dict[str, Any], *deliveries: DeliveryResult, observation: Any = None) -> dict[str, Any]:
    observed = errors.PollDeferred("x") if observation is None else observation
    status = next_status(Watch.from_body(body), Assessment(finding=observed), now=LATER, deliveries=deliveries)
    return {**body, "status": status}
