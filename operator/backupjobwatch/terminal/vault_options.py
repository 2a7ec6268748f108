"""Options that identify a vault, for IDs that do not name their vault, and for the jobs of an item."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import click

from backupjobwatch.domain.api.target import VAULT_CHECKS
from backupjobwatch.domain.jobs.resource_ids import VaultKind, is_region
from backupjobwatch.domain.jobs.text import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backupjobwatch.terminal.targets import Vault


def vault_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options. The command gets those that are given as ``vault``, with the names of ``spec.vault``."""

    @functools.wraps(command)
    def with_vault(
        *args: Any,
        subscription: str | None,
        resource_group: str | None,
        vault_name: str | None,
        vault_kind: str | None,
        secondary_region: str | None,
        primary_region: str | None,
        **kwargs: Any,
    ) -> Any:
        named = {"--subscription": subscription, "--resource-group": resource_group, "--vault-name": vault_name}
        regions = {"--secondary-region": secondary_region, "--primary-region": primary_region}
        return command(*args, vault=_vault(named, vault_kind, regions), **kwargs)

    options = (
        click.option(
            "-s", "--subscription", metavar="UUID", help="Subscription of the vault, if the ID does not name it."
        ),
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
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), with_vault)


def _vault(named: Mapping[str, str | None], kind: str | None, regions: Mapping[str, str | None]) -> Vault | None:
    vault = {"kind": kind} if kind else {}
    for (option, value), (field, is_valid, rule) in zip(named.items(), VAULT_CHECKS, strict=True):
        if value is None:
            continue
        if not is_valid(value):
            raise click.BadParameter(f"{rule}, got {quoted(value)}", param_hint=option)
        vault[field] = value
    for (option, value), field in zip(regions.items(), ("secondaryRegion", "primaryRegion"), strict=True):
        if value is None:
            continue
        region = value.replace(" ", "").lower()  # also for a display name, such as West US
        if not is_region(region):
            raise click.BadParameter(
                f"must be the name of a region, such as westus, got {quoted(value)}", param_hint=option
            )
        vault[field] = region
    return vault or None
