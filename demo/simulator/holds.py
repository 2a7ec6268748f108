"""Hold requests until a test releases them."""

import asyncio
import re
import threading
from types import TracebackType
from typing import Self

from demo.simulator.latch import Latch
from demo.simulator.messages import ArmRequest


class Hold:
    """
    Delays the responses to requests with a matching path until :meth:`release`.

    As a context manager, it releases them at the end. All methods are thread-safe.
    """

    def __init__(self, path: str, *, state_as_of: str) -> None:
        self._path = re.compile(path, re.IGNORECASE)
        self.answers_as_of_arrival = state_as_of == "arrival"
        self._lock = threading.Lock()
        self._arrivals = 0
        self._first = Latch()
        self._released = Latch()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    @property
    def arrivals(self) -> int:
        """The number of requests held so far."""
        return self._arrivals

    def wait_arrived(self, timeout: float = 60.0) -> None:
        """Block this thread until a matching request has arrived."""
        if not self._first.wait(timeout):
            raise TimeoutError(f"no request arrived that matches {self._path.pattern}")

    async def arrived(self, timeout: float = 60.0) -> None:  # noqa: ASYNC109 - the same signature as wait_arrived
        """Wait as :meth:`wait_arrived` does, without blocking the event loop."""
        async with asyncio.timeout(timeout):
            await self._first.opened()

    def release(self) -> None:
        """Release the held requests, and hold no further ones."""
        self._released.open()

    def matches(self, request: ArmRequest) -> bool:
        """Return whether *request* must wait."""
        return not self._released.is_open() and self._path.search(request.path) is not None

    async def keep(self) -> None:
        """Hold one request until the release."""
        with self._lock:
            self._arrivals += 1
        self._first.open()
        await self._released.opened()


class Holds:
    """The holds of a simulator."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holds: list[Hold] = []

    def add(self, path: str, *, state_as_of: str) -> Hold:
        """Hold the requests whose path matches the regular expression *path*."""
        hold = Hold(path, state_as_of=state_as_of)
        with self._lock:
            self._holds.append(hold)
        return hold

    def release(self) -> None:
        """Release all holds."""
        with self._lock:
            holds, self._holds = self._holds, []
        for hold in holds:
            hold.release()

    def find(self, request: ArmRequest) -> Hold | None:
        """Return the oldest hold that *request* must wait for."""
        with self._lock:
            return next((hold for hold in self._holds if hold.matches(request)), None)
