"""The pauses that Azure asks for, by key and kind of request. Safe for use by several threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Literal

from backupjobwatch.arm.responses import LONGEST_WAIT

if TYPE_CHECKING:
    from collections.abc import Hashable

RequestKind = Literal["job", "list", "operation"]
"""The kinds of requests to which Azure applies limits of their own."""

_EVERYTHING: Final = None


class Pauses:
    """Remembers when Azure accepts requests again. Times are seconds of one monotonic clock.

    A key names the limits that requests share, for example a principal and a subscription. Each method affects only its key.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: dict[Hashable, dict[RequestKind | None, float]] = {}

    def extend(self, key: Hashable, kind: RequestKind, *, until: float, everything: bool = False) -> None:
        """Pause *kind*, or *everything*, until *until*, unless the current pause lasts longer.

        Answers may arrive in any order.
        """
        with self._lock:
            self._extend(key, kind, until, everything=everything)

    def throttle(self, key: Hashable, kind: RequestKind, *, until: float, now: float, everything: bool) -> None:
        """Record a 429 for *kind*. It pauses everything if another kind is paused already."""
        with self._lock:
            ends = self._ends.get(key, {})
            second = any(end > now for paused, end in ends.items() if paused not in (kind, _EVERYTHING))
            self._extend(key, kind, until, everything=everything or second)

    def left(self, key: Hashable, kind: RequestKind, *, now: float) -> float:
        """Return the seconds for which *kind* is still paused; 0 without a pause."""
        with self._lock:
            ends = self._ends.get(key, {})
            return max(now, *(ends.get(paused, now) for paused in (kind, _EVERYTHING))) - now

    def _extend(self, key: Hashable, kind: RequestKind, until: float, *, everything: bool) -> None:
        if key not in self._ends:
            self._drop_ended(until)
        ends = self._ends.setdefault(key, {})
        for paused in (kind, _EVERYTHING) if everything else (kind,):
            ends[paused] = max(until, ends.get(paused, until))

    def _drop_ended(self, until: float) -> None:
        # The pause until *until* begins now and lasts at most LONGEST_WAIT, so it is at least this late.
        earliest = until - LONGEST_WAIT.total_seconds()
        self._ends = {key: ends for key, ends in self._ends.items() if max(ends.values()) > earliest}
