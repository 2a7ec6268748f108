"""An Azure Backup job: what the API says, read leniently.

Fields are read by presence, never by ``jobType``: undocumented types are on the wire
(``AzureWorkloadJobV2``). Unknown words are carried, malformed values left out, and nothing fails.
Shapes: https://learn.microsoft.com/rest/api/backup/job-details/get
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, Final, TypeVar

from backupjobwatch.core.durations import format_duration, parse_duration
from backupjobwatch.core.texts import CUT, clean
from backupjobwatch.core.times import parse_time

if TYPE_CHECKING:
    from datetime import datetime, timedelta

MAX_TASKS: Final = 50
MAX_PROPERTIES: Final = 50
MAX_ERRORS: Final = 20
MAX_RECOMMENDATIONS: Final = 10
WORD: Final = 256
"""Characters kept of names and other words."""
STATUS_WORD: Final = 64
LINE: Final = 512
"""Characters kept of properties and recommendations."""
TEXT: Final = 1024
"""Characters kept of messages."""


class Outcome(Enum):
    """What a job's status means. Azure's set is open: what is in no list here has no outcome yet."""

    IN_PROGRESS = "InProgress"
    CANCELLING = "Cancelling"
    COMPLETED = "Completed"
    COMPLETED_WITH_WARNINGS = "CompletedWithWarnings"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    UNKNOWN = ""


_OUTCOMES = {outcome.value.lower(): outcome for outcome in Outcome if outcome is not Outcome.UNKNOWN}
_Item = TypeVar("_Item")
_RUNNING = frozenset({Outcome.IN_PROGRESS, Outcome.CANCELLING, Outcome.UNKNOWN})
_LONGEST_NUMBER = 10**WORD
_CANCELLABLE = 1
"""The spec's words are Invalid, Cancellable, Retriable; the wire has their numbers, 0, 1, 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One of a job's tasks; ``task_id`` is a name for people, such as "Transfer data to vault"."""

    task_id: str | None
    status: str | None
    start_time: datetime | None
    end_time: datetime | None
    duration: timedelta | None
    progress_percent: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """One of a job's error details. Each field is missing for some job type."""

    code: str | None
    title: str | None
    message: str | None
    recommendations: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as one answer showed it."""

    resource_id: str | None
    name: str | None
    vault: str | None
    job_type: str | None
    status: str | None
    operation: str | None
    backup_management_type: str | None
    workload_type: str | None
    entity_friendly_name: str | None
    activity_id: str | None
    start_time: datetime | None
    end_time: datetime | None
    duration: timedelta | None
    cancellable: bool | None
    user_triggered: bool | None
    progress_percent: int | None
    estimated_remaining: str | None
    dynamic_error_message: str | None
    tasks: tuple[Task, ...]
    properties: Mapping[str, str] = field(hash=False)
    errors: tuple[JobError, ...]
    cut: tuple[str, ...]
    """The parts that were too long to be kept whole: tasks, properties, errors, recommendations, texts."""

    @property
    def outcome(self) -> Outcome:
        """What the status means; compared without regard to letter case."""
        return _OUTCOMES.get((self.status or "").lower(), Outcome.UNKNOWN)

    @property
    def ended(self) -> bool:
        """Whether the job has come to its end. A status that nobody knows is no end."""
        return self.outcome not in _RUNNING

    @property
    def title(self) -> str:
        """The job in three words, for messages: ``Backup of vm1``."""
        operation = self.operation or "Job"
        return f"{operation} of {self.entity_friendly_name}" if self.entity_friendly_name else operation


def parse_job(payload: Mapping[str, Any]) -> Job:
    """Read the answer to a GET of a job."""
    return _Reader().job(payload)


class _Reader:
    """Reads one payload, and remembers which parts of it were too long to be kept whole."""

    def __init__(self) -> None:
        self.cut: set[str] = set()

    def job(self, payload: Mapping[str, Any]) -> Job:
        properties = _mapping(payload.get("properties"))
        extended = _mapping(properties.get("extendedInfo"))
        resource_id = self.word(payload.get("id"), LINE)
        start_time, end_time = (parse_time(properties.get(name)) for name in ("startTime", "endTime"))
        duration = parse_duration(properties.get("duration"))
        if duration is None and start_time and end_time:
            duration = end_time - start_time
        return Job(
            resource_id=resource_id,
            name=self.word(payload.get("name")) or _last_segment(resource_id),
            vault=_vault_name(resource_id),
            job_type=self.word(properties.get("jobType")),
            status=self.word(properties.get("status")),
            operation=self.word(properties.get("operation")),
            backup_management_type=self.word(properties.get("backupManagementType")),
            workload_type=self.word(properties.get("workloadType")),
            entity_friendly_name=self.word(properties.get("entityFriendlyName")),
            activity_id=self.word(properties.get("activityId")),
            start_time=start_time,
            end_time=end_time,
            duration=duration,
            cancellable=_cancellable(properties.get("actionsInfo")),
            user_triggered=_boolean(properties.get("isUserTriggered")),
            progress_percent=_percent(extended.get("progressPercentage")),
            estimated_remaining=self.remaining(extended.get("estimatedRemainingDuration")),
            dynamic_error_message=self.word(extended.get("dynamicErrorMessage"), TEXT),
            tasks=self.first(MAX_TASKS, "tasks", self.tasks(extended.get("tasksList"))),
            properties=dict(self.first(MAX_PROPERTIES, "properties", self.properties(extended.get("propertyBag")))),
            errors=self.first(MAX_ERRORS, "errors", self.errors(properties.get("errorDetails"))),
            cut=tuple(sorted(self.cut)),
        )

    def tasks(self, value: object) -> Iterator[Task]:
        for item in _mappings(value):
            yield Task(
                task_id=self.word(item.get("taskId")),
                status=self.word(item.get("status"), STATUS_WORD),
                start_time=parse_time(item.get("startTime")),
                end_time=parse_time(item.get("endTime")),
                duration=parse_duration(item.get("duration")),
                progress_percent=_percent(item.get("progressPercentage")),
            )

    def properties(self, value: object) -> Iterator[tuple[str, str]]:
        for name, text in _mapping(value).items():
            yield self.word(name) or "", self.word(text, LINE) or ""

    def errors(self, value: object) -> Iterator[JobError]:
        for item in _mappings(value):
            code = self.word(item.get("errorCode"))
            error = JobError(
                code=None if code == "0" else code,  # "no code": seen beside nothing but nulls
                title=self.word(item.get("errorTitle")),
                message=self.word(item.get("errorString"), TEXT),
                recommendations=self.recommendations(item.get("recommendations")),
            )
            if error.code or error.title or error.message or error.recommendations:
                yield error

    def recommendations(self, value: object) -> tuple[str, ...]:
        texts = (self.word(item, LINE) for item in (value if isinstance(value, list) else [value]))
        return self.first(MAX_RECOMMENDATIONS, "recommendations", filter(None, texts))

    def remaining(self, value: object) -> str | None:
        """Read the estimate, whose format is unspecified: Go-style if it is a duration, else as Azure has it."""
        duration = parse_duration(value)
        return self.word(value, STATUS_WORD) if duration is None else format_duration(duration)

    def word(self, value: object, limit: int = WORD) -> str | None:
        """Read a string, or a number or boolean as one; None for nothing, for empty ones and for structures."""
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int) and abs(value) >= _LONGEST_NUMBER:
            return None
        if not isinstance(value, (str, int, float)):
            return None
        text = clean(str(value), limit)
        if text.endswith(CUT) and not str(value).rstrip().endswith(CUT):
            self.cut.add("texts")
        return text or None

    def first(self, limit: int, part: str, items: Iterable[_Item]) -> tuple[_Item, ...]:
        """Keep the first *limit* items."""
        kept = tuple(islice(items, limit + 1))
        if len(kept) > limit:
            self.cut.add(part)
        return kept[:limit]


def _cancellable(actions: object) -> bool | None:
    """Tell whether ``actionsInfo``, numbers on the wire and words in the spec, holds Cancellable."""
    if not isinstance(actions, list):
        return None
    return any(
        action == _CANCELLABLE if isinstance(action, int) else str(action).lower() == "cancellable"
        for action in actions
    )


def _percent(value: object) -> int | None:
    """Read a percentage, cut to whole ones: 99.9 is not yet 100."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return int(min(max(number, 0.0), 100.0)) if math.isfinite(number) else None


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: object) -> Iterator[Mapping[str, Any]]:
    return (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else iter(())


def _last_segment(resource_id: str | None) -> str | None:
    return resource_id.rstrip("/").rsplit("/", 1)[-1] or None if resource_id else None


def _vault_name(resource_id: str | None) -> str | None:
    segments = (resource_id or "").split("/")
    for kind, name in pairwise(segments):
        if kind.lower() in ("vaults", "backupvaults"):
            return name or None
    return None
