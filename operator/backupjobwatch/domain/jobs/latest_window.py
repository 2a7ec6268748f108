"""The window and the filter of the job list for ``spec.latest``, and how far back Azure lists jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.jobs.durations import format_duration, whole_seconds
from backupjobwatch.domain.jobs.resource_ids import VaultKind
from backupjobwatch.domain.jobs.times import format_time
from backupjobwatch.errors import InvalidSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backupjobwatch.domain.jobs.latest_job import LatestJob

NOT_STORED: Final = datetime.max.replace(tzinfo=UTC)
"""Creation time of an object that is not stored yet. No job starts after it."""
LOOK_BACK: Final = timedelta(days=1)
"""How far before the start time jobs are listed, to find other containers with an item of the same name."""
LOOK_AHEAD: Final = timedelta(days=1)
"""How far after today jobs are listed, because Azure's clock may have passed a midnight that the operator's has not."""
LONGEST: Final = timedelta(days=30)
"""Longest window of a list. Azure's limit is not documented. Azure PowerShell allows 30 days."""
LONGEST_RUN: Final = timedelta(days=3)
"""With ``completedWithin``, how long before its end a job may have started. Lists select jobs by their start."""
REACH: Final[Mapping[VaultKind, timedelta]] = MappingProxyType(
    {VaultKind.RECOVERY_SERVICES: LONGEST - timedelta(days=1), VaultKind.BACKUP_VAULT: timedelta(days=13)}
)
"""How far back a vault lists jobs. Recorded responses of Backup vaults contain about 14 days."""
WORKLOADS: Final = "AzureWorkload"
"""``backupManagementType`` of databases in virtual machines."""

_KINDS: Final = {VaultKind.RECOVERY_SERVICES: "Recovery Services vault", VaultKind.BACKUP_VAULT: "Backup vault"}


def check_completed_within(latest: LatestJob) -> None:
    """Raise InvalidSpec if ``completedWithin`` is longer than the vault's list covers."""
    longest = REACH[latest.vault.kind] - LONGEST_RUN
    if latest.completed_within is None or latest.completed_within <= longest:
        return
    raise InvalidSpec(
        f"spec.latest.completedWithin must be at most {whole_seconds(longest) // 3600}h for a {_KINDS[latest.vault.kind]}, "
        f"got {format_duration(latest.completed_within)}. The vault lists no older jobs"
    )


def check_started_after(latest: LatestJob, *, created: datetime) -> None:
    """Raise InvalidSpec if ``startedAfter`` is earlier than the oldest job that a vault lists."""
    reach = REACH[latest.vault.kind]
    if latest.started_after is None or created == NOT_STORED or latest.started_after >= created - reach:
        return
    raise InvalidSpec(
        f"spec.latest.startedAfter must be at most {reach.days} days before this object's creation "
        f"({format_time(created)}), got {format_time(latest.started_after)}. A {_KINDS[latest.vault.kind]} lists no "
        "older jobs. Set a later time, or identify the job with spec.jobName"
    )


def check_reach(latest: LatestJob, *, created: datetime, searched: datetime | None, now: datetime) -> None:
    """Raise InvalidSpec if the first job may have left the list, so that a later job would match instead.

    *searched* is the time until which the operator has seen complete lists without a matching job.
    """
    start = latest.started_after or created - (latest.completed_within or timedelta())
    known = start if searched is None else max(start, searched - LOOK_BACK)
    if known >= listed_since(latest, now=now):
        return
    advice = (
        "Set spec.latest.startedAfter to a later time"
        if latest.completed_within is None
        else "Set spec.latest.completedWithin to a shorter time"
    )
    raise InvalidSpec(
        f"spec.latest needs all jobs since {format_time(start)}, but a {_KINDS[latest.vault.kind]} lists only "
        f"{REACH[latest.vault.kind].days} days. {advice}, or identify the job with spec.jobName"
    )


def midnight(time: datetime) -> datetime:
    """Return midnight of the day of *time*."""
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


def listed_since(latest: LatestJob, *, now: datetime) -> datetime:
    """Return the time since which Azure lists all jobs of the vault."""
    return midnight(now - REACH[latest.vault.kind])


def list_window(
    latest: LatestJob, *, created: datetime, now: datetime, is_searched: bool = False
) -> tuple[datetime, datetime]:
    """Return the start and end of the list. Whole days let watches share one list.

    With *is_searched*, a complete list had no job that completed before the start. Only a later end matters then, so
    the list is shorter.
    """
    start = (latest.started_after or created) - LOOK_BACK
    if latest.completed_within is not None:
        start = created - LONGEST_RUN - (timedelta() if is_searched else latest.completed_within)
    earliest = now - REACH[VaultKind.RECOVERY_SERVICES]
    first = midnight(min(max(start, earliest), now))
    return first, window_end(first, now=now)


def window_end(first: datetime, *, now: datetime) -> datetime:
    """Return the end of a list that starts at *first* and is requested at *now*."""
    return min(midnight(now) + timedelta(days=1) + LOOK_AHEAD, first + LONGEST)


def history_window(now: datetime) -> tuple[datetime, datetime]:
    """Return the start and end of the longest list of a Recovery Services vault that ends today."""
    first = midnight(now - REACH[VaultKind.RECOVERY_SERVICES])
    return first, first + LONGEST


def list_filter(start: datetime, end: datetime, *, management_type: str | None = None) -> str:
    """Return the ``$filter`` for jobs that started between *start* and *end*.

    Azure uses ``eq`` for both bounds, and a 12-hour clock with English AM and PM.
    https://github.com/MicrosoftDocs/azure-docs/issues/42973
    """
    window = f"startTime eq '{_filter_time(start)}' and endTime eq '{_filter_time(end)}'"
    return window if management_type is None else f"backupManagementType eq '{management_type}' and {window}"


def _filter_time(time: datetime) -> str:
    half = "AM" if time.hour < 12 else "PM"  # noqa: PLR2004
    return f"{time:%Y-%m-%d} {time.hour % 12 or 12:02d}:{time:%M:%S} {half}"
