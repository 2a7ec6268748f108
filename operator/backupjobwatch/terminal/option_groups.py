"""Groups of options: a decorator adds the options of a group, and the command gets one value for all of them."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from backupjobwatch.domain.api.on_demand_spec import BACKUP_TYPES
from backupjobwatch.domain.api.target import REGION_RULE, VAULT_CHECKS
from backupjobwatch.domain.jobs.durations import parse_go_duration
from backupjobwatch.domain.jobs.resource_ids import VaultKind, is_region
from backupjobwatch.domain.jobs.text import quoted
from backupjobwatch.domain.jobs.times import format_time, parse_time
from backupjobwatch.terminal.option_names import with_option_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from backupjobwatch.terminal.targets import Item, Vault

    Command = Callable[..., Any]
    Decorator = Callable[[Command], Command]

_VAULT_CHECKS: Final = (
    *VAULT_CHECKS,
    ("secondaryRegion", is_region, REGION_RULE),
    ("primaryRegion", is_region, REGION_RULE),
)
_LATEST: Final = ("item", "operation", "container", "startedAfter", "completedWithin")
_ON_DEMAND: Final = (
    *("protectedItemId", "retainFor", "retainUntil", "backupType"),
    *("ruleName", "retentionTag", "ifRunning"),
)


class TimeType(click.ParamType[str]):
    """A time, or how long ago it was. It is converted to RFC 3339."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Convert *value* to RFC 3339. click shows the error."""
        text = str(value)
        time = parse_time(text)
        if time is None:
            try:
                time = datetime.now(UTC) - parse_go_duration(text)
            except (ValueError, OverflowError):
                self.fail(
                    f"must be a time such as 2026-03-04T01:00:00Z, or 2h for two hours ago, got {text!r}", param, ctx
                )
        return format_time(time)


def option_group(name: str, read: Callable[[dict[str, Any]], Any], *options: Decorator) -> Decorator:
    """Return a decorator that adds *options* to a command.

    When the command is called, *read* removes their values and returns the value of the argument *name*.
    """

    def add(command: Command) -> Command:
        @functools.wraps(command)
        def run(*args: Any, **values: Any) -> Any:
            values[name] = read(values)
            return command(*args, **values)

        wrapped: Command = run
        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped

    return add


def _option(parent: str, field: str) -> str:
    return with_option_names(f"spec.{parent}.{field}")


def _take(values: dict[str, Any], parent: str, *fields: str) -> dict[str, str]:
    """Remove the options for *fields* of ``spec.<parent>`` from *values*. Return those that are given, by field."""
    taken = {field: values.pop(_option(parent, field).removeprefix("--").replace("-", "_")) for field in fields}
    return {field: value for field, value in taken.items() if value is not None}


def _read_vault(values: dict[str, Any]) -> Vault | None:
    vault = _take(values, "vault", "kind", *(field for field, _, _ in _VAULT_CHECKS))
    for field, is_valid, rule in _VAULT_CHECKS:
        if field not in vault:
            continue
        given = vault[field]
        if is_valid is is_region:
            vault[field] = given.replace(" ", "").lower()  # also for a display name, such as West US
        if not is_valid(vault[field]):
            raise click.BadParameter(f"{rule}, got {quoted(given)}", param_hint=_option("vault", field))
    return vault or None


def _read_item(values: dict[str, Any]) -> Item | None:
    latest, chosen = _take(values, "latest", *_LATEST), _take(values, "onDemand", *_ON_DEMAND)
    if not values.pop("on_demand"):
        if chosen:
            given = ", ".join(_option("onDemand", field) for field in chosen)
            raise click.UsageError(f"{given} must not be set without --on-demand. Add --on-demand.")
        if latest and "item" not in latest:
            raise click.UsageError(
                "--operation, --container, --started-after and --completed-within require --item. Add --item."
            )
        return {"latest": latest} if latest else None
    for field in ("operation", "startedAfter", "completedWithin"):
        if field in latest:
            message = f"{_option('latest', field)} must not be set with --on-demand, which starts a new backup."
            raise click.UsageError(f"{message} Remove one of them.")
    fields = {**latest, **chosen}
    if fields.keys().isdisjoint({"item", "protectedItemId"}):
        raise click.UsageError("--on-demand requires an item. Add --item or --protected-item-id.")
    if fields.keys() >= {"item", "protectedItemId"}:
        raise click.UsageError("--item and --protected-item-id both name the item. Remove one of them.")
    if fields.keys() >= {"container", "protectedItemId"}:
        raise click.UsageError(
            "--container must not be set with --protected-item-id, which names it. Remove --container."
        )
    return {"onDemand": fields}


vault_options: Final = option_group(
    "vault",
    _read_vault,
    click.option("-s", "--subscription", metavar="UUID", help="Subscription of the vault, if the ID does not name it."),
    click.option(
        "-g", "--resource-group", metavar="NAME", help="Resource group of the vault, if the ID does not name it."
    ),
    click.option("-v", "--vault-name", metavar="NAME", help="Name of the vault, if the ID does not name it."),
    click.option(
        "--vault-kind",
        type=click.Choice([kind.value for kind in VaultKind]),
        help="Kind of the vault. BackupVault is Microsoft.DataProtection: AKS, disks, blobs, PostgreSQL. "
        "Default: RecoveryServices, unless the ID names the kind.",
    ),
    click.option(
        "--secondary-region",
        metavar="NAME",
        help="Secondary region of a cross-region restore, such as westus, if the ID does not name it.",
    ),
    click.option(
        "--primary-region",
        metavar="NAME",
        help="Region of the vault itself. Required for a cross-region restore of a Backup vault.",
    ),
)
"""Options that identify a vault. The command gets ``vault``: the fields of ``spec.vault`` that are given, or None."""

item_options: Final = option_group(
    "item",
    _read_item,
    click.option(
        "--on-demand", is_flag=True, help="Request one backup of --item or --protected-item-id, and follow it."
    ),
    click.option(
        "--protected-item-id",
        metavar="ID",
        help="With --on-demand: resource ID of the protected item or backup instance, instead of --item. It also names "
        "the vault.",
    ),
    click.option(
        "--retain-for",
        metavar="DAYS",
        help="With --on-demand: how long to keep the backup, such as 30d. Recovery Services vaults.",
    ),
    click.option(
        "--retain-until",
        metavar="TIME",
        help="With --on-demand: when the backup expires, such as 2026-12-31T00:00:00Z. Recovery Services vaults.",
    ),
    click.option(
        "--backup-type",
        type=click.Choice(BACKUP_TYPES),
        help="With --on-demand: type of the backup of a SQL Server or SAP HANA database. Default: Full.",
    ),
    click.option(
        "--rule-name",
        metavar="NAME",
        help="With --on-demand: backup rule of the policy in a Backup vault. Default: its only backup rule.",
    ),
    click.option(
        "--retention-tag",
        metavar="NAME",
        help="With --on-demand: retention rule of the policy in a Backup vault. Default: the default rule.",
    ),
    click.option(
        "--if-running",
        type=click.Choice(["Fail", "Follow"]),
        help="With --on-demand: if a backup of the item is already running, fail or follow it. Default: Fail.",
    ),
    click.option(
        "--item",
        metavar="NAME",
        help="Follow the first job of this protected item. NAME is what `az backup job list` shows.",
    ),
    click.option(
        "--operation", metavar="NAME", help="With --item: Backup, Restore or another operation. Default: Backup."
    ),
    click.option(
        "--container", metavar="NAME", help="With --item: its container or host, if several have such an item."
    ),
    click.option(
        "--started-after",
        metavar="TIME",
        type=TimeType(),
        help="With --item: only jobs after this time, such as 2026-03-04T01:00:00Z, or 2h for two hours ago. "
        "Default: now.",
    ),
    click.option(
        "--completed-within",
        metavar="DURATION",
        help="With --item: succeed at once if a job completed within this time, such as 24h, before the watch starts. "
        "Excludes --started-after.",
    ),
)
"""Options that identify an item. The command gets ``item``: ``latest`` or ``onDemand`` of a spec, or None."""
