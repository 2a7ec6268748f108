"""Options that the commands share, named as in kubectl."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import click

from backupjobwatch.domain.jobs.durations import parse_go_duration
from backupjobwatch.kubectl.access import Access
from backupjobwatch.kubectl.candidates import contexts, namespaces
from backupjobwatch.kubectl.manifest import FORMATS
from backupjobwatch.terminal.option_groups import option_group

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_P = ParamSpec("_P")
_T = TypeVar("_T")

WEEK: Final = timedelta(days=7)


class DurationType(click.ParamType[timedelta]):
    """A Go duration. A negative one is a week, as in ``kubectl wait``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Convert *value* to a duration. click shows the error."""
        if isinstance(value, timedelta):
            return value
        try:
            duration = parse_go_duration(str(value))
        except ValueError as error:
            self.fail(f"{error}, got {value!r}", param, ctx)
        return duration if duration >= timedelta() else WEEK


cluster_options: Final = option_group(
    "access",
    lambda values: Access(**{each.name: values.pop(each.name) for each in fields(Access)}),
    click.option("--kubeconfig", type=click.Path(), help="Kubeconfig file. Default: KUBECONFIG, or ~/.kube/config."),
    click.option("--context", shell_complete=contexts, help="Context of the kubeconfig. Default: the current context."),
    click.option(
        "-n", "--namespace", metavar="NAME", shell_complete=namespaces, help="Namespace. Default: that of the context."
    ),
)
"""Options that select the cluster and the namespace. The command gets them as ``access``."""


output_option: Final = click.option("-o", "--output", type=click.Choice(FORMATS), help="Output format.")


def runs_async(command: Callable[_P, Coroutine[Any, Any, _T]]) -> Callable[_P, _T]:
    """Let click call a coroutine."""

    @functools.wraps(command)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        return asyncio.run(command(*args, **kwargs))

    return run
