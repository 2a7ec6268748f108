"""``kubectl bjw tasks``."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.text import sanitize
from backupjobwatch.kubectl import table
from backupjobwatch.kubectl.cluster import Cluster
from backupjobwatch.kubectl.errors import NothingSelected, Refused
from backupjobwatch.kubectl.manifest import called
from backupjobwatch.kubectl.options import cluster_options, runs_async
from backupjobwatch.kubectl.selection import selection_options
from backupjobwatch.terminal.exit_codes import UNCLEAR
from backupjobwatch.terminal.rows import Row
from backupjobwatch.terminal.view import jobs_view

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from backupjobwatch.kubectl.access import Access
    from backupjobwatch.kubectl.selection import Selection

_LINE: Final = 2048


@click.command(short_help="Show jobs with their tasks and errors, and undelivered notifications.")
@selection_options
@cluster_options
@click.pass_context
@runs_async
async def tasks(ctx: click.Context, /, *, access: Access, selection: Selection) -> None:
    """Show the jobs of watches with their tasks, Azure's errors and recommendations, and undelivered notifications.

    NAME is a name, bjw/NAME or backupjobwatch.azurebackup.dev/NAME; - reads names from standard input.

    \b
    Examples:
      kubectl bjw tasks nightly-backup
      kubectl bjw tasks restore --namespace payroll
      kubectl bjw tasks --selector team=payroll
    """  # noqa: D301 -- \b keeps click from wrapping the paragraph
    async with Cluster.connect(access) as cluster:
        bodies, missing = await _read(cluster, selection)
    _show(bodies, now=datetime.now(UTC))
    for message in missing:
        click.echo(f"Error: {message}", err=True)
    if missing:
        ctx.exit(UNCLEAR)


async def _read(cluster: Cluster, selection: Selection) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Return the watches, and messages for those that do not exist."""
    if not selection.names:
        bodies = table.in_order((await cluster.all_of(selection.scope(cluster.namespace))).items)
        if not bodies:
            raise NothingSelected(selection.nothing(cluster.namespace))
        return bodies, []
    found: list[Mapping[str, Any]] = []
    missing: list[str] = []
    for name in selection.names:
        try:
            found.append(await cluster.read(cluster.namespace, name))
        except Refused as error:
            if error.code != HTTPStatus.NOT_FOUND or len(selection.names) == 1:
                raise
            missing.append(str(error))
    return found, missing


def _show(bodies: Sequence[Mapping[str, Any]], *, now: datetime) -> None:
    console, rows = Console(), [Row.from_body(body, now=now) for body in bodies]
    if console.is_terminal:
        console.print(jobs_view(rows))
    elif bodies:
        lines = [line for row in rows for line in table.task_rows(row)]
        click.echo(table.plain(table.TASK_TITLES, lines), nl=False)
    for body, row in zip(bodies, rows, strict=True):
        watch = Watch.from_body(body)
        prefix = f"{called(watch.name)}: " if len(bodies) > 1 else ""
        for line in table.trouble(body):
            click.echo(f"{prefix}{line}")
        if not row.tasks:
            click.echo(sanitize(f"{prefix}{_why_none(watch)}", _LINE), err=True)


def _why_none(watch: Watch) -> str:
    """Explain why there are no tasks."""
    status = watch.status_for_target
    if "job" in status:
        return "Azure reports no tasks for this job."
    if not status:
        return "There are no tasks yet. The operator has not processed this watch. Check that the operator is running."
    yet = "" if watch.finished else " yet"
    return f"There are no tasks{yet}. {status.get('message') or 'The operator has not found the job.'}"
