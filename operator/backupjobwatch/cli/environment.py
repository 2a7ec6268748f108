"""The settings, as commands read them: what is wrong is told, and ends the command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NoReturn

import click

from backupjobwatch.errors import SettingsError
from backupjobwatch.settings import load_settings

if TYPE_CHECKING:
    from backupjobwatch.settings import Settings

_WRONG_SETTINGS: Final = 2


def read_settings() -> Settings:
    """Read the settings from the environment."""
    try:
        return load_settings()
    except SettingsError as error:
        complain(error)


def complain(error: SettingsError) -> NoReturn:
    """Tell what is wrong with the settings, and end."""
    click.echo(f"The settings are wrong:\n{error}", err=True)
    sys.exit(_WRONG_SETTINGS)
