"""
Limit the reads of a principal in a subscription, as Azure Resource Manager does.

Each combination of principal, subscription and kind of request has a token bucket. A request before the end of
``Retry-After`` is refused and restarts the wait.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from demo.simulator import errors
from demo.simulator.messages import Answer

Kind = Literal["reads", "jobs", "writes"]
"""``jobs`` are GETs of single jobs in Recovery Services vaults. The provider has a smaller bucket for them."""

_BIG: float = 1e-9
"""The tolerance for rounding errors in tokens."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The size of a token bucket, and its refill rate per second."""

    size: int
    refill: float


READS = Bucket(250, 25.0)
"""https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling"""
WRITES = Bucket(200, 10.0)
"""POST requests count as writes, even if they only read."""
JOBS = Bucket(250, 250 / 3600)
"""The rate limit header starts at 249 and falls by 1 with each GET. The refill rate is not known."""


@dataclass(slots=True)
class _Level:
    tokens: float
    at: float
    blocked_until: float = 0.0
    wait: int = 0


class Quotas:
    """The quotas of all principals. Disabled until :meth:`enable`. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: dict[Kind, Bucket] | None = None
        self._levels: dict[tuple[str, str, Kind], _Level] = {}
        self._now: Callable[[], float] = time.monotonic
        self.refused = 0
        """The number of requests refused with 429."""
        self.too_early = 0
        """The number of refused requests that arrived before the end of a ``Retry-After``."""

    def enable(
        self,
        *,
        reads: Bucket = READS,
        jobs: Bucket = JOBS,
        writes: Bucket = WRITES,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Enable the quotas with full buckets. *now* returns the time in seconds."""
        with self._lock:
            self._buckets, self._levels, self._now = {"reads": reads, "jobs": jobs, "writes": writes}, {}, now
            self.refused = self.too_early = 0

    def disable(self) -> None:
        """Disable the quotas."""
        with self._lock:
            self._buckets = None

    def remaining(self, principal: str, subscription_id: str, kind: Kind = "jobs") -> int | None:
        """Return the number of remaining requests, or None if the quotas are disabled."""
        with self._lock:
            if self._buckets is None:
                return None
            return int(self._level(principal, subscription_id, kind, self._buckets[kind]).tokens + _BIG)

    def take(self, principal: str, subscription_id: str, kind: Kind, *, action: str) -> Answer | dict[str, str]:
        """Count one request. Return its refusal, or the headers for its response."""
        with self._lock:
            if self._buckets is None:
                return {}
            bucket = self._buckets[kind]
            level, now = self._level(principal, subscription_id, kind, bucket), self._now()
            early = now < level.blocked_until
            if not early and level.tokens >= 1 - _BIG:
                level.tokens -= 1
                return _headers(kind, level.tokens)
            self.refused += 1
            self.too_early += early
            level.wait = level.wait if early else max(1, math.ceil((1 - level.tokens) / max(bucket.refill, _BIG)))
            level.blocked_until = now + level.wait
            seconds = str(level.wait)
        refusal = (
            errors.resource_throttled(action=action, seconds=seconds)
            if kind == "jobs"
            else errors.subscription_throttled(
                subscription_id=subscription_id, principal=principal, seconds=seconds, kind=kind
            )
        )
        return refusal.with_headers({"Retry-After": seconds})

    def _level(self, principal: str, subscription_id: str, kind: Kind, bucket: Bucket) -> _Level:
        now = self._now()
        key = (principal, subscription_id.casefold(), kind)
        level = self._levels.setdefault(key, _Level(bucket.size, now))
        level.tokens = min(level.tokens + (now - level.at) * bucket.refill, bucket.size)
        level.at = now
        return level


def _headers(kind: Kind, tokens: float) -> dict[str, str]:
    left = int(tokens + _BIG)
    if kind == "jobs":
        return {"x-ms-ratelimit-remaining-subscription-resource-requests": str(left)}
    return {
        f"x-ms-ratelimit-remaining-subscription-{kind}": str(left),
        f"x-ms-ratelimit-remaining-subscription-global-{kind}": str(15 * left),
    }
