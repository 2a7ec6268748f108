"""The values of a watch for terminals, used by tables and plain lines."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.durations import format_duration
from backupjobwatch.domain.jobs.payloads import mapping, mappings
from backupjobwatch.domain.jobs.resource_ids import is_guid
from backupjobwatch.domain.jobs.text import sanitize
from backupjobwatch.domain.jobs.times import parse_time
from backupjobwatch.domain.status.summary import UNSEEN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

TIMED_OUT: Final = "TimedOut"
"""What ``backupjobwatch watch`` shows as the phase of a watch that failed by its deadline: ``--timeout`` of the command."""
_WORD: Final = 256
_SENTENCE: Final = 2048
_SHORT: Final = 8
"""Characters of a GUID that distinguish jobs well enough next to the names of their items."""
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_STEP: Final = 1024
_PLAIN: Final = frozenset({"JobInProgress", "JobCompleted"})
"""Reasons whose message only repeats the other values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One of the tasks that a job consists of."""

    name: str
    status: str
    duration: str
    """Azure's duration. Many kinds of jobs have none."""
    percent: int | None
    details: str
    """How much data was transferred: Azure's text, or its count of bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A watch and its job as short printable strings. An unknown value is an empty string."""

    name: str
    """The object's name."""
    phase: str
    """``Unseen`` if there is no status for the current target."""
    finished: bool
    reason: str
    operation: str
    item: str
    elapsed: str
    """How long the job took or has run."""
    waited: str
    """How long the watch has waited for a job that Azure does not show yet."""
    percent: int | None
    """Only restores have it."""
    remaining: str
    message: str
    """The status message, unless it only repeats the other values."""
    tasks: tuple[Task, ...]

    @classmethod
    def from_body(cls, body: Mapping[str, Any], *, now: datetime) -> Self:
        """Read a BackupJobWatch. Malformed content of the object never raises an error."""
        watch = Watch.from_body(body)
        status = watch.status_for_target
        job, extended = mapping(status.get("job")), mapping(status.get("extendedInfo"))
        reason = _word(status.get("reason"))
        # With completedWithin, the message of a success says how recent the job is.
        is_plain = reason in _PLAIN and not (watch.finished and "completedWithin" in mapping(watch.spec.get("latest")))
        return cls(
            name=_word(watch.name),
            phase=_word(status.get("phase")) or UNSEEN,
            finished=watch.finished,
            reason=reason,
            operation=_word(job.get("operation")),
            item=_word(job.get("entityFriendlyName")),
            elapsed=_elapsed(watch, now),
            waited="" if watch.finished or job else _since(status.get("watchStartTime"), now),
            percent=_percent(extended.get("progressPercent")),
            remaining="" if watch.finished else _word(extended.get("estimatedRemaining")),
            message="" if is_plain else sanitize(str(status.get("message") or ""), _SENTENCE),
            tasks=tuple(
                Task(
                    name=_word(task.get("taskId")),
                    status=_word(task.get("status")),
                    duration="" if task.get("duration") == "0s" else _word(task.get("duration")),
                    percent=_percent(task.get("progressPercent")),
                    details=_word(task.get("taskExecutionDetails")) or _transferred(task.get("dataTransferredBytes")),
                )
                for task in mappings(extended.get("tasks"))
            ),
        )

    @property
    def job(self) -> str:
        """Operation and item, such as ``Backup of vm1``, as far as they are known."""
        return " of ".join(filter(None, (self.operation, self.item)))

    @property
    def title(self) -> str:
        """Operation, item and name, such as ``Backup of vm1 (2f6b1c9e)``, or only the object's name."""
        name = self.name[:_SHORT] if is_guid(self.name) else self.name
        return f"{self.job} ({name})" if self.job else name


def _word(value: object) -> str:
    return sanitize(value, _WORD) if isinstance(value, str) else ""


def _percent(value: object) -> int | None:
    return min(max(value, 0), 100) if isinstance(value, int) and not isinstance(value, bool) else None


def _transferred(value: object) -> str:
    """Format a number of transferred bytes in its largest unit. Empty for zero or an invalid value."""
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        return ""
    amount, unit = float(value), 0
    while amount >= _STEP and unit < len(_UNITS) - 1:
        amount, unit = amount / _STEP, unit + 1
    return f"{amount:.1f} {_UNITS[unit]} transferred" if unit else f"{value} B transferred"


def _elapsed(watch: Watch, now: datetime) -> str:
    status = watch.status_for_target
    if watch.finished and (took := _word(status.get("duration"))):
        return took
    return _since(mapping(status.get("job")).get("startTime"), parse_time(status.get("completionTime")) or now)


def _since(start: object, until: datetime) -> str:
    started = parse_time(start)
    return "" if started is None else format_duration(max(until - started, timedelta()))
