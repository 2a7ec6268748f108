"""Which notifications are due, and what became of those that were.

All of it follows from the object alone: what is due and not in ``status.notifications`` is delivered, after a restart
too, and so perhaps twice, under one id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.core.notify_spec import Notify, parse_notify
from backupjobwatch.core.payloads import mappings
from backupjobwatch.core.texts import clean
from backupjobwatch.core.times import format_time
from backupjobwatch.core.watch import FINISHED_PHASES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from backupjobwatch.core.watch import Watch

MESSAGE: Final = 192
"""Characters kept of why a notification was given up. With it a status that was as large as can be is still in bounds."""

_UID = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that is due to be told."""

    notify: Notify
    """To whom."""
    id: str
    phase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of a notice."""

    name: str
    """Of the entry."""
    id: str
    phase: str
    time: datetime
    failure: str | None
    """Why it was given up; None where it was delivered."""


def notice_id(watch: Watch, phase: str) -> str:
    """Return the id of what is told of *phase* on the present target: always the same."""
    return f"{watch.uid[:_UID]}.{watch.target}.{phase.lower()}"


def due(watch: Watch) -> tuple[Notice, ...]:
    """Return what is to be told of the present phase, and is not known to have been."""
    phase = watch.own_status.get("phase")
    if watch.deleting or not watch.observed or not isinstance(phase, str):
        return ()
    told = [(entry.get("name"), entry.get("id")) for entry in mappings(watch.own_status.get("notifications"))]
    key = notice_id(watch, phase)
    return tuple(
        Notice(notify=notify, id=key, phase=phase)
        for notify in parse_notify(watch.spec)
        if phase in notify.phases and (notify.name, key) not in told
    )


def next_notifications(watch: Watch, settled: Iterable[Settled]) -> list[dict[str, Any]]:
    """Return ``status.notifications`` of *watch* with what was *settled* in it.

    Entries that are no longer in the spec go, and so do those of an earlier target. What was settled of an earlier target,
    or of a phase that was followed by one that was told, is dropped.
    """
    known = {str(entry.get("name")): dict(entry) for entry in mappings(watch.own_status.get("notifications"))}
    for each in settled:
        is_old = each.phase not in FINISHED_PHASES and known.get(each.name, {}).get("phase") in FINISHED_PHASES
        if each.id == notice_id(watch, each.phase) and not is_old:
            known[each.name] = _write(each)
    return [known[notify.name] for notify in parse_notify(watch.spec) if notify.name in known]


def _write(settled: Settled) -> dict[str, Any]:
    entry = {
        "name": settled.name,
        "id": settled.id,
        "phase": settled.phase,
        "state": "Delivered" if settled.failure is None else "Failed",
        "time": format_time(settled.time),
    }
    return entry if settled.failure is None else {**entry, "message": clean(settled.failure, MESSAGE)}
