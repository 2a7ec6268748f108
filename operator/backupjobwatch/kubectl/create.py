"""``kubectl bjw create``."""

from __future__ import annotations

import sys
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import click

from backupjobwatch.domain.api.spec import POLL_INTERVALS, parse_spec
from backupjobwatch.domain.jobs.payloads import mapping
from backupjobwatch.errors import InvalidSpec
from backupjobwatch.kubectl.cluster import Cluster
from backupjobwatch.kubectl.errors import Refused
from backupjobwatch.kubectl.manifest import called, manifest, write
from backupjobwatch.kubectl.options import DurationType, cluster_options, output_option, runs_async, seconds
from backupjobwatch.kubectl.sources import read_source
from backupjobwatch.kubectl.wait import Waiting, timeout_option, warnings_option
from backupjobwatch.terminal.targets import InvalidTarget
from backupjobwatch.terminal.vault_options import vault_options

if TYPE_CHECKING:
    from datetime import timedelta

    from backupjobwatch.kubectl.access import Access
    from backupjobwatch.kubectl.sources import Source
    from backupjobwatch.terminal.targets import Vault

_STDIN: Final = "-"
_MOST: Final = 1 << 20
"""Bytes that are read of standard input: what names a job has some kilobytes."""


@click.command(short_help="Have a job watched, by its ID or its operation's URL.")
@click.argument("source", required=False)
@click.option(
    "--name", metavar="NAME", help="Of the watch. Default: the vault's or the item's, and the beginning of the id."
)
@vault_options
@click.option("--operation-id", metavar="ID", help="In place of SOURCE: the id alone of the operation that started it.")
@click.option(
    "--service-account-name",
    metavar="NAME",
    help="Ask Azure with the identity of this ServiceAccount of the namespace.",
)
@click.option("--secret-name", metavar="NAME", help="Ask Azure with the credentials in this Secret of the namespace.")
@click.option("--completed-with-warnings", type=click.Choice(["Failed", "Succeeded"]), help="What that counts as.")
@click.option("--active-deadline", type=DurationType(), help="Fail where the job has not ended by then. Default: 48h.")
@click.option("--poll-interval", type=click.Choice([*POLL_INTERVALS]), help="How often Azure is asked. Default: 30s.")
@click.option("--dry-run", type=click.Choice(["none", "client", "server"]), default="none", help="Create nothing.")
@output_option()
@click.option("--wait", "waits", is_flag=True, help="Then do as `kubectl bjw wait` does, with its exit codes.")
@timeout_option
@warnings_option
@cluster_options
@click.pass_context
@runs_async
async def create(
    ctx: click.Context,
    /,
    *,
    access: Access,
    source: str | None,
    vault: Vault | None,
    operation_id: str | None,
    name: str | None,
    dry_run: str,
    output: str | None,
    waits: bool,
    limit: timedelta,
    warnings_as_errors: bool,
    **options: Any,
) -> None:
    """Create a watch of a job, by what you have in hand of it.

    SOURCE is a job's resource ID, the URL of the operation that started it (Azure-AsyncOperation or Location; what
    signs it is left out), or an id alone with the options that say of which vault. Where it is - or left out, it is read
    from standard input: a line, or JSON as `az … --output json` prints it.

    \b
    Examples:
      az backup protection backup-now … --output json | kubectl bjw create --wait --timeout 4h
      kubectl bjw create "$JOB_ID" --name nightly-backup
      kubectl bjw create "$OPERATION_URL" --service-account-name backup-reader
      kubectl bjw create "$JOB_ID" --dry-run client --output yaml > watch.yaml
    """  # noqa: D301 -- click's mark for a paragraph to be left as it is
    if waits and dry_run != "none":
        raise click.UsageError("--wait needs a watch that exists: leave out --dry-run")
    if not waits and any(_is_given(ctx, option) for option in ("limit", "warnings_as_errors")):
        raise click.UsageError("--timeout and --warnings-as-errors are for --wait: add it")
    job = _source(source, vault, operation_id)
    body = manifest(job, name=name, namespace=access.namespace, options=_fields(options))
    try:
        parse_spec(body["spec"])
    except InvalidSpec as error:
        raise click.UsageError(str(error)) from error
    if dry_run == "client":
        _say(body, output, " (dry run)")
        return
    async with await Cluster.connect(access) as cluster:
        try:
            created = await cluster.create(cluster.namespace, body, dry_run=dry_run == "server")
        except Refused as error:
            if error.code != HTTPStatus.CONFLICT:
                raise
            taken = body["metadata"]["name"]
            raise click.ClickException(
                f"there is a watch {taken} in the namespace {cluster.namespace} already: "
                f"`kubectl bjw wait {taken}` waits for it, --name gives this one another name"
            ) from error
        _say(created, output, " (server dry run)" if dry_run == "server" else "")
        if waits:
            metadata = created["metadata"]
            waiting = Waiting(cluster, warnings_as_errors=warnings_as_errors)
            ctx.exit(await waiting.run({metadata["name"]: metadata["uid"]}, limit))


def _source(text: str | None, vault: Vault | None, operation_id: str | None) -> Source:
    if operation_id is not None and text is not None:
        raise click.UsageError("SOURCE and --operation-id name a job each: leave out one of them")
    text = text if operation_id is None else operation_id
    if text is None or text == _STDIN:
        if text is None and sys.stdin.isatty():
            raise click.UsageError("Name a job: its resource ID, or the URL of the operation that started it.")
        text = sys.stdin.buffer.read(_MOST).decode(errors="replace")
    try:
        return read_source(text or "", vault, operation=operation_id is not None)
    except InvalidTarget as error:
        raise click.UsageError(str(error)) from error


def _fields(options: dict[str, Any]) -> dict[str, Any]:
    identity = {"serviceAccountName": options["service_account_name"], "secretName": options["secret_name"]}
    deadline = options["active_deadline"]
    return {
        "identity": {field: name for field, name in identity.items() if name} or None,
        "completedWithWarnings": options["completed_with_warnings"],
        "activeDeadlineSeconds": None if deadline is None else seconds(deadline),
        "pollInterval": options["poll_interval"],
    }


def _is_given(ctx: click.Context, option: str) -> bool:
    return ctx.get_parameter_source(option) is click.core.ParameterSource.COMMANDLINE


def _say(body: dict[str, Any], output: str | None, how: str) -> None:
    if output:
        click.echo(write([body], output, as_list=False), nl=False)
    else:
        click.echo(f"{called(mapping(body['metadata'])['name'])} created{how}")
