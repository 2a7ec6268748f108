"""Option types of ``backupjobwatch watch``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from backupjobwatch.domain.api.spec import RANGES
from backupjobwatch.domain.jobs.durations import format_duration, parse_go_duration, whole_seconds


class Duration(click.ParamType[int]):
    """Whole seconds within a range, written as a Go duration."""

    name = "duration"

    def __init__(self, least: int, most: int) -> None:
        self._least, self._most = least, most

    @classmethod
    def of_field(cls, field: str) -> Duration:
        """Return the type for a field of the spec."""
        return cls(*RANGES[field])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the seconds."""
        try:
            seconds = whole_seconds(parse_go_duration(str(value)))
        except ValueError as error:
            self.fail(f"{error}, got {value!r}", param, ctx)
        if not self._least <= seconds <= self._most:
            longest = f"{self._most // 3600}h" if self._most % 3600 == 0 else format_duration(timedelta(0, self._most))
            self.fail(f"must be a duration from {self._least}s to {longest}, got {value!r}", param, ctx)
        return seconds
