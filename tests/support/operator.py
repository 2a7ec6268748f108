"""The whole operator in a thread with its own event loop, whose clock tests can move."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from typing import TYPE_CHECKING, Any

from backupjobwatch.app import run
from tests.support.idleness import until_idle
from tests.support.kubernetes import NAME
from tests.support.movable_loop import MovableLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from backupjobwatch.settings import Settings
    from demo.simulator import AzureSimulator
    from tests.support.kubernetes import KubernetesApi


class Operator:
    """A running operator."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.leftovers: list[str] = []
        """The tasks that remained after ``run`` returned."""
        self._loop = MovableLoop()
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="operator", daemon=True)
        self._thread.start()

    def advance(self, seconds: float) -> None:
        """Advance the operator's clock."""
        self._loop.advance(seconds)

    async def idle(self) -> None:
        """Wait until the operator has processed everything except what tests hold and timers that are not due."""
        await until_idle(self._loop)

    async def pass_time(self, seconds: float, times: int = 1) -> None:
        """Advance the clock while the operator is idle, and wait until it is idle again. Do this *times* times."""
        await self.idle()
        for _ in range(times):
            self.advance(seconds)
            await self.idle()

    async def advance_until(self, condition: Callable[[], object]) -> None:
        """Advance the clock by 10 s whenever the operator is idle, until *condition* returns something."""
        async with asyncio.timeout(120):
            await self.idle()
            while not condition():
                self.advance(10)
                await self.idle()

    async def advance_to(self, phase: str, api: KubernetesApi, name: str = NAME) -> None:
        """Advance the clock until a watch has that phase."""
        await self.advance_until(lambda: api.get(name)["status"].get("phase") == phase)

    async def poll(self, sim: AzureSimulator, times: int = 1) -> None:
        """Advance the clock until Azure has received this number of further requests, one at a time."""
        for asked in range(len(sim.requests) + 1, len(sim.requests) + times + 1):
            await self.advance_until(functools.partial(_has_requests, sim, asked))

    @property
    def ended(self) -> bool:
        """Whether the operator has stopped or failed."""
        return not self._thread.is_alive()

    def finish(self) -> None:
        """Request a stop."""
        with contextlib.suppress(RuntimeError):  # the operator has already stopped
            self._loop.call_soon_threadsafe(self._stop.set)

    async def stop(self) -> None:
        """Stop the operator gracefully, and raise its error if it failed."""
        self.finish()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join, 60.0)
        assert not self._thread.is_alive(), "the operator does not stop"
        if self._failure is not None:
            raise self._failure

    async def probe(self, path: str) -> int | None:
        """Request a probe, and return its status or None if the connection is refused or dropped."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.settings.probe_port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
        except ConnectionError:
            return None
        return int(answer.split()[1]) if answer else None

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._main())
        except BaseException as error:  # noqa: BLE001 -- raised in the test
            self._failure = error

    async def _main(self) -> None:
        try:
            await run(self.settings, stop=self._stop)
        finally:
            self.leftovers = [repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()]


@contextlib.asynccontextmanager
async def running_operator(settings: Settings) -> AsyncIterator[Operator]:
    """Run an operator, and stop it at the end."""
    operator = Operator(settings)
    try:
        yield operator
    finally:
        await operator.stop()


def _has_requests(sim: AzureSimulator, times: int) -> bool:
    return len(sim.requests) >= times


def azure_threads() -> list[Any]:
    """Return the threads that send requests to Azure."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("azure_")]
