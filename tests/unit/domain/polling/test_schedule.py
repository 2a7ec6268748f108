"""When to ask again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backupjobwatch.domain.api.spec import POLL_INTERVALS
from backupjobwatch.domain.polling.schedule import (
    HEARTBEATS,
    MAX_BACKOFF,
    RAREST,
    backoff,
    failures_after,
    heartbeat,
    jitter,
    resync_pause,
    until,
)
from backupjobwatch.errors import AzureUnavailable, JobNotFound, Throttled
from tests.support.builders import NOW, job

INTERVAL = timedelta(seconds=30)


def test_spread_is_steady() -> None:
    """One seed has one point, inside the period."""
    assert jitter("uid", INTERVAL) == jitter("uid", INTERVAL)
    assert timedelta() <= jitter("uid", INTERVAL) < INTERVAL


def test_spread_is_even() -> None:
    """Many seeds fill the period evenly: each tenth of it has its share of them."""
    tenths = [0] * 10
    for number in range(10_000):
        tenths[jitter(f"uid-{number}", INTERVAL) * 10 // INTERVAL] += 1

    assert min(tenths) > 850
    assert max(tenths) < 1150


@pytest.mark.parametrize("failures", [-1, 0, 1])
def test_first_failure(failures: int) -> None:
    """The first failure costs nothing more than the interval."""
    assert backoff(failures, INTERVAL, "uid") == timedelta()


@pytest.mark.parametrize(("failures", "seconds"), [(2, 60), (3, 120), (4, 240), (5, 300), (6, 300), (1000, 300)])
def test_doubling(failures: int, seconds: int) -> None:
    """Each further failure doubles the wait, up to five minutes, spread by less than a tenth."""
    delay = timedelta(seconds=seconds)

    assert delay <= backoff(failures, INTERVAL, "uid") <= delay * 1.1


@pytest.mark.parametrize("interval", POLL_INTERVALS.values())
@pytest.mark.parametrize("failures", [2, 10, 11, 12, 10**6, 10**100])
def test_bounded(interval: timedelta, failures: int) -> None:
    """However long an outage lasts, the wait is bounded and computable."""
    assert timedelta() < backoff(failures, interval, "uid") <= MAX_BACKOFF * 1.1


def test_apart() -> None:
    """Watches that failed together do not come back together, nor twice in the same order."""
    first = {backoff(5, INTERVAL, f"uid-{number}") for number in range(100)}

    assert len(first) == 100
    assert backoff(5, INTERVAL, "uid") != backoff(6, INTERVAL, "uid")


def test_never_faster_than_asked() -> None:
    """The slowest poll interval is the bound of the wait."""
    assert max(POLL_INTERVALS.values()) == MAX_BACKOFF


def test_trouble_in_a_row_is_counted() -> None:
    """Where Azure does not answer as it should, that counts; an answer that there is no such job does not, nor a job."""
    assert failures_after(AzureUnavailable("No answer."), 0) == 1
    assert failures_after(Throttled("Later."), 4) == 5
    assert failures_after(JobNotFound("No such job."), 4) == failures_after(job(), 4) == 0


@pytest.mark.parametrize(("watches", "seconds"), [(0, 60), (1, 60), (3000, 60), (3001, 60.02), (10_000, 200)])
def test_sweeps(watches: int, seconds: float) -> None:
    """Up to three thousand watches are swept as often as is set; more, no more than fifty of them a second."""
    assert resync_pause(timedelta(minutes=1), watches).total_seconds() == seconds


@pytest.mark.parametrize("watches", [0, 1, 1499, 1500])
def test_a_heartbeat_of_few(watches: int) -> None:
    """Up to 1,500 watches are written at the heartbeat that is set, and not before."""
    assert heartbeat(timedelta(minutes=5), watches, seed="a") == timedelta(minutes=5)


@pytest.mark.parametrize("least", [timedelta(seconds=1), timedelta(minutes=5), timedelta(hours=1)])
@pytest.mark.parametrize("watches", [1501, 10_000, 1_000_000])
def test_heartbeats_of_many(least: timedelta, watches: int) -> None:
    """Of many watches heartbeats are about five a second, unless they were rarer than a status may be old, or is set."""
    each = [heartbeat(least, watches, seed=str(number)) for number in range(1000)]
    mean = sum(every.total_seconds() for every in each) / len(each)

    assert least <= min(each) <= max(each) <= max(least, RAREST)
    assert least > RAREST / 2 or max(each) >= 0.99 * RAREST or watches / mean <= 1.4 * HEARTBEATS


def test_heartbeats_are_spread() -> None:
    """Ten thousand statuses that were written in one minute are not written again in one: each minute has its part."""
    due = [heartbeat(timedelta(minutes=5), 10_000, seed=str(number)) for number in range(10_000)]
    minutes = [sum(minute <= each / timedelta(minutes=1) < minute + 1 for each in due) for minute in range(15, 30)]

    assert sum(minutes) == 10_000
    assert all(580 < count < 760 for count in minutes)
    assert heartbeat(timedelta(minutes=5), 10_000, seed="7") == due[7]


@pytest.mark.parametrize(
    ("deadline", "seconds"),
    [(None, 30), (timedelta(hours=1), 30), (timedelta(seconds=7), 7), (timedelta(), 0), (timedelta(seconds=-5), 0)],
)
def test_a_deadline_cuts_a_wait_short(deadline: timedelta | None, seconds: int) -> None:
    """No wait goes past a deadline, nor is it less than nothing."""
    end = None if deadline is None else NOW + deadline
    assert until(end, now=NOW, at_most=INTERVAL) == timedelta(seconds=seconds)
