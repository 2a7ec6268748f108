"""Reads Azure's JSON leniently: anything may be missing, null, of another type, or too long."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final, TypeVar

from backupjobwatch.domain.jobs.durations import format_duration, parse_duration
from backupjobwatch.domain.jobs.job import MAX_RECOMMENDATIONS
from backupjobwatch.domain.jobs.text import CUT, sanitize

WORD: Final = 256
"""Characters kept of names and other words."""
STATUS_WORD: Final = 64
LINE: Final = 512
"""Characters kept of properties and recommendations."""
TEXT: Final = 1024
"""Characters kept of messages."""

_Item = TypeVar("_Item")
_LONGEST_NUMBER = 10**WORD
_CANCELLABLE = 1
"""``actionsInfo`` has the words Invalid, Cancellable and Retriable, or their numbers: 0, 1 and 2."""


class Reader:
    """Reads one payload, and remembers which parts of it were too long to be kept whole."""

    def __init__(self) -> None:
        self.cut: set[str] = set()

    def word(self, value: object, limit: int = WORD) -> str | None:
        """Read a string, number or boolean as text without internal addresses; None if empty or a structure."""
        return self._text(value, limit, redact_addresses=True)

    def name(self, value: object, limit: int = WORD) -> str | None:
        """Read the name of a resource. It is compared with names in specs, so addresses in it stay."""
        return self._text(value, limit, redact_addresses=False)

    def _text(self, value: object, limit: int, *, redact_addresses: bool) -> str | None:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int) and abs(value) >= _LONGEST_NUMBER:
            return None
        if not isinstance(value, (str, int, float)):
            return None
        text = sanitize(str(value), limit, redact_addresses=redact_addresses)
        if text.endswith(CUT) and not str(value).rstrip().endswith(CUT):
            self.cut.add("texts")
        return text or None

    def term(self, value: object) -> str | None:
        """Read one of few words, of which thousands of jobs need not keep a copy each."""
        text = self.word(value)
        return None if text is None else sys.intern(text)

    def first(self, limit: int, part: str, items: Iterable[_Item]) -> tuple[_Item, ...]:
        """Keep the first *limit* items."""
        kept = tuple(islice(items, limit + 1))
        if len(kept) > limit:
            self.cut.add(part)
        return kept[:limit]

    def properties(self, value: object) -> Iterator[tuple[str, str]]:
        """Read a bag of named texts."""
        for name, text in mapping(value).items():
            yield self.word(name) or "", self.word(text, LINE) or ""

    def recommendations(self, value: object) -> tuple[str, ...]:
        """Read a list of texts, or a text."""
        texts = (self.word(item, LINE) for item in (value if isinstance(value, list) else [value]))
        return self.first(MAX_RECOMMENDATIONS, "recommendations", filter(None, texts))

    def remaining(self, value: object) -> str | None:
        """Read an estimate, whose format is unspecified: Go-style if it is a duration, else as Azure has it."""
        duration = parse_duration(value)
        return self.word(value, STATUS_WORD) if duration is None else format_duration(duration)


def job_duration(value: object, start_time: datetime | None, end_time: datetime | None) -> timedelta | None:
    """Read a job's duration. If Azure sends none, or zero, take the time between start and end."""
    duration = parse_duration(value)
    if duration or not (start_time and end_time):
        return duration
    return max(end_time - start_time, timedelta())


def percent(value: object) -> int | None:
    """Read a percentage, cut to whole ones: 99.9 is not yet 100."""
    number = _number(value)
    return None if number is None else int(min(max(number, 0.0), 100.0))


def count(value: object) -> int | None:
    """Read a number of things, none of them negative."""
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
    """Read true or false."""
    return value if isinstance(value, bool) else None


def cancellable(actions: object) -> bool | None:
    """Read whether a list of actions, words or numbers, has Cancellable; None if there is no list."""
    if not isinstance(actions, list):
        return None
    return _CANCELLABLE in actions or "cancellable" in (str(action).lower() for action in actions)


def mapping(value: object) -> Mapping[str, Any]:
    """Read an object."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: object) -> Iterator[Mapping[str, Any]]:
    """Read a list of objects."""
    return (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else iter(())


def last_segment(resource_id: str | None) -> str | None:
    """Read the name in a resource ID."""
    return resource_id.rstrip("/").rsplit("/", 1)[-1] or None if resource_id else None
