"""``kubectl bjw``: the group of commands, and their exit codes. kubectl finds ``kubectl-bjw`` on PATH.

https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/
"""

from __future__ import annotations

import logging
import signal
import sys
import traceback
from dataclasses import asdict
from typing import TYPE_CHECKING, NoReturn

import click

from backupjobwatch import __version__
from backupjobwatch.kubectl.create import create
from backupjobwatch.kubectl.errors import PluginError
from backupjobwatch.kubectl.list_watches import list_watches
from backupjobwatch.kubectl.options import cluster_options
from backupjobwatch.kubectl.tasks import tasks
from backupjobwatch.kubectl.wait import wait
from backupjobwatch.terminal.exit_codes import INTERRUPTED, UNCLEAR
from backupjobwatch.terminal.interruption import force_exit_after_signal

if TYPE_CHECKING:
    from backupjobwatch.kubectl.access import Access


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kubectl bjw")
@cluster_options
@click.pass_context
def bjw(ctx: click.Context, /, *, access: Access) -> None:
    """List, create and wait for watches of Azure Backup jobs.

    \b
    Examples:
      kubectl bjw list --watch
      kubectl bjw tasks nightly-backup
      kubectl bjw wait nightly-backup --timeout 4h
      kubectl bjw wait --selector team=payroll
      az backup protection backup-now … --output json | kubectl bjw create --wait
    """  # noqa: D301 -- \b keeps click from wrapping the paragraph
    written = {name: value for name, value in asdict(access).items() if value is not None}
    ctx.default_map = dict.fromkeys(bjw.commands, written)  # treat them like options after the command


for _command in (list_watches, tasks, wait, create):
    bjw.add_command(_command)


def main() -> NoReturn:
    """Run a command. An error that is not the outcome of a job exits with UNCLEAR."""
    force_exit_after_signal()
    signal.signal(signal.SIGTERM, _terminate)
    logging.basicConfig(level=logging.ERROR, format="%(message)s")  # for errors of credential plugins
    try:
        code = bjw(prog_name="kubectl bjw", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(UNCLEAR)
    except PluginError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(UNCLEAR)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except SystemExit as stop:  # click exits with 1 if the reader has left, and 1 means that the job failed
        sys.exit(UNCLEAR if stop.code == 1 else stop.code)
    except Exception:  # noqa: BLE001 -- Python's own exit code would mean that the job failed
        traceback.print_exc()
        sys.exit(UNCLEAR)
    sys.exit(code if isinstance(code, int) else 0)


def _terminate(number: int, _frame: object) -> NoReturn:
    """Exit with the shell's code for a signal, also as PID 1, which signals do not end by default."""
    raise SystemExit(128 + number)
