"""The pauses that Azure asks for, by identity and subscription. Safe for use by several threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from backupjobwatch.arm.credentials import TokenSource


class Pauses:
    """Remembers when Azure accepts requests again. Times are those of one monotonic clock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: WeakKeyDictionary[TokenSource, dict[str, float]] = WeakKeyDictionary()

    def extend(self, tokens: TokenSource, subscription: str, *, until: float) -> None:
        """Pause until *until*, unless the present pause lasts longer: answers may arrive in any order."""
        with self._lock:
            ends = self._ends.setdefault(tokens, {})
            ends[subscription] = max(until, ends.get(subscription, until))

    def left(self, tokens: TokenSource, subscription: str, *, now: float) -> float:
        """Return the seconds that the pause still lasts; 0 without a pause."""
        with self._lock:
            return max(self._ends.get(tokens, {}).get(subscription, now) - now, 0.0)
