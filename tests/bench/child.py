"""Run the benchmark's servers as child processes, which keeps their costs apart from the operator's.

Commands and replies are lines of JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final, Self

from tests.support.commands import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PATIENCE: Final = 30.0
LONGEST_LINE: Final = 2**24


class Child:
    """A ``python -m <module>`` process that executes commands until its standard input ends."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()
        self.hello: dict[str, Any] = {}
        """The first line of the process, sent when it is ready."""

    @classmethod
    async def start(cls, module: str, *args: str, **variables: str) -> Self:
        """Start *module* with additional environment *variables*, and wait until it is ready."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *args),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        )
        child = cls(process)
        child.hello = await child._answer()
        return child

    async def request(self, command: str, **arguments: Any) -> Any:
        """Send a command, and return the reply."""
        async with self._turn:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps({"command": command, **arguments}).encode() + b"\n")
            await self._process.stdin.drain()
            return await self._answer()

    async def stop(self) -> None:
        """Stop the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), PATIENCE)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a server of the benchmark has ended: exit code {await self._process.wait()}")
        return json.loads(line)


async def answer_questions(hello: Mapping[str, Any], commands: Mapping[str, Callable[..., Any]]) -> None:
    """Run as a child: send *hello*, then execute *commands* until standard input ends."""
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    with contextlib.closing(transport):
        print(json.dumps({**hello, "pid": os.getpid()}), flush=True)
        while line := await reader.readline():
            arguments = json.loads(line)
            print(json.dumps(commands[arguments.pop("command")](**arguments)), flush=True)
