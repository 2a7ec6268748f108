"""``backupjobwatch run``: the operator."""

from __future__ import annotations

import asyncio
import gc
from typing import Final

import click

from backupjobwatch.cli.environment import complain, read_settings
from backupjobwatch.errors import LeaseLost, SettingsError, StoreError
from backupjobwatch.logs import configure_logs
from backupjobwatch.run import run as run_operator

GARBAGE: Final = (5_000, 20, 100)
"""How seldom Python looks for garbage in circles: https://docs.python.org/3/library/gc.html#gc.set_threshold

Nearly all there is goes without. With its defaults it looks through ten thousand watches, for a second, a few times a
minute, and while they come in for a quarter of the time.
"""


@click.command()
def run() -> None:
    """Run the operator. Settings are environment variables: see `backupjobwatch check`."""
    settings = read_settings()
    configure_logs(settings)
    gc.set_threshold(*GARBAGE)
    try:
        asyncio.run(run_operator(settings))
    except SettingsError as error:
        complain(error)
    except (StoreError, LeaseLost) as error:
        raise click.ClickException(str(error)) from error
