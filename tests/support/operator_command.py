"""Run ``backupjobwatch run`` as a process, and scan its output for secrets."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

from tests.support.canary import scan
from tests.support.commands import Command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def running_command(**variables: str) -> AsyncIterator[Command]:
    """Run the operator with only these settings and the test's kubeconfig. Kill it if it is still running."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "KUBECONFIG": os.environ["KUBECONFIG"],
        "BACKUPJOBWATCH_PROBE_PORT": "0",
        "BACKUPJOBWATCH_METRICS_PORT": "0",
        **variables,
    }
    with Command("backupjobwatch", "run", environment=environment) as process:
        try:
            yield process
        finally:
            process.kill()


async def log_of(process: Command) -> str:
    """Wait for the end of the process and return its whole output."""
    output, errors = await asyncio.to_thread(process.communicate, None, 60)
    log = output + errors
    scan("the log of a process", log)
    return log
