"""``kubectl bjw tasks``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.text import sanitize
from backupjobwatch.kubectl import table
from backupjobwatch.kubectl.candidates import watches
from backupjobwatch.kubectl.cluster import Cluster
from backupjobwatch.kubectl.options import cluster_options, runs_async
from backupjobwatch.terminal.view import jobs_view

if TYPE_CHECKING:
    from backupjobwatch.kubectl.access import Access
    from backupjobwatch.kubectl.cluster import Body

_LINE: Final = 2048


@click.command(short_help="Show a job's tasks and errors, and undelivered notifications.")
@click.argument("name", shell_complete=watches)
@cluster_options
@runs_async
async def tasks(*, access: Access, name: str) -> None:
    """Show the tasks of a watch's job, Azure's errors with its recommendations, and undelivered notifications.

    \b
    Examples:
      kubectl bjw tasks nightly-backup
      kubectl bjw tasks restore --namespace payroll
    """  # noqa: D301 -- click's mark for a paragraph to be left as it is
    async with await Cluster.connect(access) as cluster:
        body = await cluster.read(cluster.namespace, name)
    now, console = datetime.now(UTC), Console()
    rows = table.task_rows(body, now=now)
    if console.is_terminal:
        console.print(jobs_view([body], now=now))
    elif rows:
        click.echo(table.plain(table.TASK_TITLES, rows), nl=False)
    for line in table.trouble(body):
        click.echo(line)
    if not rows:
        click.echo(_why_none(body), err=True)


def _why_none(body: Body) -> str:
    watch = Watch.from_body(body)
    status = watch.status_for_target
    if "job" in status:
        return "Azure tells no tasks of this job."
    if not status:
        return "No tasks are known yet: the operator has not looked at this watch."
    return sanitize(f"No tasks are known yet: {status.get('message') or 'the job has not been seen.'}", _LINE)
