"""When to ask again."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Final

HEARTBEATS: Final = 5.0
"""About how many statuses that say nothing new are written a second, unless ``RAREST`` wants more."""
RAREST: Final = timedelta(minutes=30)
"""How old what a status says of the time of the last poll may be, of however many watches."""
RESYNC_TIME_PER_WATCH: Final = timedelta(milliseconds=20)
"""How much longer each watch makes the time between two resyncs, if the configured interval is shorter."""
MAX_BACKOFF: Final = timedelta(minutes=5)
"""The slowest that trouble makes a watch: also the slowest ``pollInterval``."""

FREE_FAILURES: Final = 3
"""Failures in a row before a query is backed off."""


def jitter(seed: str, period: timedelta) -> timedelta:
    """Return a point in *period*: always the same for one *seed*, and evenly spread over many.

    Watches created by one commit, or found by one restart, would otherwise ask Azure in step for ever.
    """
    digest = hashlib.sha256(seed.encode()).digest()
    return period * (int.from_bytes(digest[:8], "big") / 2**64)


FIRST_RETRY: Final = timedelta(seconds=7)
"""Doubling from here, ten attempts to deliver a notification take an hour."""


def retry_delay(attempt: int, seed: str, retry_after: timedelta | None) -> timedelta:
    """Return how long to wait after *attempt* (1, 2, …) to deliver failed: doubling, spread by a tenth for each *seed*.

    Longer where the receiver asked for that, which is for the caller to bound.
    """
    delay = FIRST_RETRY * (1 << attempt - 1)
    return max(delay + jitter(f"{seed}/{attempt}", delay / 10), retry_after or timedelta())


def backoff(failures: int, interval: float, seed: str) -> float:
    """Return the seconds for which to send no request after *failures* in a row: doubling, bounded, with jitter.

    The first failures cost nothing more than the interval, since most are over by the next tick.
    """
    if failures <= FREE_FAILURES:
        return 0.0
    # The exponent is bounded too: a float overflows long before an outage ends.
    delay = min(interval * (1 << min(failures - FREE_FAILURES, 10)), MAX_BACKOFF.total_seconds())
    return delay + jitter(f"{seed}/{failures}", timedelta(seconds=delay / 10)).total_seconds()


def heartbeat(least: timedelta, watches: int, *, seed: str) -> timedelta:
    """Return after how long the status of an unchanged watch is written again, where so many *watches* are polled.

    Not before the *least* time, and of many watches as seldom as ``HEARTBEATS`` a second allow, or ``RAREST``: spread
    by up to a half for each *seed*, since after a restart all have been written within a minute.
    """
    most = min(timedelta(seconds=watches / HEARTBEATS), RAREST)
    if most <= least:
        return least
    soonest = max(least, most / 2)
    return soonest + jitter(seed, most - soonest)


def resync_pause(least: timedelta, watches: int) -> timedelta:
    """Return the time between two resyncs of so many *watches*: the *least*, or longer if there are thousands.

    To list ten thousand takes a second of CPU, and such a list rarely shows anything new.
    """
    return max(least, RESYNC_TIME_PER_WATCH * watches)
