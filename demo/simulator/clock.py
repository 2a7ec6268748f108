"""The simulated clock of the jobs. It can run faster than real time or advance manually."""

import threading
import time
from datetime import UTC, datetime

from demo.simulator.formats import moment_at, ticks_at, ticks_of


class SimulatedClock:
    """
    A clock that starts at *start* (default: now) and runs *speed* times as fast as real time.

    Thread-safe.
    """

    def __init__(self, *, speed: float = 1.0, start: datetime | None = None) -> None:
        self._lock = threading.Lock()
        self._speed = _checked(speed)
        self._base = time.time_ns() // 100 if start is None else ticks_at(start)
        self._mark = time.monotonic_ns()

    def ticks(self) -> int:
        """Return the simulated time in ticks since the Unix epoch."""
        with self._lock:
            return self._read()

    def now(self) -> datetime:
        """Return the simulated time, truncated to microseconds."""
        return moment_at(self.ticks())

    @property
    def speed(self) -> float:
        """Simulated seconds per second of real time. It can be changed while the clock runs."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        with self._lock:
            self._rebase()
            self._speed = _checked(speed)

    def advance(self, seconds: float) -> None:
        """Advance by *seconds* of simulated time."""
        if seconds < 0:
            raise ValueError("time goes one way")
        with self._lock:
            self._rebase()
            self._base += ticks_of(seconds)

    def _read(self) -> int:
        return self._base + int((time.monotonic_ns() - self._mark) * self._speed) // 100

    def _rebase(self) -> None:
        self._base, self._mark = self._read(), time.monotonic_ns()


class ManualClock(SimulatedClock):
    """A clock that only changes with :meth:`advance`."""

    def __init__(self, start: datetime = datetime(2026, 3, 4, 1, 0, 0, tzinfo=UTC)) -> None:
        super().__init__(speed=0.0, start=start)


def _checked(speed: float) -> float:
    if speed < 0:
        raise ValueError("time goes one way")
    return speed
