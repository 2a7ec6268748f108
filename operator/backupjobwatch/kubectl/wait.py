"""``kubectl bjw wait``."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import click

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.text import sanitize
from backupjobwatch.kubectl.candidates import watches
from backupjobwatch.kubectl.cluster import Cluster, Scope
from backupjobwatch.kubectl.errors import PluginError
from backupjobwatch.kubectl.follow import follow
from backupjobwatch.kubectl.manifest import called
from backupjobwatch.kubectl.options import WEEK, DurationType, cluster_options, runs_async
from backupjobwatch.terminal.exit_codes import TIMED_OUT, UNCLEAR, exit_code, worst
from backupjobwatch.terminal.plain import PlainLines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backupjobwatch.kubectl.access import Access
    from backupjobwatch.kubectl.cluster import Body

_ONE_LOOK: Final = 15.0
"""Seconds that a look without a wait may take."""

_LINE: Final = 2048

timeout_option = click.option(
    "--timeout",
    "limit",
    type=DurationType(),
    default=WEEK,
    show_default="a week",
    help="How long to wait: 30s, 90m, 4h. 0 looks once.",
)
warnings_option = click.option(
    "--warnings-as-errors", is_flag=True, help="End with 2 for a job with warnings where the watch accepts those too."
)


@click.command(short_help="Wait for the end; the exit code tells which.")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=watches)
@timeout_option
@warnings_option
@cluster_options
@click.pass_context
@runs_async
async def wait(
    ctx: click.Context, /, *, access: Access, names: tuple[str, ...], limit: timedelta, warnings_as_errors: bool
) -> None:
    """Wait until watches have ended, well or badly, and tell by the exit code which.

    \b
      0    succeeded
      1    failed, or was cancelled
      2    completed with warnings, and warnings count as failure
      3    could not tell: no such watch, deleted, no access, wrong usage
      124  timed out
      130  interrupted (143 by SIGTERM)

    Of several watches the worst code counts: 1, 3, 124, 2, 0. Only a status of the present spec counts. What happens
    meanwhile is told on standard error, how it ended on standard output.

    \b
    Examples:
      kubectl bjw wait nightly-backup --timeout 4h && helm upgrade payroll ./payroll
      kubectl bjw wait db files --warnings-as-errors
      kubectl bjw wait nightly-backup --timeout 0
    """  # noqa: D301 -- click's mark for a paragraph to be left as it is
    async with await Cluster.connect(access) as cluster:
        waiting = Waiting(cluster, warnings_as_errors=warnings_as_errors)
        ctx.exit(await waiting.run(dict.fromkeys(names), limit))


class Waiting:
    """Waits for watches of the cluster's present namespace."""

    def __init__(self, cluster: Cluster, *, warnings_as_errors: bool) -> None:
        self._cluster = cluster
        self._warnings_as_errors = warnings_as_errors
        self._lines = PlainLines()
        self._troubles: set[str] = set()
        self._suspended: set[str] = set()

    async def run(self, uids: Mapping[str, str | None], limit: timedelta) -> int:
        """Wait for the watches with these names, and uids where those are known; return the exit code."""
        seconds = limit.total_seconds() or _ONE_LOOK
        tasks = {name: asyncio.create_task(self._outcome(name, uid, once=not limit)) for name, uid in uids.items()}
        try:
            _, late = await asyncio.wait(tasks.values(), timeout=seconds)
        finally:
            for task in tasks.values():
                task.cancel()
        for name, task in tasks.items():
            if task in late:
                what = f"not ended within {_words(limit)}" if limit else f"nobody could tell within {_ONE_LOOK:g} s"
                click.echo(f"{called(name)}: {what}", err=True)
        code = TIMED_OUT if limit else UNCLEAR
        return worst(code if task in late else task.result() for task in tasks.values())

    async def _outcome(self, name: str, uid: str | None, *, once: bool) -> int:
        scope = Scope(namespace=self._cluster.namespace, name=name)
        try:
            async with aclosing(follow(self._cluster, scope, trouble=self._trouble)) as states:
                async for state in states:
                    body = state.get((self._cluster.namespace, name))
                    if body is None:
                        what = "there is no such watch" if uid is None else "was deleted before it had ended"
                        click.echo(f"{called(name)}: {what}", err=True)
                        return UNCLEAR
                    watch = Watch.from_body(body)
                    if uid not in (None, watch.uid):
                        click.echo(f"{called(name)}: was deleted, and made anew, before it had ended", err=True)
                        return UNCLEAR
                    uid = watch.uid
                    code = exit_code(body, warnings_as_errors=self._warnings_as_errors)
                    if code is not None:
                        _conclude(watch)
                        return code
                    self._tell(body, watch)
                    if once:
                        return TIMED_OUT
        except PluginError as error:
            click.echo(f"{called(name)}: {error}", err=True)
        return UNCLEAR

    def _tell(self, body: Body, watch: Watch) -> None:
        for line in self._lines.changes(body, now=datetime.now(UTC)):
            click.echo(line, err=True)
        if watch.spec.get("suspend") is True and watch.uid not in self._suspended:
            self._suspended.add(watch.uid)
            click.echo(
                f"{called(watch.name)}: is suspended, and will not end before somebody sets spec.suspend to false",
                err=True,
            )

    def _trouble(self, error: PluginError) -> None:
        if str(error) not in self._troubles:
            self._troubles.add(str(error))
            click.echo(f"{error}; trying again", err=True)


def _conclude(watch: Watch) -> None:
    status = watch.status_for_target
    click.echo(sanitize(f"{called(watch.name)}: {status.get('phase')}: {status.get('message')}", _LINE))


def _words(limit: timedelta) -> str:
    return f"{limit.total_seconds():g} s" if limit else "this one look"
