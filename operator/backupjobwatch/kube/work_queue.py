"""A work queue with the semantics of client-go's: https://pkg.go.dev/k8s.io/client-go/util/workqueue.

A key is queued once, however often it is added. A key that is added while a worker processes it is queued again when the
worker calls ``done``. Of several delays for one key, the earliest wins. Unlike in client-go, ``add`` therefore cancels a delay. Of several
priorities, the highest wins.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Hashable
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from backupjobwatch.clock import loop_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backupjobwatch.observability.metrics.instruments import QueueInstruments

_log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

BASE_DELAY: Final = 1.0
"""Seconds before the first retry of ``add_rate_limited``; each further retry doubles it."""
MAX_DELAY: Final = 30.0


class QueueClosed(Exception):
    """The queue was closed: the worker ends."""


class WorkQueue(Generic[K]):
    """Decides which key is processed next, and when. All times are seconds on the event loop's clock."""

    def __init__(self, metrics: QueueInstruments) -> None:
        self._metrics = metrics
        self._ready: dict[int, OrderedDict[K, float]] = {}
        """By priority: the keys in their order, and since when each of them is ready."""
        self._delayed: dict[K, asyncio.TimerHandle] = {}
        self._processing: set[K] = set()
        self._dirty: dict[K, int] = {}
        self._failures: dict[K, int] = {}
        self._available = asyncio.Semaphore(0)  # one permit for each key that became ready
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()
        metrics.track_depth(self.__len__)

    def __len__(self) -> int:
        """Return how many keys are ready: the depth of the queue."""
        return sum(map(len, self._ready.values()))

    def add(self, key: K, priority: int = 0) -> None:
        """Queue *key* now. Keys of a higher *priority* are processed first, keys of the same one in order."""
        if self._closed:
            return
        self._cancel_delay(key)
        if key in self._processing:
            self._dirty[key] = max(priority, self._dirty.get(key, priority))
            return
        since, known = loop_time(), self._priority_of(key)
        if known is None:
            self._available.release()
            self._idle.clear()
        elif known >= priority:
            return
        else:
            since = self._ready[known].pop(key)
        self._ready.setdefault(priority, OrderedDict())[key] = since

    def add_after(self, key: K, delay: float) -> None:
        """Queue *key* in *delay* seconds, unless it is queued earlier."""
        if delay <= 0:
            self.add(key)
            return
        due, known = loop_time() + delay, self._delayed.get(key)
        if self._closed or self._priority_of(key) is not None or (known is not None and known.when() <= due):
            return
        self._cancel_delay(key)
        self._delayed[key] = asyncio.get_running_loop().call_at(due, self.add, key)

    def add_rate_limited(self, key: K) -> None:
        """Queue *key* after a delay that doubles with each call, until ``forget``."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self._metrics.observe_retry()
        self.add_after(key, min(BASE_DELAY * 2 ** min(failures, 32), MAX_DELAY))

    def forget(self, key: K) -> None:
        """Reset the delay of ``add_rate_limited`` after a success."""
        self._failures.pop(key, None)

    def remove(self, key: K) -> None:
        """Drop *key*, its delay and its retries, because its object no longer exists."""
        self._cancel_delay(key)
        for keys in self._ready.values():
            keys.pop(key, None)
        self._dirty.pop(key, None)
        self._failures.pop(key, None)
        self._note_idle()

    async def get(self) -> K:
        """Wait for a key and return it; the worker has to call ``done`` with it. Raises QueueClosed."""
        while True:
            await self._available.acquire()
            if self._closed:
                self._available.release()  # for the next worker
                raise QueueClosed
            key = self._pop()
            if key is not None:
                return key

    def done(self, key: K) -> None:
        """Mark *key* as processed. If it was added meanwhile, it is queued again."""
        self._processing.discard(key)
        priority = self._dirty.pop(key, None)
        if priority is not None:
            self.add(key, priority)
        self._note_idle()

    async def drained(self) -> None:
        """Wait until no key is ready or processed. Keys that are delayed do not count."""
        await self._idle.wait()

    def close(self) -> None:
        """Drop all keys and end the workers that wait in ``get``."""
        self._closed = True
        for key in tuple(self._delayed):
            self._cancel_delay(key)
        self._ready.clear()
        self._dirty.clear()
        self._available.release()
        self._note_idle()

    def _note_idle(self) -> None:
        if not len(self) and not self._processing:
            self._idle.set()

    def _pop(self) -> K | None:
        """Take the first ready key; None if it was removed after its permit was released."""
        for priority in sorted(self._ready, reverse=True):
            if self._ready[priority]:
                key, since = self._ready[priority].popitem(last=False)
                self._processing.add(key)
                self._metrics.observe_wait(loop_time() - since)
                return key
        return None

    def _priority_of(self, key: K) -> int | None:
        return next((priority for priority, keys in self._ready.items() if key in keys), None)

    def _cancel_delay(self, key: K) -> None:
        delay = self._delayed.pop(key, None)
        if delay is not None:
            delay.cancel()


class Workers(Generic[K]):
    """Tasks that take keys from a queue and process them."""

    def __init__(self, queue: WorkQueue[K], process: Callable[[K], Awaitable[None]], *, name: str, count: int) -> None:
        """Process up to *count* keys at the same time, each with a call of *process*. *name* names the tasks."""
        self._queue = queue
        self._process = process
        self._name = name
        self._count = count
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the tasks."""
        self._tasks = [asyncio.create_task(self._work(), name=self._name) for _ in range(self._count)]

    async def close(self) -> None:
        """Close the queue, and cancel the calls in progress."""
        self._queue.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            try:
                key = await self._queue.get()
            except QueueClosed:
                return
            try:
                await self._process(key)
            except Exception:  # noqa: BLE001 -- a defect for one key must not stop the others
                _log.exception("%s: failed to process %s", self._name, key)
                self._queue.add_rate_limited(key)
            finally:
                self._queue.done(key)
