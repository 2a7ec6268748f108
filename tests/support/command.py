"""Run ``backupjobwatch`` command lines in this process."""

from __future__ import annotations

from click.testing import CliRunner, Result

from backupjobwatch.cli import main
from tests.support.canary import scan


def invoke(*arguments: str) -> Result:
    """Run a command to its end."""
    result = CliRunner().invoke(main, arguments)
    scan(f"backupjobwatch {' '.join(arguments[:1])}", result.output)
    return result
