"""Options that identify the first job of a protected item after a time (``spec.latest``)."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from backupjobwatch.domain.jobs.durations import parse_go_duration
from backupjobwatch.domain.jobs.times import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable

Latest = dict[str, str]
"""``spec.latest``."""


class TimeType(click.ParamType[str]):
    """A time, or how long ago it was. It is converted to RFC 3339."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Convert *value* to RFC 3339. click shows the error."""
        text = str(value)
        time = parse_time(text)
        if time is None:
            try:
                time = datetime.now(UTC) - parse_go_duration(text)
            except (ValueError, OverflowError):
                self.fail(
                    f"must be a time such as 2026-03-04T01:00:00Z, or 2h for two hours ago, got {text!r}", param, ctx
                )
        return format_time(time)


def latest_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options. The command gets them as ``latest``, or None if ``--item`` is not given."""

    @functools.wraps(command)
    def with_latest(
        *args: Any,
        item: str | None,
        operation: str | None,
        container: str | None,
        started_after: str | None,
        completed_within: str | None,
        **kwargs: Any,
    ) -> Any:
        further = {
            "operation": operation,
            "container": container,
            "startedAfter": started_after,
            "completedWithin": completed_within,
        }
        chosen = {field: value for field, value in further.items() if value is not None}
        if item is None and chosen:
            raise click.UsageError(
                "--operation, --container, --started-after and --completed-within require --item. Add --item."
            )
        return command(*args, latest=None if item is None else {"item": item, **chosen}, **kwargs)

    options = (
        click.option(
            "--item",
            metavar="NAME",
            help="Follow the first job of this protected item. NAME is what `az backup job list` shows.",
        ),
        click.option(
            "--operation", metavar="NAME", help="With --item: Backup, Restore or another operation. Default: Backup."
        ),
        click.option(
            "--container", metavar="NAME", help="With --item: its container or host, if several have such an item."
        ),
        click.option(
            "--started-after",
            metavar="TIME",
            type=TimeType(),
            help="With --item: only jobs after this time, such as 2026-03-04T01:00:00Z, or 2h for two hours ago. "
            "Default: now.",
        ),
        click.option(
            "--completed-within",
            metavar="DURATION",
            help="With --item: succeed at once if a job completed within this time, such as 24h, before the watch starts. "
            "Excludes --started-after.",
        ),
    )
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), with_latest)
