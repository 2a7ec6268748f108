"""A one-way signal between threads and event loops."""

import asyncio
import contextlib
import threading


class Latch:
    """
    Closed until :meth:`open`, and open from then on.

    Any thread can open it. Threads wait with :meth:`wait`, and coroutines of any event loop with :meth:`opened`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._event = threading.Event()
        self._futures: set[asyncio.Future[None]] = set()

    def open(self) -> None:
        """Open the latch, and wake all waiting threads and coroutines."""
        with self._lock:
            self._event.set()
            futures, self._futures = self._futures, set()
        for future in futures:
            with contextlib.suppress(RuntimeError):  # the event loop is closed, so no coroutine waits
                future.get_loop().call_soon_threadsafe(_resolve, future)

    def is_open(self) -> bool:
        """Return whether the latch is open."""
        return self._event.is_set()

    def wait(self, timeout: float) -> bool:
        """Block this thread until the latch opens. Return False after *timeout* seconds."""
        return self._event.wait(timeout)

    async def opened(self) -> None:
        """Wait until the latch opens, without blocking the event loop."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._event.is_set():
                return
            self._futures.add(future)
        try:
            await future
        finally:
            with self._lock:
                self._futures.discard(future)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
