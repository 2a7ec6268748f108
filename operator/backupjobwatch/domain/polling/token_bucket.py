"""The rate of reads: one token bucket for all watches of a principal in a subscription.

It starts at the configured rate. Azure's own count of remaining requests then raises or lowers the rate. Azure's limits
differ between years and subscriptions, from 150 reads per hour to several per second.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

LOW: Final = 50
"""Remaining requests, by Azure's count, below which the rate falls."""
HIGH: Final = 200
"""Remaining requests, by Azure's count, above which the rate grows."""
MAX_SPEED: Final = 4.0
"""The highest multiple of the configured rate."""
CEILING: Final = 25.0
"""The highest rate after high counts, in reads per second: ARM's documented limit for reads of a subscription."""
GROWTH: Final = 1.02
"""Factor by which the rate grows with each response whose count is high."""
STALE: Final = 300.0
"""Seconds after which a count of Azure is ignored."""
ONE: Final = 1 - 1e-6
"""One token minus a margin for rounding. Without the margin, a wait may be too short to advance the clock."""
SLOWEST: Final = 0.05
"""The lowest share of the configured rate. If nothing remains, Azure responds with 429 and a Retry-After."""


@dataclass(slots=True, kw_only=True)
class TokenBucket:
    """Tokens that are refilled at a rate. All times are seconds on one monotonic clock."""

    rate: float
    """Configured reads per second."""
    burst: float
    tokens: float = field(init=False)
    _speed: float = field(default=1.0, init=False)
    _remaining: dict[str, tuple[int, float]] = field(default_factory=dict, init=False)
    """Azure's count of remaining requests for each kind of request, and when it was received."""
    _updated: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def take(self, now: float) -> float:
        """Take the next token, which may not exist yet. Return the seconds until it does."""
        self._refill(now)
        self.tokens -= 1
        return max(-self.tokens, 0.0) / self.rate_at(now)

    def put_back(self) -> None:
        """Put back a token that was not used."""
        self.tokens = min(self.burst, self.tokens + 1)

    def wait(self, now: float) -> float:
        """Return the seconds until there is a token."""
        self._refill(now)
        return (1 - self.tokens) / self.rate_at(now) if self.tokens < ONE else 0.0

    def tokens_at(self, now: float) -> float:
        """Return the number of tokens."""
        self._refill(now)
        return max(self.tokens, 0.0)

    def learn(self, kind: str, remaining: int, now: float) -> None:
        """Adapt the rate to Azure's count of *remaining* requests of this *kind*."""
        self._refill(now)
        self._remaining[kind] = (remaining, now)
        lowest = self.remaining(now)
        is_high = lowest is not None and lowest >= HIGH
        self._speed = min(self._speed * GROWTH, MAX_SPEED) if is_high else max(self._speed / GROWTH**4, 1.0)

    def slow_down(self, now: float) -> None:
        """Return to the configured rate after Azure refused a request with 429."""
        self._refill(now)
        self._speed = 1.0

    def remaining(self, now: float) -> int | None:
        """Return the lowest of Azure's counts; None without a recent one."""
        counts = (remaining for remaining, received in self._remaining.values() if now - received < STALE)
        return min(counts, default=None)

    def rate_at(self, now: float) -> float:
        """Return the current rate, in reads per second."""
        remaining = self.remaining(now)
        if remaining is None:
            return self.rate
        fastest = max(self.rate, CEILING)
        return min(self.rate * self._speed, fastest) * min(max(remaining / LOW, SLOWEST), 1.0)

    def _refill(self, now: float) -> None:
        elapsed = 0.0 if self._updated is None else max(now - self._updated, 0.0)
        self.tokens = min(self.burst, self.tokens + elapsed * self.rate_at(now))
        self._updated = now
