"""
How much a principal may read of a subscription, as Azure Resource Manager counts it.

Token buckets, one per principal, subscription and kind of request. Whoever asks again before ``Retry-After`` is over is
refused, and waits anew.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from demo.simulator import errors
from demo.simulator.messages import Answer

Kind = Literal["reads", "jobs"]
"""``jobs`` are GETs of single jobs of Recovery Services vaults, for which the provider has a smaller bucket."""

_BIG: float = 1e-9
"""Tokens that are lost in rounding."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Size of a bucket, and how many tokens flow in per second."""

    size: int
    refill: float


READS = Bucket(250, 25.0)
"""https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling"""
JOBS = Bucket(250, 250 / 3600)
"""The header says 249 after the first GET, and one less after each; how fast it is filled again is not known."""


@dataclass(slots=True)
class _Level:
    tokens: float
    at: float
    blocked_until: float = 0.0
    wait: int = 0


class Quotas:
    """Off until :meth:`enable`; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: dict[Kind, Bucket] | None = None
        self._levels: dict[tuple[str, str, Kind], _Level] = {}
        self._now: Callable[[], float] = time.monotonic
        self.refused = 0
        """Requests that got a 429 here."""
        self.too_early = 0
        """Those among them that came before the ``Retry-After`` of an earlier one was over."""

    def enable(self, *, reads: Bucket = READS, jobs: Bucket = JOBS, now: Callable[[], float] = time.monotonic) -> None:
        """Count from now on, with full buckets; *now* tells the time in seconds."""
        with self._lock:
            self._buckets, self._levels, self._now = {"reads": reads, "jobs": jobs}, {}, now
            self.refused = self.too_early = 0

    def disable(self) -> None:
        """Count no more."""
        with self._lock:
            self._buckets = None

    def remaining(self, principal: str, subscription_id: str, kind: Kind = "jobs") -> int | None:
        """Tell how many requests are left; None when nobody counts."""
        with self._lock:
            if self._buckets is None:
                return None
            return int(self._level(principal, subscription_id, kind, self._buckets[kind]).tokens + _BIG)

    def take(self, principal: str, subscription_id: str, kind: Kind, *, action: str) -> Answer | dict[str, str]:
        """Count one request: the refusal, or the headers for its answer."""
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
            else errors.subscription_throttled(subscription_id=subscription_id, principal=principal, seconds=seconds)
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
        "x-ms-ratelimit-remaining-subscription-reads": str(left),
        "x-ms-ratelimit-remaining-subscription-global-reads": str(15 * left),
    }
