"""``backupjobwatch check``: whether the settings work."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING

import click

from backupjobwatch.arm.client import ArmClient
from backupjobwatch.arm.credentials import operator_tokens
from backupjobwatch.cli.environment import complain, read_settings
from backupjobwatch.errors import AzureError, ObjectGone, SettingsError, StoreError
from backupjobwatch.leader import lease_namespace
from backupjobwatch.metrics.instruments import Metrics
from backupjobwatch.store import Store

if TYPE_CHECKING:
    from backupjobwatch.settings import Settings


@click.command()
def check() -> None:
    """Print the settings, and find out whether they work.

    Asks for a token and lists the watches. Exits with 1 where either fails, with 2 where a setting is wrong.
    """
    settings = read_settings()
    logging.disable()
    for variable, value in settings.describe().items():
        click.echo(f"{variable}={value}")
    try:
        failures = asyncio.run(_failures(settings))
    except SettingsError as error:
        complain(error)
    sys.exit(1 if failures else 0)


async def _failures(settings: Settings) -> int:
    failures = 0
    client = ArmClient(settings, Metrics())
    try:
        await client.get_token(operator_tokens(settings))
        click.echo("Azure: a token could be had.")
    except AzureError as error:
        failures += 1
        click.echo(f"Azure: {error.reason}: {error}")
    finally:
        client.close()
    try:
        store = await Store.connect()
        try:
            for namespace in settings.scopes:
                await store.check(namespace)
                click.echo(f"Kubernetes: watches of {namespace or 'all namespaces'} can be listed.")
            if settings.leader_election:
                await _check_lease(settings, store)
        finally:
            await store.close()
    except StoreError as error:
        failures += 1
        click.echo(f"Kubernetes: {error}")
    return failures


async def _check_lease(settings: Settings, store: Store) -> None:
    namespace = lease_namespace(settings)
    try:
        lease = await store.read_lease(namespace, settings.lease_name)
    except ObjectGone:
        lease = {}
    holder = lease.get("spec", {}).get("holderIdentity") or "nobody"
    click.echo(f"Kubernetes: the Lease {namespace}/{settings.lease_name} is held by {holder}.")
