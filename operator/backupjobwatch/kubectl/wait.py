"""``kubectl bjw wait``."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.text import sanitize
from backupjobwatch.kubectl.cluster import Cluster, Scope
from backupjobwatch.kubectl.errors import NothingSelected, PluginError
from backupjobwatch.kubectl.follow import follow
from backupjobwatch.kubectl.manifest import called
from backupjobwatch.kubectl.options import WEEK, DurationType, cluster_options, runs_async
from backupjobwatch.kubectl.selection import selection_options
from backupjobwatch.terminal.exit_codes import TIMED_OUT, UNCLEAR, exit_code, worst
from backupjobwatch.terminal.plain import PlainLines
from backupjobwatch.terminal.rows import Row

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from backupjobwatch.kubectl.access import Access
    from backupjobwatch.kubectl.cluster import Body
    from backupjobwatch.kubectl.selection import Selection

_ONE_LOOK: Final = 15.0
"""Seconds that a check with ``--timeout 0`` may take."""

_LINE: Final = 2048

timeout_option = click.option(
    "--timeout",
    "limit",
    type=DurationType(),
    default=WEEK,
    show_default="a week",
    help="Time to wait: 30s, 90m, 4h. 0 checks once.",
)
warnings_option = click.option(
    "--warnings-as-errors",
    is_flag=True,
    help="Exit with 2 if a job completed with warnings, even if its watch accepts warnings.",
)


@click.command(short_help="Wait for jobs to end; the exit code is the outcome.")
@selection_options
@timeout_option
@click.option(
    "--wait-for-creation",
    is_flag=True,
    help="Also wait for watches that do not exist yet. Default: a missing watch is an error.",
)
@warnings_option
@cluster_options
@click.pass_context
@runs_async
async def wait(
    ctx: click.Context,
    /,
    *,
    access: Access,
    selection: Selection,
    limit: timedelta,
    wait_for_creation: bool,
    warnings_as_errors: bool,
) -> None:
    """Wait until the jobs of watches have ended, successfully or not. The exit code is the outcome.

    \b
      0    succeeded
      1    failed, or was cancelled
      2    completed with warnings, and warnings count as failure
      3    unknown: watch not found or deleted, no access, wrong usage
      124  timed out
      130  interrupted (143 by SIGTERM)

    NAME is a name, bjw/NAME or backupjobwatch.azurebackup.dev/NAME; - reads names from standard input. With several
    watches the most severe code counts, in this order: 1, 3, 124, 2, 0. Only a status of the current spec counts.
    Progress goes to standard error, the result to standard output.

    \b
    Examples:
      kubectl bjw wait nightly-backup --timeout 4h && helm upgrade payroll ./payroll
      kubectl bjw wait db files --warnings-as-errors
      kubectl bjw wait --selector team=payroll --timeout 4h
      kubectl get bjw --selector stage=prod --output name | kubectl bjw wait -
      kubectl bjw wait nightly-backup --timeout 0
    """  # noqa: D301 -- \b keeps click from wrapping the paragraph
    if wait_for_creation and not limit:
        raise click.UsageError("--wait-for-creation needs a --timeout greater than 0.")
    if wait_for_creation and not selection.names:
        raise click.UsageError(
            "--wait-for-creation needs names: how many watches a selector will match is unknown. Pass NAME."
        )
    async with Cluster.connect(access) as cluster:
        waiting = Waiting(cluster, warnings_as_errors=warnings_as_errors, wait_for_creation=wait_for_creation)
        if selection.names:
            ctx.exit(await waiting.run(dict.fromkeys(selection.names), limit))
        ctx.exit(await waiting.run_selected(selection, limit))


class Waiting:
    """Waits for watches of the cluster's current namespace."""

    def __init__(self, cluster: Cluster, *, warnings_as_errors: bool, wait_for_creation: bool = False) -> None:
        self._cluster = cluster
        self._warnings_as_errors = warnings_as_errors
        self._wait_for_creation = wait_for_creation
        self._lines = PlainLines()
        self._printed: set[str] = set()
        self._codes: dict[str, int] = {}
        """Exit codes of the watches that have ended, by name."""
        self._uids: dict[str, str | None] = {}

    async def run(self, uids: Mapping[str, str | None], limit: timedelta) -> int:
        """Wait for the watches with these names (and UIDs, if known). Return the exit code."""
        self._uids = dict(uids)
        scopes = {name: Scope(namespace=self._cluster.namespace, name=name) for name in uids}
        await self._within(limit, [self._follow(scope, [name], limit) for name, scope in scopes.items()])
        return self._result(limit)

    async def run_selected(self, selection: Selection, limit: timedelta) -> int:
        """Wait for the watches that *selection* matches at the start. Return the exit code.

        One stream of the whole namespace serves all of them. A stream with the selector would report a watch whose labels
        are edited as deleted.
        """
        await self._within(limit, [self._follow_selected(selection, limit)])
        if not self._uids:
            click.echo(f"Error: the watches could not be listed within {_words(limit)}", err=True)
            return TIMED_OUT if limit else UNCLEAR
        return self._result(limit)

    async def _within(self, limit: timedelta, following: Sequence[Coroutine[Any, Any, None]]) -> None:
        tasks = [asyncio.create_task(each) for each in following]
        try:
            done, _ = await asyncio.wait(tasks, timeout=limit.total_seconds() or _ONE_LOOK)
        finally:
            for task in tasks:
                task.cancel()
        for task in done:
            task.result()

    def _result(self, limit: timedelta) -> int:
        for name, uid in self._uids.items():
            if name not in self._codes:
                what = "not created" if uid is None and self._wait_for_creation else "not ended"
                click.echo(f"{called(name)}: {what if limit else 'no answer'} within {_words(limit)}", err=True)
        late = TIMED_OUT if limit else UNCLEAR
        return worst(self._codes.get(name, late) for name in self._uids)

    async def _follow_selected(self, selection: Selection, limit: timedelta) -> None:
        namespace = self._cluster.namespace
        async with aclosing(follow(self._cluster, selection.scope(namespace), trouble=self._trouble)) as states:
            state = await anext(states)
        if not state:
            raise NothingSelected(selection.nothing(namespace))
        self._uids = {name: Watch.from_body(body).uid for (_, name), body in sorted(state.items())}
        await self._follow(Scope(namespace=namespace), list(self._uids), limit)

    async def _follow(self, scope: Scope, names: Sequence[str], limit: timedelta) -> None:
        """Follow the watches in *scope* until those with these *names* have exit codes."""
        waiting = set(names)
        try:
            async with aclosing(follow(self._cluster, scope, trouble=self._trouble)) as states:
                async for state in states:
                    for name in sorted(waiting):
                        code = self._outcome(name, state.get((self._cluster.namespace, name)))
                        if code is None and not limit:
                            code = TIMED_OUT
                        if code is not None:
                            self._codes[name] = code
                            waiting.remove(name)
                    if not waiting:
                        return
        except PluginError as error:
            for name in sorted(waiting):
                click.echo(f"{called(name)}: {error}", err=True)
                self._codes[name] = UNCLEAR

    def _outcome(self, name: str, body: Body | None) -> int | None:
        """Return the exit code of one watch; None while it has no verdict. Print what has changed."""
        uid = self._uids[name]
        if body is None:
            return self._missing(name, uid)
        watch = Watch.from_body(body)
        if uid not in (None, watch.uid):
            click.echo(f"{called(name)}: was deleted and recreated before it had ended", err=True)
            return UNCLEAR
        self._uids[name] = watch.uid
        code = exit_code(body, warnings_as_errors=self._warnings_as_errors)
        if code is None:
            self._tell(body, watch)
        else:
            status = watch.status_for_target
            click.echo(sanitize(f"{called(name)}: {status.get('phase')}: {status.get('message')}", _LINE))
        return code

    def _missing(self, name: str, uid: str | None) -> int | None:
        if uid is not None:
            click.echo(f"{called(name)}: was deleted before it had ended", err=True)
            return UNCLEAR
        where = f"{called(name)}: not found in the namespace {self._cluster.namespace}"
        if not self._wait_for_creation:
            click.echo(f"{where}. Check the name, or pass --wait-for-creation.", err=True)
            return UNCLEAR
        self._once(f"{where}. Waiting for its creation.")
        return None

    def _tell(self, body: Body, watch: Watch) -> None:
        now = datetime.now(UTC)
        for line in self._lines.changes(Row.from_body(body, now=now), now=now):
            click.echo(line, err=True)
        if watch.spec.get("suspend") is True:
            self._once(f"{called(watch.name)}: is suspended. It does not end until spec.suspend is set to false.")

    def _trouble(self, error: PluginError) -> None:
        self._once(f"{error}; retrying")

    def _once(self, message: str) -> None:
        if message not in self._printed:
            self._printed.add(message)
            click.echo(message, err=True)


def _words(limit: timedelta) -> str:
    return f"{limit.total_seconds() or _ONE_LOOK:g} s"
