"""When to poll, write and deliver again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backupjobwatch.domain.api.spec import POLL_INTERVALS
from backupjobwatch.domain.polling.schedule import (
    FIRST_RETRY,
    FREE_FAILURES,
    HEARTBEATS,
    MAX_BACKOFF,
    RAREST,
    backoff,
    heartbeat,
    jitter,
    resync_pause,
    retry_delay,
)

INTERVAL = timedelta(seconds=30)


def test_spread_is_steady() -> None:
    """Each seed always has the same offset within the period."""
    assert jitter("uid", INTERVAL) == jitter("uid", INTERVAL)
    assert timedelta() <= jitter("uid", INTERVAL) < INTERVAL


def test_spread_is_even() -> None:
    """Many seeds are spread evenly over the period."""
    tenths = [0] * 10
    for number in range(10_000):
        tenths[jitter(f"uid-{number}", INTERVAL) * 10 // INTERVAL] += 1

    assert min(tenths) > 850
    assert max(tenths) < 1150


@pytest.mark.parametrize("failures", [0, 1, FREE_FAILURES])
def test_first_failures(failures: int) -> None:
    """The first consecutive failures add no wait to the interval."""
    assert backoff(failures, 30, "uid") == 0


@pytest.mark.parametrize(("failures", "seconds"), [(4, 60), (5, 120), (6, 240), (7, 300), (8, 300), (1000, 300)])
def test_doubling(failures: int, seconds: float) -> None:
    """Each further failure doubles the wait, up to five minutes, with jitter of less than 10 %."""
    assert seconds <= backoff(failures, 30, "uid") <= seconds * 1.1


@pytest.mark.parametrize("interval", POLL_INTERVALS.values())
@pytest.mark.parametrize("failures", [4, 12, 13, 14, 10**6, 10**100])
def test_bounded(interval: timedelta, failures: int) -> None:
    """The wait is bounded even after a very long outage."""
    assert 0 < backoff(failures, interval.total_seconds(), "uid") <= MAX_BACKOFF.total_seconds() * 1.1


def test_apart() -> None:
    """Queries that failed together are retried at different times, in a different order each time."""
    first = {backoff(7, 30, f"uid-{number}") for number in range(100)}

    assert len(first) == 100
    assert backoff(7, 30, "uid") != backoff(8, 30, "uid")


def test_maximum_backoff() -> None:
    """The maximum backoff equals the longest poll interval."""
    assert max(POLL_INTERVALS.values()) == MAX_BACKOFF


def test_deliveries_are_retried_for_an_hour() -> None:
    """Ten attempts to deliver a notification take an hour, each with jitter of 10 %."""
    delays = [retry_delay(attempt, "uid", None) for attempt in range(1, 10)]

    assert sum(delays, timedelta()) / timedelta(hours=1) == pytest.approx(1, abs=0.1)
    for number, delay in enumerate(delays):
        assert FIRST_RETRY * 2**number <= delay < FIRST_RETRY * 2**number * 1.1


def test_receiver_that_requests_a_longer_wait() -> None:
    """A longer wait that the receiver requests is used."""
    assert retry_delay(1, "uid", timedelta(minutes=5)) == timedelta(minutes=5)
    assert retry_delay(4, "uid", timedelta(seconds=1)) == retry_delay(4, "uid", None)


@pytest.mark.parametrize(("watches", "seconds"), [(0, 60), (1, 60), (3000, 60), (3001, 60.02), (10_000, 200)])
def test_resyncs(watches: int, seconds: float) -> None:
    """Up to 3,000 watches are resynced at the configured interval. Above that, at most 50 are resynced per second."""
    assert resync_pause(timedelta(minutes=1), watches).total_seconds() == seconds


@pytest.mark.parametrize("watches", [0, 1, 1499, 1500])
def test_a_heartbeat_of_few(watches: int) -> None:
    """Up to 1,500 watches are written exactly at the configured heartbeat."""
    assert heartbeat(timedelta(minutes=5), watches, seed="a") == timedelta(minutes=5)


@pytest.mark.parametrize("least", [timedelta(seconds=1), timedelta(minutes=5), timedelta(hours=1)])
@pytest.mark.parametrize("watches", [1501, 10_000, 1_000_000])
def test_heartbeats_of_many(least: timedelta, watches: int) -> None:
    """Many watches share about five heartbeats per second, within the configured heartbeat and the maximum age."""
    each = [heartbeat(least, watches, seed=str(number)) for number in range(1000)]
    mean = sum(every.total_seconds() for every in each) / len(each)

    assert least <= min(each) <= max(each) <= max(least, RAREST)
    assert least > RAREST / 2 or max(each) >= 0.99 * RAREST or watches / mean <= 1.4 * HEARTBEATS


def test_heartbeats_are_spread() -> None:
    """Heartbeats of 10,000 statuses that were written in one minute are spread evenly over the minutes."""
    due = [heartbeat(timedelta(minutes=5), 10_000, seed=str(number)) for number in range(10_000)]
    minutes = [sum(minute <= each / timedelta(minutes=1) < minute + 1 for each in due) for minute in range(15, 30)]

    assert sum(minutes) == 10_000
    assert all(580 < count < 760 for count in minutes)
    assert heartbeat(timedelta(minutes=5), 10_000, seed="7") == due[7]
