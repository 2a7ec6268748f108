"""What is under way: one task at most for each watch, and none for those that would only wait for a turn in it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from backupjobwatch.kube.limiter import Queue

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from backupjobwatch.controller.reconciler import Stepper
    from backupjobwatch.controller.watch_state import Entry


class Work:
    """The tasks, and those who wait for one to end: to take a step, whose status is to be written, or to tell Events."""

    def __init__(self, stepper: Stepper, do: Callable[[Entry, bool], Coroutine[Any, Any, None]]) -> None:
        self._do = do
        self._steps: Queue[Entry] = Queue(stepper.writes)
        self._tellings: Queue[Entry] = Queue(stepper.events, before=self._steps)  # gates wait for statuses
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def begin(self, entry: Entry) -> None:
        """Begin what is wanted of a watch, or is to be told, unless it is under way: at once, or when it is not crowded."""
        queue = self._tellings if entry.wanted is None else self._steps
        if entry.task is None and not self._closed and not queue.holds(entry.watch.uid, entry):
            self._start(entry)

    def puts_off_telling(self, entry: Entry) -> bool:
        """Have a watch whose step has ended told of later, if that is crowded; say whether it is."""
        return self._tellings.holds(entry.watch.uid, entry)

    def will_step(self, uid: str) -> bool:
        """Tell whether a watch waits to begin its step."""
        return uid in self._steps

    def will_tell(self, uid: str) -> bool:
        """Tell whether a watch waits to be told of."""
        return uid in self._tellings

    def is_telling(self, entry: Entry) -> bool:
        """Tell whether what is to be told of a watch is, or waits for its turn: not whether it failed."""
        return bool(entry.untold) and (entry.task is not None or self.will_tell(entry.watch.uid))

    def drop(self, entry: Entry) -> None:
        """End what is under way for a watch that is gone."""
        self._leave(entry)
        entry.end()
        self._go_on()  # a task that is cancelled before it runs does not

    async def finish(self, patience: float) -> None:
        """Begin no more steps, and wait for *patience* seconds for what is under way, and is to be told, to end."""
        self._closed = True
        self._steps.clear()
        clock = asyncio.get_running_loop().time
        end = clock() + patience
        while self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=max(end - clock(), 0.0))
            if late:
                self._tellings.clear()
                for task in late:
                    task.cancel()
                await asyncio.gather(*late, return_exceptions=True)

    def _start(self, entry: Entry, *, in_turn: bool = False) -> None:
        self._leave(entry)
        entry.task = asyncio.create_task(self._run(entry, in_turn))
        self._tasks.add(entry.task)
        entry.task.add_done_callback(self._tasks.discard)

    def _leave(self, entry: Entry) -> None:
        for queue in (self._steps, self._tellings):
            queue.drop(entry.watch.uid)

    async def _run(self, entry: Entry, in_turn: bool) -> None:  # noqa: FBT001 -- private
        try:
            await self._do(entry, in_turn)
        finally:
            self._go_on()

    def _go_on(self) -> None:
        for queue in (self._steps, self._tellings):
            entry = queue.next()
            if entry is not None:
                self._start(entry, in_turn=queue is self._tellings)
