"""Option types of ``backupjobwatch watch``, and the options that identify the first job of an item."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from backupjobwatch.domain.api.spec import RANGES
from backupjobwatch.domain.jobs.durations import format_duration, parse_go_duration, whole_seconds
from backupjobwatch.domain.jobs.times import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable

Latest = dict[str, str]
"""``spec.latest``."""


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


class Time(click.ParamType[datetime]):
    """A time in RFC 3339."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the time."""
        time = value if isinstance(value, datetime) else parse_time(str(value))
        if time is None:
            self.fail(f"must be a time such as 2026-03-04T01:00:00Z, got {value!r}", param, ctx)
        return time


def latest_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options. The command gets ``spec.latest`` as ``latest``, or None without ``--item``."""

    @functools.wraps(command)
    def with_latest(
        *args: Any,
        item: str | None,
        operation_name: str | None,
        container: str | None,
        started_after: datetime | None,
        **kwargs: Any,
    ) -> Any:
        others = {"--operation": operation_name, "--container": container, "--started-after": started_after}
        if item is None:
            given = [option for option, value in others.items() if value is not None]
            if given:
                raise click.UsageError(f"{given[0]} requires --item.")
            return command(*args, latest=None, **kwargs)
        latest = {
            "item": item,
            "operation": operation_name or "Backup",
            "container": container,
            "startedAfter": format_time(started_after or datetime.now(UTC)),
        }
        return command(*args, latest={name: value for name, value in latest.items() if value is not None}, **kwargs)

    options = (
        click.option("--item", metavar="NAME", help="Follow the first job of this protected item instead of a JOB."),
        click.option(
            "--operation", "operation_name", metavar="NAME", help="Operation of that job. Default with --item: Backup."
        ),
        click.option("--container", metavar="NAME", help="Container or host, if several have an item of that name."),
        click.option(
            "--started-after",
            type=Time(),
            metavar="TIME",
            help="Only jobs that started after this time (RFC 3339). Default: when the command starts.",
        ),
    )
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), with_latest)
