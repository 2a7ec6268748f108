"""Options for requesting a backup (``spec.onDemand``)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import click

from backupjobwatch.domain.api.on_demand_spec import BACKUP_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable

OnDemand = dict[str, str]
"""``spec.onDemand``."""

_FIELDS: Final = {
    "protected_item_id": "protectedItemId",
    "retain_for": "retainFor",
    "retain_until": "retainUntil",
    "backup_type": "backupType",
    "rule_name": "ruleName",
    "retention_tag": "retentionTag",
    "if_running": "ifRunning",
}
"""Parameters of these options, and the fields that they set."""
_OF_OTHER_JOBS: Final = ("operation", "started_after", "completed_within")
"""Parameters of ``latest_options`` that select an existing or future job."""


def on_demand_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command with ``latest_options``, which must come after this decorator.

    The command gets them as ``on_demand``, or None without ``--on-demand``. With it, ``latest`` is None.
    """

    @functools.wraps(command)
    def with_on_demand(*args: Any, on_demand: bool, item: str | None, container: str | None, **kwargs: Any) -> Any:
        values = {name: kwargs.pop(name) for name in _FIELDS}
        chosen = {field: values[name] for name, field in _FIELDS.items() if values[name] is not None}
        if not on_demand:
            if chosen:
                given = ", ".join(_option(name) for name in _FIELDS if values[name] is not None)
                raise click.UsageError(f"{given} must not be set without --on-demand. Add --on-demand.")
            return command(*args, on_demand=None, item=item, container=container, **kwargs)
        for name in _OF_OTHER_JOBS:
            if kwargs[name] is not None:
                message = f"{_option(name)} must not be set with --on-demand, which starts a new backup."
                raise click.UsageError(f"{message} Remove one of them.")
        named = {"item": item, "container": container}
        _check_item(item, container, values["protected_item_id"])
        fields = {**{field: value for field, value in named.items() if value is not None}, **chosen}
        return command(*args, on_demand=fields, item=None, container=None, **kwargs)

    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(_OPTIONS), with_on_demand)


def _check_item(item: str | None, container: str | None, item_id: str | None) -> None:
    if item is None and item_id is None:
        raise click.UsageError("--on-demand requires an item. Add --item or --protected-item-id.")
    if item is not None and item_id is not None:
        raise click.UsageError("--item and --protected-item-id both name the item. Remove one of them.")
    if item_id is not None and container is not None:
        raise click.UsageError(
            "--container must not be set with --protected-item-id, which names it. Remove --container."
        )


def _option(parameter: str) -> str:
    return f"--{parameter.replace('_', '-')}"


_OPTIONS: Final = (
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
)
