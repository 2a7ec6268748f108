"""``kubectl bjw list``."""

from __future__ import annotations

from contextlib import aclosing, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from backupjobwatch.domain.jobs.times import format_time
from backupjobwatch.kubectl.cluster import Cluster, Scope
from backupjobwatch.kubectl.follow import follow
from backupjobwatch.kubectl.manifest import write
from backupjobwatch.kubectl.options import cluster_options, output_option, runs_async
from backupjobwatch.kubectl.table import WatchTable, in_order, plain
from backupjobwatch.terminal.plain import PlainLines
from backupjobwatch.terminal.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.console import RenderableType

    from backupjobwatch.kubectl.access import Access
    from backupjobwatch.kubectl.cluster import Body
    from backupjobwatch.kubectl.errors import PluginError
    from backupjobwatch.kubectl.follow import Key


@click.command("list")
@click.option("-A", "--all-namespaces", is_flag=True, help="List the watches of all namespaces.")
@click.option("-l", "--selector", help="Select watches by their labels: team=payroll,stage!=test.")
@click.option("-w", "--watch", is_flag=True, help="Show changes until Ctrl-C.")
@output_option
@cluster_options
@runs_async
async def list_watches(
    *, access: Access, all_namespaces: bool, selector: str | None, watch: bool, output: str | None
) -> None:
    """List watches with their phases, jobs, progress and durations.

    At a terminal, phases have colors unless NO_COLOR is set, and --watch refreshes the table in place. If a line does not
    fit, these columns are hidden, in this order: AGE, STARTED, OPERATION, PROGRESS, ITEM, DURATION. In a pipe or a file
    nothing is hidden or cut, and --watch writes one line per change.

    \b
    Examples:
      kubectl bjw list
      kubectl bjw list --all-namespaces --watch
      kubectl bjw list --selector team=payroll --output json
    """  # noqa: D301 -- \b keeps click from wrapping the paragraph
    if watch and output:
        raise click.UsageError("--watch shows a table. Remove --output or --watch.")
    async with Cluster.connect(access) as cluster:
        scope = Scope(namespace=None if all_namespaces else cluster.namespace, selector=selector)
        if watch:
            await _watch(cluster, scope)
            return
        bodies = in_order((await cluster.all_of(scope)).items)
    if output:
        click.echo(write(bodies, output, as_list=True), nl=False)
    elif bodies:
        _show(bodies, namespaces=all_namespaces)
    else:
        click.echo(nothing(scope), err=True)


def nothing(scope: Scope) -> str:
    """Return kubectl's message for an empty list."""
    return f"No resources found in {scope.namespace} namespace." if scope.namespace else "No resources found"


def _show(bodies: Iterable[Mapping[str, Any]], *, namespaces: bool) -> None:
    console, table = Console(), WatchTable(bodies, now=datetime.now(UTC), namespaces=namespaces)
    if console.is_terminal:
        console.print(table)
    else:
        click.echo(plain(table.heads, table.rows), nl=False)


async def _watch(cluster: Cluster, scope: Scope) -> None:
    console = Console()
    is_live = console.is_terminal and not console.is_dumb_terminal
    teller: _Screen | _Lines = _Screen(scope) if is_live else _Lines(scope)
    shown = Live(teller, console=console, refresh_per_second=2) if isinstance(teller, _Screen) else nullcontext()
    with shown:
        async with aclosing(follow(cluster, scope, trouble=teller.trouble)) as states:
            async for state in states:
                teller.show(state)


class _Screen:
    """A table that is redrawn in place twice a second, because durations grow between changes."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._state: Mapping[Key, Body] | None = None
        self._trouble = ""

    def show(self, state: Mapping[Key, Body]) -> None:
        self._state, self._trouble = state, ""

    def trouble(self, error: PluginError) -> None:
        self._trouble = f"{error}; retrying, the table may be outdated"

    def __rich__(self) -> RenderableType:
        parts: list[RenderableType] = []
        if self._state:
            namespaces = self._scope.namespace is None
            parts += [WatchTable(in_order(self._state.values()), now=datetime.now(UTC), namespaces=namespaces)]
        elif self._state is not None:
            parts += [Text(nothing(self._scope))]
        return Group(*parts, *([Text(self._trouble, style="yellow")] if self._trouble else ()))


class _Lines:
    """One line per change."""

    def __init__(self, scope: Scope) -> None:
        self._namespaces = scope.namespace is None
        self._lines = PlainLines()
        self._known: Mapping[Key, Body] = {}

    def show(self, state: Mapping[Key, Body]) -> None:
        now = datetime.now(UTC)
        for key in sorted(self._known.keys() - state.keys()):
            click.echo(f"{format_time(now)}  {self._name(key)}  deleted")
        for key, body in sorted(state.items()):
            for line in self._lines.changes(Row.from_body(body, now=now), now=now, key=self._name(key)):
                click.echo(line)
        self._known = state

    def trouble(self, error: PluginError) -> None:
        click.echo(f"{error}; retrying", err=True)

    def _name(self, key: Key) -> str:
        return "/".join(key) if self._namespaces else key[1]
