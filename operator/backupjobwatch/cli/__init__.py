"""The command line: ``backupjobwatch run | check | metrics | render | watch``."""

from __future__ import annotations

import importlib
import signal
from typing import Any, Final

import click

from backupjobwatch import __version__

COMMANDS: Final = ("check", "metrics", "render", "run", "watch")
"""Each is the function of that name in the module of that name."""


class _Commands(click.Group):
    """Loads a command's module when it is wanted: an operator loads nothing for terminals, and Tab waits for no kopf.

    https://click.palletsprojects.com/en/stable/complex/#lazily-loading-subcommands
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"{__name__}.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 -- by the modules' own rule
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. Click's codes for an interrupt, 1, and for bad input, 2, are those of jobs that were watched."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(128 + signal.SIGINT)
        except click.UsageError as error:
            if ctx.invoked_subcommand != "watch":
                raise
            from backupjobwatch.terminal.exit_codes import UNCLEAR  # noqa: PLC0415 -- only `watch` needs it, and has it

            error.show()
            ctx.exit(UNCLEAR)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="backupjobwatch")
def main() -> None:
    """Mirror Azure Backup jobs into BackupJobWatch objects."""
