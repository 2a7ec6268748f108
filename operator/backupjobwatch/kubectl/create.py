"""``kubectl bjw create``."""

from __future__ import annotations

import math
import sys
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import click

from backupjobwatch.domain.api.spec import POLL_INTERVALS, RANGES, parse_spec
from backupjobwatch.domain.jobs.payloads import mapping
from backupjobwatch.errors import InvalidSpec
from backupjobwatch.kubectl.cluster import Cluster
from backupjobwatch.kubectl.errors import Refused
from backupjobwatch.kubectl.manifest import called, manifest, write
from backupjobwatch.kubectl.options import DurationType, cluster_options, output_option, runs_async
from backupjobwatch.kubectl.sources import item_source, read_source
from backupjobwatch.kubectl.wait import Waiting, timeout_option, warnings_option
from backupjobwatch.terminal.azure_output import decode
from backupjobwatch.terminal.option_groups import item_options, vault_options
from backupjobwatch.terminal.option_names import with_option_names
from backupjobwatch.terminal.targets import InvalidTarget

if TYPE_CHECKING:
    from datetime import timedelta

    from backupjobwatch.kubectl.access import Access
    from backupjobwatch.kubectl.sources import Source
    from backupjobwatch.terminal.targets import Item, Vault

_STDIN: Final = "-"
_MOST: Final = 1 << 20
"""Maximum number of bytes read from standard input. The JSON of one job has a few kilobytes."""
_DRY_RUNS: Final = ("none", "client", "server")


class _Create(click.Command):
    """Reads ``--dry-run`` without a value as ``--dry-run=client``, so that it does not take SOURCE as its value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments."""
        end = args.index("--") if "--" in args else len(args)
        written = list(args)
        for index, word in enumerate(args[:end]):
            if word == "--dry-run" and (index + 1 == len(args) or args[index + 1] not in _DRY_RUNS):
                written[index] = "--dry-run=client"
        return super().parse_args(ctx, written)


@click.command(cls=_Create, short_help="Create a watch of a job, by its ID, its operation or its item.")
@click.argument("source", required=False)
@click.option(
    "--name", metavar="NAME", help="Name of the watch. Default: the item or the vault, and the first digits of the ID."
)
@vault_options
@item_options
@click.option("--operation-id", metavar="ID", help="ID of the operation that started the job, in place of SOURCE.")
@click.option(
    "--service-account-name",
    metavar="NAME",
    help="Use the identity of this ServiceAccount in the watch's namespace to access Azure.",
)
@click.option(
    "--secret-name", metavar="NAME", help="Use the credentials in this Secret in the watch's namespace to access Azure."
)
@click.option(
    "--revision",
    metavar="TEXT",
    help="Free text, such as a release. Editing it later restarts the watch. Excludes --started-after.",
)
@click.option(
    "--completed-with-warnings",
    type=click.Choice(["Failed", "Succeeded"]),
    help="Phase of the watch if the job completes with warnings. Default: Failed.",
)
@click.option(
    "--active-deadline", type=DurationType(), help="Time after which the watch fails, such as 4h. Default: 48h."
)
@click.option("--poll-interval", type=click.Choice([*POLL_INTERVALS]), help="Time between two polls. Default: 30s.")
@click.option(
    "--dry-run",
    type=click.Choice(_DRY_RUNS),
    default="none",
    help="client: only print the watch. server: have the API server validate it, and do not store it. Without a value: "
    "client.",
)
@output_option
@click.option("--wait", "waits", is_flag=True, help="Wait for the job to end, like `kubectl bjw wait`.")
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
    item: Item | None,
    operation_id: str | None,
    name: str | None,
    dry_run: str,
    output: str | None,
    waits: bool,
    limit: timedelta,
    warnings_as_errors: bool,
    **options: Any,
) -> None:
    """Create a watch of a job, from what Azure's tools return.

    SOURCE is the job's resource ID, the URL of its page in the portal, or the URL of the operation that started it
    (Azure-AsyncOperation or Location). An ID alone needs the options of its vault. If SOURCE is - or missing, it is read
    from standard input: one line, or JSON as `az` and `ConvertTo-Json` print it. With --item, the watch follows
    the item's next job. With --on-demand, the operator requests a backup of the item first.

    \b
    Examples:
      az backup protection backup-now … --output json | kubectl bjw create --wait --timeout 4h
      kubectl bjw create "$JOB_ID" --name nightly-backup
      kubectl bjw create "$OPERATION_URL" --service-account-name backup-reader
      kubectl bjw create --item vm-1 --subscription "$SUBSCRIPTION" --resource-group rg-backup --vault-name rsv-prod
      kubectl bjw create "$JOB_ID" --dry-run=client --output yaml > watch.yaml
    """  # noqa: D301 -- \b keeps click from wrapping the paragraph
    if waits and dry_run != "none":
        raise click.UsageError("--wait needs a watch that exists. Remove --dry-run or --wait.")
    sources = {ctx.get_parameter_source(option) for option in ("limit", "warnings_as_errors")}
    if not waits and click.core.ParameterSource.COMMANDLINE in sources:
        raise click.UsageError("--timeout and --warnings-as-errors need --wait. Add --wait.")
    fields = _fields(options)
    job = _source(source, operation_id, item, vault)
    body = manifest(job, name=name, namespace=access.namespace, options=fields)
    try:
        parse_spec(body["spec"])
    except InvalidSpec as error:
        raise click.UsageError(f"{with_option_names(str(error))}.") from error
    if dry_run == "client":
        _say(body, output, " (dry run)")
        return
    async with Cluster.connect(access) as cluster:
        try:
            created = await cluster.create(cluster.namespace, body, dry_run=dry_run == "server")
        except Refused as error:
            if error.code != HTTPStatus.CONFLICT:
                raise
            taken = body["metadata"]["name"]
            raise click.ClickException(
                f"the watch {taken} already exists in the namespace {cluster.namespace}. Wait for it with "
                f"`kubectl bjw wait {taken}`, or choose another name with --name."
            ) from error
        _say(created, output, " (server dry run)" if dry_run == "server" else "")
        if waits:
            metadata = created["metadata"]
            waiting = Waiting(cluster, warnings_as_errors=warnings_as_errors)
            ctx.exit(await waiting.run({metadata["name"]: metadata["uid"]}, limit))


def _source(text: str | None, operation_id: str | None, item: Item | None, vault: Vault | None) -> Source:
    item_option = "--on-demand" if item is not None and "onDemand" in item else "--item"
    given = {"SOURCE": text, "--operation-id": operation_id, item_option: item}
    named = [option for option, value in given.items() if value is not None]
    if len(named) > 1:
        raise click.UsageError(f"{' and '.join(named)} each identify a job. Use one of them.")
    try:
        if item is not None:
            return item_source(item, vault)
        if operation_id is not None:
            return read_source(operation_id, vault, operation=True)
        return read_source(_piped(text) if text in (None, _STDIN) else str(text), vault)
    except InvalidTarget as error:
        raise click.UsageError(str(error)) from error


def _piped(text: str | None) -> str:
    if text is None and sys.stdin.isatty():
        raise click.UsageError(
            "SOURCE is missing. Pass a job's resource ID, the URL of the operation that started it, or --item."
        )
    piped = decode(sys.stdin.buffer.read(_MOST))
    if not piped.strip():
        raise click.UsageError(
            "Standard input is empty. Check the command before the pipe, or pass a job's resource ID as SOURCE."
        )
    return piped


def _fields(options: dict[str, Any]) -> dict[str, Any]:
    identity = {"serviceAccountName": options["service_account_name"], "secretName": options["secret_name"]}
    chosen = {field: name for field, name in identity.items() if name}
    if len(chosen) > 1:
        raise click.UsageError("--service-account-name and --secret-name exclude each other. Remove one of them.")
    deadline = options["active_deadline"]
    seconds = None if deadline is None else math.ceil(deadline.total_seconds())
    least, most = RANGES["activeDeadlineSeconds"]
    if seconds is not None and not least <= seconds <= most:
        raise click.UsageError(f"--active-deadline must be from {least}s to {most // 3600}h.")
    return {
        "identity": chosen or None,
        "revision": options["revision"],
        "completedWithWarnings": options["completed_with_warnings"],
        "activeDeadlineSeconds": seconds,
        "pollInterval": options["poll_interval"],
    }


def _say(body: dict[str, Any], output: str | None, how: str) -> None:
    if output:
        click.echo(write([body], output, as_list=False), nl=False)
    else:
        click.echo(f"{called(mapping(body['metadata'])['name'])} created{how}")
