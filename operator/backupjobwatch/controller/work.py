"""What is under way: one task at most for each watch, and none for those that would only wait for a turn in it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from backupjobwatch.kube.limiter import Queue

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from backupjobwatch.controller.reconciler import Reconciler
    from backupjobwatch.controller.watch_state import WatchState


class Work:
    """The tasks, and those who wait for one to end: to take a step, whose status is to be written, or to tell Events."""

    def __init__(self, reconciler: Reconciler, do: Callable[[WatchState, bool], Coroutine[Any, Any, None]]) -> None:
        self._do = do
        self._steps: Queue[WatchState] = Queue(reconciler.writes)
        self._emissions: Queue[WatchState] = Queue(reconciler.events, before=self._steps)  # gates wait for statuses
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def begin(self, state: WatchState) -> None:
        """Begin what is wanted of a watch, or is to be told, unless it is under way: at once, or when it is not crowded."""
        queue = self._emissions if state.wanted is None else self._steps
        if state.task is None and not self._closed and not queue.holds(state.watch.uid, state):
            self._start(state)

    def defers_events(self, state: WatchState) -> bool:
        """Have a watch whose step has ended told of later, if that is crowded; say whether it is."""
        return self._emissions.holds(state.watch.uid, state)

    def will_reconcile(self, uid: str) -> bool:
        """Tell whether a watch waits to begin its step."""
        return uid in self._steps

    def will_emit(self, uid: str) -> bool:
        """Tell whether a watch waits to be told of."""
        return uid in self._emissions

    def has_pending_events(self, state: WatchState) -> bool:
        """Tell whether what is to be told of a watch is, or waits for its turn: not whether it failed."""
        return bool(state.pending_events) and (state.task is not None or self.will_emit(state.watch.uid))

    def drop(self, state: WatchState) -> None:
        """End what is under way for a watch that is gone."""
        self._leave(state)
        state.end()
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
                self._emissions.clear()
                for task in late:
                    task.cancel()
                await asyncio.gather(*late, return_exceptions=True)

    def _start(self, state: WatchState, *, in_turn: bool = False) -> None:
        self._leave(state)
        state.task = asyncio.create_task(self._run(state, in_turn))
        self._tasks.add(state.task)
        state.task.add_done_callback(self._tasks.discard)

    def _leave(self, state: WatchState) -> None:
        for queue in (self._steps, self._emissions):
            queue.drop(state.watch.uid)

    async def _run(self, state: WatchState, in_turn: bool) -> None:  # noqa: FBT001 -- private
        try:
            await self._do(state, in_turn)
        finally:
            self._go_on()

    def _go_on(self) -> None:
        for queue in (self._steps, self._emissions):
            state = queue.next()
            if state is not None:
                self._start(state, in_turn=queue is self._emissions)
