"""Parse Azure's JSON leniently: any value may be missing, null, too long, or of another type."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final, TypeVar

from backupjobwatch.domain.jobs.durations import format_duration, parse_duration
from backupjobwatch.domain.jobs.job import (
    MAX_ERRORS,
    MAX_PROPERTIES,
    MAX_RECOMMENDATIONS,
    MAX_TASKS,
    Job,
    JobError,
    Task,
    any_error_is_cancelled,
    any_task_is_cancelled,
)
from backupjobwatch.domain.jobs.text import ELLIPSIS, sanitize
from backupjobwatch.domain.jobs.times import parse_time

WORD: Final = 256
"""Maximum characters of a name or another short value."""
STATUS_WORD: Final = 64
LINE: Final = 512
"""Maximum characters of a property or recommendation."""
TEXT: Final = 1024
"""Maximum characters of a message."""

_Item = TypeVar("_Item")
_LONGEST_NUMBER = 10**WORD
_CANCELLABLE = 1
"""Number of Cancellable in ``actionsInfo``, which lists Invalid, Cancellable and Retriable by name or as 0, 1 and 2."""


class Reader:
    """Parser of one payload that records which parts were truncated."""

    def __init__(self) -> None:
        self.truncated: set[str] = set()

    def word(self, value: object, limit: int = WORD) -> str | None:
        """Return a string, number or boolean as text, with internal addresses redacted. None if empty or a structure."""
        return self._text(value, limit, redact_addresses=True)

    def name(self, value: object, limit: int = WORD) -> str | None:
        """Return the name of a resource. Addresses stay, because names are compared with the spec."""
        return self._text(value, limit, redact_addresses=False)

    def _text(self, value: object, limit: int, *, redact_addresses: bool) -> str | None:
        if value is None:
            return None
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int) and abs(value) >= _LONGEST_NUMBER:
            return None
        if not isinstance(value, (str, int, float)):
            return None
        text = sanitize(str(value), limit, redact_addresses=redact_addresses)
        if text.endswith(ELLIPSIS) and not str(value).rstrip().endswith(ELLIPSIS):
            self.truncated.add("texts")
        return text or None

    def term(self, value: object) -> str | None:
        """Return an interned word. Thousands of jobs share a few values."""
        text = self.word(value)
        return None if text is None else sys.intern(text)

    def first(self, limit: int, part: str, items: Iterable[_Item]) -> tuple[_Item, ...]:
        """Return the first *limit* items, and record *part* if there are more."""
        kept = tuple(islice(items, limit + 1))
        if len(kept) > limit:
            self.truncated.add(part)
        return kept[:limit]

    def job(
        self,
        payload: Mapping[str, Any],
        *,
        tasks: Sequence[Task],
        errors: Sequence[JobError],
        warnings: Sequence[JobError] = (),
        bag: object,
        **fields: Any,
    ) -> Job:
        """Return the job in *payload*: what both kinds of vault describe alike, and more *fields* of the job.

        Pass all *tasks*, *errors* and *warnings*: a cancelled job may be recognizable only by one beyond the limits.
        *bag* is the property bag.
        """
        own = mapping(payload.get("properties"))
        resource_id = self.name(payload.get("id"), LINE)
        start_time, end_time = (parse_time(own.get(name)) for name in ("startTime", "endTime"))
        return Job(
            resource_id=resource_id,
            name=self.name(payload.get("name")) or self.name(last_segment(resource_id)),
            status=self.term(own.get("status")),
            operation=self.term(own.get("operation")),
            start_time=start_time,
            end_time=end_time,
            duration=_duration(own.get("duration"), start_time, end_time),
            user_triggered=boolean(own.get("isUserTriggered")),
            tasks=self.first(MAX_TASKS, "tasks", tasks),
            properties=dict(self.first(MAX_PROPERTIES, "properties", self.properties(bag))),
            errors=self.first(MAX_ERRORS, "errors", errors),
            warnings=self.first(MAX_ERRORS, "warnings", warnings),
            has_cancelled_error=any_error_is_cancelled((*errors, *warnings)),
            has_cancelled_task=any_task_is_cancelled(tasks),
            truncated=tuple(sorted(self.truncated)),
            **fields,
        )

    def properties(self, value: object) -> Iterator[tuple[str, str]]:
        """Yield the names and values of a property bag."""
        for name, text in mapping(value).items():
            yield self.word(name) or "", self.word(text, LINE) or ""

    def recommendations(self, value: object) -> tuple[str, ...]:
        """Return the recommendations, which may be a list or one text."""
        texts = (self.word(item, LINE) for item in (value if isinstance(value, list) else [value]))
        return self.first(MAX_RECOMMENDATIONS, "recommendations", filter(None, texts))

    def remaining(self, value: object) -> str | None:
        """Return an estimate as a Go duration, or Azure's text if it is not a duration."""
        duration = parse_duration(value)
        return self.word(value, STATUS_WORD) if duration is None else format_duration(duration)


def _duration(value: object, start_time: datetime | None, end_time: datetime | None) -> timedelta | None:
    """Return a job's duration, or the time between start and end if Azure sends none or zero."""
    duration = parse_duration(value)
    if duration or not (start_time and end_time):
        return duration
    return max(end_time - start_time, timedelta())


def percent(value: object) -> int | None:
    """Return a percentage between 0 and 100, rounded down."""
    number = _number(value)
    return None if number is None else int(min(max(number, 0.0), 100.0))


def count(value: object) -> int | None:
    """Return a non-negative 64-bit integer."""
    number = _number(value)
    return int(number) if number is not None and 0 <= number < 2**63 else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def boolean(value: object) -> bool | None:
    """Return *value* if it is a boolean."""
    return value if isinstance(value, bool) else None


def cancellable(actions: object) -> bool | None:
    """Return whether a list of actions contains Cancellable. None if there is no list."""
    if not isinstance(actions, list):
        return None
    return _CANCELLABLE in actions or "cancellable" in (str(action).lower() for action in actions)


def mapping(value: object) -> Mapping[str, Any]:
    """Return *value* if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def lowercase_names(value: object) -> dict[str, Any]:
    """Return an object with lowercase names, because Azure's services and tools do not agree on letter case."""
    return {str(name).lower(): part for name, part in mapping(value).items()}


def mappings(value: object) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a list."""
    return (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else iter(())


def last_segment(resource_id: str | None) -> str | None:
    """Return the last segment of a resource ID."""
    return resource_id.rstrip("/").rsplit("/", 1)[-1] or None if resource_id else None
