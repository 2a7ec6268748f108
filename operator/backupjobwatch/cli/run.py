"""``backupjobwatch run``: the operator."""

from __future__ import annotations

import asyncio

import click

from backupjobwatch.cli.environment import complain, read_settings
from backupjobwatch.errors import LeaseLost, SettingsError, StoreError
from backupjobwatch.logs import configure_logs
from backupjobwatch.run import run as run_operator


@click.command()
def run() -> None:
    """Run the operator. Settings are environment variables: see `backupjobwatch check`."""
    settings = read_settings()
    configure_logs(settings)
    try:
        asyncio.run(run_operator(settings))
    except SettingsError as error:
        complain(error)
    except (StoreError, LeaseLost) as error:
        raise click.ClickException(str(error)) from error
