"""The operator in a separate process, whose clocks a test moves with orders on standard input.

The command ``movable`` of the command server does the same as ``backupjobwatch run``.
``MovableLoop`` provides the event loop's clock. ``time_machine`` moves the wall clock, as if an administrator set it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import sys
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import time_machine

from backupjobwatch.app import run
from backupjobwatch.observability.logs import configure_logs
from backupjobwatch.settings import Settings
from tests.support.canary import TOKEN, scan
from tests.support.commands import Command
from tests.support.idleness import until_rest_idle
from tests.support.movable_loop import MovableLoop
from tests.support.operator_process import clean_environment, prove_no_traceback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from demo.simulator import AzureSimulator

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Holdings:
    """The resources of a process at one moment."""

    tasks: int
    threads: int
    files: int
    """Open files, including sockets."""
    objects: int
    """Python objects that the garbage collector tracks."""
    memory: int
    """Resident bytes."""


class MovableOperator:
    """The test's control of such a process."""

    def __init__(self, process: Command) -> None:
        self._process = process

    async def pass_time(self, seconds: float) -> None:
        """Advance all clocks of the process when it is idle, and wait until it is idle again."""
        await self._send_order(monotonic=seconds, wall=seconds)

    async def holdings(self) -> Holdings:
        """Collect garbage, and return the resources in use."""
        return Holdings(**await self._send_order(holdings=True))

    async def set_wall_clock(self, seconds: float) -> None:
        """Move the wall clock forward, or back if *seconds* is negative, without the other clocks."""
        await self._send_order(wall=seconds)

    async def pass_until(self, condition: Callable[[], object], *, step: float = 10.0, steps: int = 200) -> None:
        """Advance the clocks by *step* seconds at a time until *condition* returns something."""
        for _ in range(steps):
            if condition():
                return
            await self.pass_time(step)
            await asyncio.sleep(0.02)  # for the servers in this event loop
        raise AssertionError(f"not within {steps * step:g} s")

    async def poll(self, sim: AzureSimulator) -> None:
        """Advance the clocks until Azure has received a further request."""
        asked = len(sim.requests)
        await self.pass_until(lambda: len(sim.requests) > asked)

    async def _send_order(self, **order: float) -> dict[str, int]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        async with asyncio.timeout(120):
            answer: dict[str, int] = json.loads(await asyncio.to_thread(self._process.stdout.readline))
        return answer


@contextlib.asynccontextmanager
async def running_movable(azure: str, log: Path, **settings: str) -> AsyncIterator[MovableOperator]:
    """Run the process against *azure* with a *log* file and unprefixed *settings*. It must exit with 0."""
    usual = {
        "AZURE_ENDPOINT": azure,
        "DEVELOPMENT": "true",
        "DEVELOPMENT_TOKEN": TOKEN,
        "OPERATOR_IDENTITY_NAMESPACES": "*",
        "PROBE_PORT": "0",
        "METRICS_PORT": "0",
        **settings,
    }
    environment = clean_environment(**{f"BACKUPJOBWATCH_{name}": value for name, value in usual.items()})
    with log.open("w") as errors:
        process = Command("movable", environment=environment, stdin=True, errors=errors, measured=False)
    try:
        yield MovableOperator(process)
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.to_thread(process.wait, 120) == 0
    finally:
        with process:
            process.kill()
        said = await asyncio.to_thread(log.read_text)
        scan("the log of a process", said)
        prove_no_traceback(said)


def _holdings() -> Holdings:
    gc.collect()
    return Holdings(
        tasks=len(asyncio.all_tasks()),
        threads=threading.active_count(),
        files=sum(1 for _ in Path("/proc/self/fd").iterdir()),
        objects=len(gc.get_objects()),
        memory=int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE,
    )


async def _execute_orders() -> None:
    """Execute the order on each input line, and answer each."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MovableLoop)
    lines = asyncio.StreamReader()
    pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    with time_machine.travel(datetime.now(UTC), tick=True) as wall, contextlib.closing(pipe):
        while line := await lines.readline():
            order = json.loads(line)
            if "monotonic" in order:
                await until_rest_idle(loop)
            wall.shift(order.get("wall", 0))
            loop._advance(order.get("monotonic", 0))
            if "monotonic" in order:
                await until_rest_idle(loop)
            sys.stdout.write(json.dumps(asdict(_holdings()) if "holdings" in order else {}) + "\n")
            sys.stdout.flush()


async def _main(settings: Settings) -> None:
    stop = asyncio.Event()
    executing = asyncio.create_task(_execute_orders())
    executing.add_done_callback(lambda _: stop.set())  # even if the test process has ended
    await run(settings, stop=stop)
    await executing


def main() -> None:
    """Run the operator until standard input is closed."""
    settings = Settings()
    configure_logs(settings)
    with asyncio.Runner(loop_factory=MovableLoop) as runner:
        runner.run(_main(settings))
