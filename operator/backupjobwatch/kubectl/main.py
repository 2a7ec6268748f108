"""``kubectl bjw``: the commands together, and how they end. kubectl finds ``kubectl-bjw`` on PATH.

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

if TYPE_CHECKING:
    from backupjobwatch.kubectl.access import Access


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kubectl bjw")
@cluster_options
@click.pass_context
def bjw(ctx: click.Context, /, *, access: Access) -> None:
    """List Azure Backup jobs that the cluster watches, wait for them, and have more watched.

    \b
    Examples:
      kubectl bjw list --watch
      kubectl bjw tasks nightly-backup
      kubectl bjw wait nightly-backup --timeout 4h
      az backup protection backup-now … --output json | kubectl bjw create --wait
    """  # noqa: D301 -- click's mark for a paragraph to be left as it is
    written = {name: value for name, value in asdict(access).items() if value is not None}
    ctx.default_map = dict.fromkeys(bjw.commands, written)  # as good as behind the command


for _command in (list_watches, tasks, wait, create):
    bjw.add_command(_command)


def main() -> NoReturn:
    """Run a command. Whatever is no outcome of a job, a wrong command line too, ends with UNCLEAR."""
    signal.signal(signal.SIGTERM, _terminate)
    logging.basicConfig(level=logging.ERROR, format="%(message)s")  # a credential plugin that fails is told there
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
    except SystemExit as stop:  # 1 is click's, for a reader that has left, and would say that the job failed
        sys.exit(UNCLEAR if stop.code == 1 else stop.code)
    except Exception:  # noqa: BLE001 -- a defect: Python's own exit code would say that the job failed
        traceback.print_exc()
        sys.exit(UNCLEAR)
    sys.exit(code if isinstance(code, int) else 0)


def _terminate(number: int, _frame: object) -> NoReturn:
    """End as a shell would say it, also as a container's first process, which a signal does not end by itself."""
    raise SystemExit(128 + number)
