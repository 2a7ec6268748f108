"""``backupjobwatch watch``: follows jobs from a terminal or a script, without a cluster."""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from backupjobwatch.cli.settings import read_settings
from backupjobwatch.constants import API_VERSION, KIND
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import POLL_INTERVALS, RANGES
from backupjobwatch.domain.api.target import parse_source
from backupjobwatch.domain.jobs.durations import parse_go_duration, whole_seconds
from backupjobwatch.domain.jobs.payloads import last_segment
from backupjobwatch.domain.jobs.times import format_time
from backupjobwatch.errors import InvalidSpec
from backupjobwatch.terminal.azure_output import decode, split_jobs
from backupjobwatch.terminal.exit_codes import SUCCEEDED, UNCLEAR
from backupjobwatch.terminal.interruption import force_exit_after_signal
from backupjobwatch.terminal.option_groups import item_options, vault_options
from backupjobwatch.terminal.option_names import with_option_names
from backupjobwatch.terminal.targets import InvalidTarget, NeedsVault, name_of, read_item, read_target, slug
from backupjobwatch.terminal.watching import as_text, watch_to_the_end

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from backupjobwatch.domain.api.target import JobSource
    from backupjobwatch.settings import Settings
    from backupjobwatch.terminal.targets import Item, Vault

_LONGEST: Final = RANGES["activeDeadlineSeconds"][1]
_LONGEST_NAME: Final = 200
_NO_JOB: Final = "Name at least one job: a resource ID, a URL, a GUID with the options of its vault, or --item."
_EMPTY_INPUT: Final = (
    "Standard input names no job. The command before the pipe may have failed. Add --allow-empty to accept that."
)


class _Duration(click.ParamType[int]):
    """Whole seconds within a range that ends at a full hour, written as a Go duration."""

    name = "duration"

    def __init__(self, least: int, most: int) -> None:
        self._least, self._most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the seconds."""
        try:
            seconds = whole_seconds(parse_go_duration(str(value)))
        except ValueError as error:
            self.fail(f"{error}, got {value!r}", param, ctx)
        if not self._least <= seconds <= self._most:
            self.fail(f"must be a duration from {self._least}s to {self._most // 3600}h, got {value!r}", param, ctx)
        return seconds


@click.command()
@click.argument("jobs", nargs=-1, metavar="[JOB]...")
@click.option("--operation-id", "operations", multiple=True, help="An operation that started a job. May be repeated.")
@item_options
@vault_options
@click.option(
    "--timeout",
    type=_Duration(*RANGES["activeDeadlineSeconds"]),
    default=f"{_LONGEST}s",
    help="Stop waiting after this time, such as 2h30m, with exit code 124. Default: one year.",
)
@click.option(
    "--interval",
    type=click.Choice(list(POLL_INTERVALS)),
    default="30s",
    show_default=True,
    help="How often to poll Azure.",
)
@click.option(
    "--grace",
    type=_Duration(*RANGES["graceSeconds"]),
    default="10m",
    show_default=True,
    help="How long a missing job or a refused identity is tolerated, for at least three polls.",
)
@click.option("--accept-warnings", is_flag=True, help="Exit with 0 instead of 2 if a job completes with warnings.")
@click.option("--warnings-as-errors", is_flag=True, hidden=True, help="Deprecated: this is the default.")
@click.option("--allow-empty", is_flag=True, help="Exit with 0 instead of 3 if standard input names no job.")
@click.option(
    "--log-interval",
    type=_Duration(1, 86400),
    default="5m",
    show_default=True,
    help="Print a line at least this often if the output is not a terminal.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "yaml"]),
    default="text",
    show_default=True,
    help="json and yaml print the final BackupJobWatch, and the progress on standard error.",
)
@click.pass_context
def watch(
    ctx: click.Context,
    *,
    jobs: tuple[str, ...],
    operations: tuple[str, ...],
    item: Item | None,
    vault: Vault | None,
    timeout: int,
    interval: str,
    grace: int,
    accept_warnings: bool,
    warnings_as_errors: bool,
    allow_empty: bool,
    log_interval: int,
    output: Any,
) -> None:
    """Follow backup and restore jobs until they end. Needs access to Azure, but no cluster.

    JOB is the resource ID of a job, its GUID together with the options of the vault, or the URL of the operation that
    started it (Azure-AsyncOperation). `-` reads one of these per line from standard input.

    With --on-demand, each run of the command requests one backup of the item and follows it.

    The command polls Azure with the settings and rules of the operator. It uses the service principal or workload
    identity of the AZURE_ variables, or else the identity of `az login`.

    \b
    Exit codes:
      0    all jobs succeeded
      1    a job failed or was cancelled
      2    a job completed with warnings (0 with --accept-warnings)
      3    unknown outcome: no such job, access refused, or wrong usage
      124  a job did not end in time (--timeout)
      130  interrupted by Ctrl-C (143 by SIGTERM)

    \b
    Examples:
      backupjobwatch watch "$JOB_ID" --timeout 2h
      backupjobwatch watch -g rg-backup -v rsv-prod -s "$SUBSCRIPTION" 41f3e94b-ae6b-4a20-b422-65abfcaf03e5
      backupjobwatch watch -g rg-backup -v rsv-prod -s "$SUBSCRIPTION" --item vm1 --started-after 2026-03-04T01:00:00Z
      backupjobwatch watch -g rg-backup -v rsv-prod -s "$SUBSCRIPTION" --on-demand --item vm1 --retain-for 30d
      backupjobwatch watch --output json "$JOB_ID" > job.json
      az backup job list -g rg-backup -v rsv-prod --status InProgress --query '[].id' --output tsv | backupjobwatch watch -
    """  # noqa: D301 -- click's mark for a paragraph that is not wrapped
    if accept_warnings and warnings_as_errors:
        raise click.UsageError("--accept-warnings and --warnings-as-errors exclude each other.")
    settings = read_settings(exit_code=UNCLEAR)
    common = {
        "pollInterval": interval,
        "activeDeadlineSeconds": timeout,
        "graceSeconds": grace,
        "completedWithWarnings": "Succeeded" if accept_warnings else "Failed",
    }
    specs = _targets(settings, [*_words(jobs, allow_empty=allow_empty)], operations, vault)
    bodies = [_body(name_of(spec), {**spec, **common}) for spec in specs]
    if item is not None:
        bodies.append(_on_demand(item, vault, common) if "onDemand" in item else _latest(item, vault, common))
    if not bodies and "-" not in jobs:
        raise click.UsageError(_NO_JOB)
    if not bodies:
        click.echo("Standard input names no job.", err=True)
        click.echo("" if output == "text" else as_text([], output), nl=False)
        ctx.exit(SUCCEEDED)
    logging.disable()  # the statuses report all problems, and log lines would break the live view
    try:
        code = watch_to_the_end(bodies, settings, output=output, log_interval=log_interval)
    except Exception:  # noqa: BLE001 -- a defect: Python's own exit code would mean that the job failed
        traceback.print_exc()
        code = UNCLEAR
    ctx.exit(code)


def _words(jobs: Iterable[str], *, allow_empty: bool) -> Iterator[str]:
    for job in dict.fromkeys(jobs):  # standard input can be read only once
        if job != "-":
            yield job
            continue
        force_exit_after_signal()  # until the work begins, which has its own report
        try:
            piped = split_jobs(decode(sys.stdin.buffer.read() if sys.stdin else b""))
        except ValueError as error:
            raise click.UsageError(f"Standard input: {error}") from error
        if not piped and not allow_empty:
            raise click.UsageError(_EMPTY_INPUT)
        yield from piped


def _targets(
    settings: Settings, jobs: Iterable[str], operations: Iterable[str], vault: Vault | None
) -> list[dict[str, Any]]:
    """Return the specs of the named jobs, without duplicates."""
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
    return list(specs.values())


def _latest(item: Item, vault: Vault | None, common: dict[str, Any]) -> dict[str, Any]:
    """Return the watch of the first job of an item."""
    if vault is None:
        raise click.UsageError("--item requires --vault-name, --resource-group and --subscription.")
    now = datetime.now(UTC)
    start = {} if "completedWithin" in item["latest"] else {"startedAfter": format_time(now)}
    latest = {"operation": "Backup", **start, **item["latest"]}
    name = slug(f"{latest['item']}-{latest['operation']}", _LONGEST_NAME)
    body = _body(name or "latest", {"vault": vault, "latest": latest, **common})
    body["metadata"]["creationTimestamp"] = format_time(now)
    spec = Watch.from_body(body).spec_at(now)
    if isinstance(spec, InvalidSpec):
        raise click.UsageError(f"{with_option_names(str(spec))}.")
    return body


def _on_demand(item: Item, vault: Vault | None, common: dict[str, Any]) -> dict[str, Any]:
    """Return the watch that requests a backup."""
    try:
        spec = read_item(item, vault)
    except InvalidTarget as error:
        raise click.UsageError(str(error)) from error
    fields = item["onDemand"]
    title = fields.get("item") or last_segment(fields["protectedItemId"])
    return _body(slug(f"{title}-backup", _LONGEST_NAME), {**spec, **common})


def _body(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec}
