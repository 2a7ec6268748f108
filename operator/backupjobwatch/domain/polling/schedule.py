"""Jitter, backoff, and the intervals that depend on the number of watches."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Final

HEARTBEATS: Final = 5.0
"""Approximate limit of heartbeat writes per second. ``RAREST`` takes precedence."""
RAREST: Final = timedelta(minutes=30)
"""Longest time between two heartbeat writes of a status, for any number of watches."""
RESYNC_TIME_PER_WATCH: Final = timedelta(milliseconds=20)
"""Resync interval per watch. The configured interval applies if it is longer."""
MAX_BACKOFF: Final = timedelta(minutes=5)
"""The longest backoff, which is also the longest ``pollInterval``."""

FREE_FAILURES: Final = 3
"""Consecutive failures before a query backs off."""


def jitter(seed: str, period: timedelta) -> timedelta:
    """Return a time within *period*: always the same for one *seed*, and evenly distributed over many.

    Without it, all watches of one commit or one restart would always poll Azure at the same time.
    """
    digest = hashlib.sha256(seed.encode()).digest()
    return period * (int.from_bytes(digest[:8], "big") / 2**64)


FIRST_RETRY: Final = timedelta(seconds=7)
"""Delay before the first retry of a notification. With doubling, ten attempts take an hour."""


def retry_delay(attempt: int, seed: str, retry_after: timedelta | None) -> timedelta:
    """Return the delay after failed delivery *attempt* (1, 2, …): doubling, with jitter of up to 10 %.

    The delay is at least *retry_after* of the receiver, which the caller limits.
    """
    delay = FIRST_RETRY * (1 << attempt - 1)
    return max(delay + jitter(f"{seed}/{attempt}", delay / 10), retry_after or timedelta())


def backoff(failures: int, interval: float, seed: str) -> float:
    """Return the backoff in seconds after consecutive *failures*: doubling, limited, with jitter.

    The first failures cause no backoff, because most errors no longer occur at the next tick.
    """
    if failures <= FREE_FAILURES:
        return 0.0
    # Limit the exponent too: in a long outage, the float would overflow.
    delay = min(interval * (1 << min(failures - FREE_FAILURES, 10)), MAX_BACKOFF.total_seconds())
    return delay + jitter(f"{seed}/{failures}", timedelta(seconds=delay / 10)).total_seconds()


def heartbeat(least: timedelta, watches: int, *, seed: str) -> timedelta:
    """Return the heartbeat: the time after which an unchanged status is written again.

    It is *least*, or longer for many polled *watches*: then ``HEARTBEATS`` and ``RAREST`` limit the writes. In that case
    *seed* shortens it by up to half, because after a restart all statuses were written within one minute.
    """
    most = min(timedelta(seconds=watches / HEARTBEATS), RAREST)
    if most <= least:
        return least
    soonest = max(least, most / 2)
    return soonest + jitter(seed, most - soonest)


def resync_pause(least: timedelta, watches: int) -> timedelta:
    """Return the time between two resyncs: *least*, or longer for thousands of *watches*.

    A list of ten thousand watches takes one second of CPU, and rarely shows a change.
    """
    return max(least, RESYNC_TIME_PER_WATCH * watches)
