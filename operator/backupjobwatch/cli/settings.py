"""Read the settings for commands. A command with invalid settings exits."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NoReturn

import click

from backupjobwatch.errors import SettingsError
from backupjobwatch.settings import load_settings

if TYPE_CHECKING:
    from backupjobwatch.settings import Settings

WRONG_SETTINGS: Final = 2


def read_settings(*, exit_code: int = WRONG_SETTINGS) -> Settings:
    """Read the settings from the environment. Exit with *exit_code* if they are invalid."""
    try:
        return load_settings()
    except SettingsError as error:
        complain(error, exit_code)


def complain(error: SettingsError, exit_code: int = WRONG_SETTINGS) -> NoReturn:
    """Print the errors in the settings and exit."""
    click.echo(f"Invalid settings:\n{error}", err=True)
    sys.exit(exit_code)
