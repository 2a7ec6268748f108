"""The options that name a vault, for jobs and operations that are named by an id alone."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import click

from backupjobwatch.domain.api.target import VAULT_CHECKS
from backupjobwatch.domain.jobs.resource_ids import VaultKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backupjobwatch.terminal.targets import Vault


def vault_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add them; the command gets ``spec.vault`` as ``vault``, or None where none of them is given."""

    @functools.wraps(command)
    def with_vault(
        *args: Any,
        subscription: str | None,
        resource_group: str | None,
        vault_name: str | None,
        vault_kind: str,
        **kwargs: Any,
    ) -> Any:
        named = {"--subscription": subscription, "--resource-group": resource_group, "--vault-name": vault_name}
        return command(*args, vault=_vault(named, vault_kind), **kwargs)

    options = (
        click.option("-s", "--subscription", metavar="UUID", help="With an id alone: the subscription of the vault."),
        click.option(
            "-g", "--resource-group", metavar="NAME", help="With an id alone: the resource group of the vault."
        ),
        click.option("-v", "--vault-name", metavar="NAME", help="With an id alone: the vault."),
        click.option(
            "--vault-kind",
            type=click.Choice([kind.value for kind in VaultKind]),
            default=VaultKind.RECOVERY_SERVICES.value,
            show_default=True,
            help="BackupVault is Microsoft.DataProtection's: AKS, disks, blobs, PostgreSQL.",
        ),
    )
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), with_vault)


def _vault(named: Mapping[str, str | None], kind: str) -> Vault | None:
    missing = [option for option, value in named.items() if not value]
    if len(missing) == len(named):
        return None
    if missing:
        raise click.UsageError(f"Add {' and '.join(missing)}: a vault is named by all of the three.")
    vault = {"kind": kind}
    for (option, value), (field, is_valid, advice) in zip(named.items(), VAULT_CHECKS, strict=True):
        if value is None or not is_valid(value):
            raise click.BadParameter(advice, param_hint=option)
        vault[field] = value
    return vault
