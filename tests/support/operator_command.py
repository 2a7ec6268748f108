"""``backupjobwatch run`` as a process that a test starts, and whose output no secret may be in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import backupjobwatch
from tests.support.canary import hear
from tests.support.operator import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def running_command(**variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the operator with only these settings and the test's kubeconfig. It is killed at the end if it still runs."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "PYTHONPATH": str(Path(backupjobwatch.__file__).parents[1]),
        "KUBECONFIG": os.environ["KUBECONFIG"],
        "BACKUPJOBWATCH_PROBE_PORT": str(free_port()),
        "BACKUPJOBWATCH_METRICS_PORT": "0",
        **variables,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "backupjobwatch", "run",
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def log_of(process: asyncio.subprocess.Process) -> str:
    """Wait for the end of the process and return its whole output."""
    log = (await asyncio.wait_for(process.communicate(), 60))[0].decode()
    hear("the log of a process", log)
    return log
