"""``backupjobwatch run``: the operator."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from backupjobwatch.cli.environment import complain, read_settings
from backupjobwatch.errors import LeaseLost, SettingsError, StoreError
from backupjobwatch.garbage import collecting
from backupjobwatch.logs import configure_logs
from backupjobwatch.run import run as run_operator

if TYPE_CHECKING:
    from backupjobwatch.settings import Settings


@click.command()
def run() -> None:
    """Run the operator. Settings are environment variables: see `backupjobwatch check`."""
    settings = read_settings()
    configure_logs(settings)
    try:
        asyncio.run(_run(settings))
    except SettingsError as error:
        complain(error)
    except (StoreError, LeaseLost) as error:
        raise click.ClickException(str(error)) from error


async def _run(settings: Settings) -> None:
    async with collecting():
        await run_operator(settings)
