"""How often Azure may be asked: one token bucket for all watches of an identity in a subscription."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

LOW: Final = 50
"""Remaining requests, as Azure tells them, below which reads are made rarer. Job GETs have a bucket of some 250."""
STALE: Final = 300.0
"""Seconds after which such a count says nothing any more."""
SLOWEST: Final = 0.05
"""The least share of the rate that is kept when nothing remains: a 429 then says how long to wait."""


@dataclass(slots=True, kw_only=True, weakref_slot=True, eq=False)
class TokenBucket:
    """Tokens that come back at a rate. All times are seconds on one steady clock."""

    rate: float
    """Reads a second."""
    burst: float
    tokens: float = field(init=False)
    _remaining: dict[str, tuple[int, float]] = field(default_factory=dict, init=False)
    """Azure's own counts of what remains, by kind of read, and when they were learnt."""
    _updated: float = field(default=0.0, init=False)
    _stopped_until: float = field(default=float("-inf"), init=False)

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def take(self, now: float, *, reserve: float = 0.0) -> bool:
        """Take the token for one read, if one is there beyond the *reserve* for what matters more."""
        self._refill(now)
        if now < self._stopped_until or self.tokens < 1 + reserve:
            return False
        self.tokens -= 1
        return True

    def charge(self, now: float, reads: int) -> None:
        """Pay for *reads* that were made without asking: the further pages of a list. They may be owed."""
        self._refill(now)
        self.tokens -= reads

    def learn(self, kind: str, remaining: int, now: float) -> None:
        """Heed Azure's count of remaining requests before it says no. Each *kind* of read has one of its own."""
        self._remaining[kind] = (remaining, now)

    def remaining(self, now: float) -> int | None:
        """Return the least of Azure's counts that still say something."""
        counts = (remaining for remaining, learnt in self._remaining.values() if now - learnt < STALE)
        return min(counts, default=None)

    def tokens_at(self, now: float) -> float:
        """Return how many reads can be made at once; negative where some are owed."""
        self._refill(now)
        return self.tokens

    def rate_at(self, now: float) -> float:
        """Return the reads a second that are left to us."""
        remaining = self.remaining(now)
        return self.rate * min(max((LOW if remaining is None else remaining) / LOW, SLOWEST), 1.0)

    def stop(self, now: float, seconds: float) -> None:
        """Read nothing for *seconds*: asking earlier is refused, and renews the wait."""
        self._stopped_until = max(self._stopped_until, now + seconds)

    def wait(self, now: float) -> float:
        """Return for how many seconds nothing is to be read because Azure said so."""
        return max(self._stopped_until - now, 0.0)

    def _refill(self, now: float) -> None:
        elapsed = max(now - self._updated, 0.0)
        self.tokens = min(self.burst, self.tokens + elapsed * self.rate_at(now))
        self._updated = now
