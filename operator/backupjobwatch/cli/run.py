"""``backupjobwatch run``: the operator."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING

import click

from backupjobwatch.app import run as run_operator
from backupjobwatch.cli.settings import WRONG_SETTINGS
from backupjobwatch.controller.garbage import collecting
from backupjobwatch.errors import KubeError, LeaseLost, SettingsError
from backupjobwatch.observability.logs import configure_logs, log_uncaught
from backupjobwatch.settings import load_log_settings, load_settings

if TYPE_CHECKING:
    from backupjobwatch.settings import Settings

_log = logging.getLogger(__name__)


@click.command()
def run() -> None:
    """Run the operator. Settings are environment variables: see `backupjobwatch check`."""
    configure_logs(load_log_settings())
    log_uncaught()
    try:
        settings = load_settings()
        configure_logs(settings)
        asyncio.run(_run(settings))
    except SettingsError as error:
        _log.critical("The settings are wrong: %s", error)
        sys.exit(WRONG_SETTINGS)
    except (KubeError, LeaseLost) as error:
        _log.critical("%s", error)
        sys.exit(1)


async def _run(settings: Settings) -> None:
    async with collecting():
        await run_operator(settings)
