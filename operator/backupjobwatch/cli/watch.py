"""``backupjobwatch watch``: follows jobs from a terminal or a script, without a cluster."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any, Final

import click

from backupjobwatch.cli.settings import read_settings
from backupjobwatch.constants import API_VERSION, KIND
from backupjobwatch.domain.api.spec import POLL_INTERVALS, RANGES
from backupjobwatch.domain.api.target import parse_source
from backupjobwatch.domain.jobs.durations import parse_go_duration, whole_seconds
from backupjobwatch.terminal.azure_output import decode, split_jobs
from backupjobwatch.terminal.exit_codes import UNCLEAR
from backupjobwatch.terminal.targets import InvalidTarget, NeedsVault, name_of, read_target
from backupjobwatch.terminal.vault_options import vault_options
from backupjobwatch.terminal.watching import watch_to_the_end

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from backupjobwatch.domain.api.target import JobSource
    from backupjobwatch.settings import Settings
    from backupjobwatch.terminal.targets import Vault

_LONGEST: Final = RANGES["activeDeadlineSeconds"][1]


class _Duration(click.ParamType[int]):
    """Whole seconds within a field's range, written as Go writes durations."""

    name = "duration"

    def __init__(self, field: str) -> None:
        self._least, self._most = RANGES[field]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        try:
            seconds = whole_seconds(parse_go_duration(str(value)))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not self._least <= seconds <= self._most:
            self.fail(f"write a duration from {self._least}s to {self._most // 3600}h", param, ctx)
        return seconds


@click.command()
@click.argument("jobs", nargs=-1, metavar="[JOB]...")
@click.option("--operation-id", "operations", multiple=True, help="An operation that started a job. May be repeated.")
@vault_options
@click.option(
    "--timeout",
    type=_Duration("activeDeadlineSeconds"),
    default=f"{_LONGEST}s",
    help="Give up after this, such as 2h30m (spec.activeDeadlineSeconds). Default: a year, the longest.",
)
@click.option(
    "--interval",
    type=click.Choice(list(POLL_INTERVALS)),
    default="30s",
    show_default=True,
    help="How often Azure is asked (spec.pollInterval).",
)
@click.option(
    "--grace",
    type=_Duration("graceSeconds"),
    default="10m",
    show_default=True,
    help="How long a job may be missing, or access refused, three times at least (spec.graceSeconds).",
)
@click.option("--warnings-as-errors", is_flag=True, help="Take CompletedWithWarnings for failure: exit code 2.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "yaml"]),
    default="text",
    show_default=True,
    help="json and yaml print what it came to, as BackupJobWatch, and tell how it goes on standard error.",
)
@click.pass_context
def watch(
    ctx: click.Context,
    *,
    jobs: tuple[str, ...],
    operations: tuple[str, ...],
    vault: Vault | None,
    timeout: int,
    interval: str,
    grace: int,
    warnings_as_errors: bool,
    output: Any,
) -> None:
    """Follow backup and restore jobs to their ends: no cluster, only access to Azure.

    JOB is a job's resource ID, its GUID together with the options that name the vault, or the URL of the operation
    that started it (Azure-AsyncOperation). `-` reads such words from standard input, one a line.

    Azure is asked as by the operator, with its settings and its rules. You are who `az login` says, or the service
    principal or workload identity of the usual AZURE_ variables.

    \b
    Exit codes:
      0    all succeeded
      1    one failed or was cancelled
      2    one has warnings, and --warnings-as-errors is given
      3    cannot tell: a job is not there, access is refused; or the command line is wrong
      124  one has not ended in time (--timeout)
      130  Ctrl-C

    \b
    Examples:
      backupjobwatch watch "$JOB_ID" --timeout 2h
      backupjobwatch watch -g rg-backup -v rsv-prod -s "$SUBSCRIPTION" 41f3e94b-ae6b-4a20-b422-65abfcaf03e5
      backupjobwatch watch --output json "$JOB_ID" > job.json
      az backup job list -g rg-backup -v rsv-prod --status InProgress --query '[].id' --output tsv | backupjobwatch watch -
    """  # noqa: D301 -- click's mark for a paragraph to be left as it is
    settings = read_settings(exit_code=UNCLEAR)
    common = {
        "pollInterval": interval,
        "activeDeadlineSeconds": timeout,
        "graceSeconds": grace,
        "completedWithWarnings": "Failed" if warnings_as_errors else "Succeeded",
    }
    bodies = [
        {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name_of(spec)}, "spec": {**spec, **common}}
        for spec in _targets(settings, [*_words(jobs)], operations, vault)
    ]
    logging.disable()  # what matters of it is in the statuses, and anything else breaks the view
    try:
        code = watch_to_the_end(bodies, settings, output=output)
    except Exception:  # noqa: BLE001 -- a defect: Python's own exit code says that the job failed
        traceback.print_exc()
        code = UNCLEAR
    ctx.exit(code)


def _words(jobs: Iterable[str]) -> Iterator[str]:
    for job in jobs:
        if job == "-":
            try:
                yield from split_jobs(decode(sys.stdin.buffer.read() if sys.stdin else b""))
            except ValueError as error:
                raise click.UsageError(f"Standard input: {error}") from error
        else:
            yield job


def _targets(
    settings: Settings, jobs: Iterable[str], operations: Iterable[str], vault: Vault | None
) -> list[dict[str, Any]]:
    """The spec of each job that is named, once."""
    named = [*((job, False) for job in jobs), *((operation, True) for operation in operations)]
    specs: dict[JobSource, dict[str, Any]] = {}
    for text, is_operation in named:
        try:
            spec = read_target(text, endpoint=settings.azure_endpoint, vault=vault, operation=is_operation)
        except NeedsVault as error:
            raise click.UsageError(str(error)) from error
        except InvalidTarget as error:
            raise click.BadParameter(str(error), param_hint="--operation-id" if is_operation else "JOB") from error
        specs.setdefault(parse_source(spec), spec)
    if not specs:
        raise click.UsageError(
            "Name at least one job: its resource ID, or its GUID with the options that name the vault."
        )
    return list(specs.values())
