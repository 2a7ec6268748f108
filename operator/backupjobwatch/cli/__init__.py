"""The command line: ``backupjobwatch run | check | metrics | render | watch``."""

from __future__ import annotations

import importlib
import signal
from typing import Any, Final

import click

from backupjobwatch import __version__

COMMANDS: Final = ("check", "metrics", "render", "run", "watch")
"""Each name is that of a module and of the command function in it."""


class _Commands(click.Group):
    """Imports a command's module on demand: the operator needs no terminal code, and completion needs no kopf.

    https://click.palletsprojects.com/en/stable/complex/#lazily-loading-subcommands
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"{__name__}.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 -- see COMMANDS
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. Replace click's exit codes 1 and 2, which mean outcomes of jobs for ``watch``."""
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
