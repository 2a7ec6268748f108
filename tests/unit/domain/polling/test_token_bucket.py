"""The token bucket: what it allows, and how it adapts to Azure's remaining counts."""

from __future__ import annotations

import pytest

from backupjobwatch.domain.polling.token_bucket import (
    CEILING,
    GROWTH,
    HIGH,
    LOW,
    MAX_SPEED,
    SLOWEST,
    STALE,
    TokenBucket,
)


def take(bucket: TokenBucket, now: float) -> bool:
    """Take a token. Return False if there is none."""
    return bucket.wait(now) == 0 and bucket.take(now) < 1e-5


def drain(bucket: TokenBucket, now: float) -> int:
    """Take all tokens, and return their number."""
    taken = 0
    while taken < 10**5 and take(bucket, now):
        taken += 1
    return taken


def make(rate: float = 2.0, burst: float = 20) -> TokenBucket:
    return TokenBucket(rate=rate, burst=burst)


@pytest.mark.parametrize("start", [0.0, 10.0, 10**9])
def test_burst(start: float) -> None:
    """The first burst of reads is allowed at once, whatever the clock shows."""
    bucket = make()

    assert drain(bucket, start) == 20
    assert not take(bucket, start)


@pytest.mark.parametrize(("seconds", "tokens"), [(0.4, 0), (0.5, 1), (3, 6), (10, 20), (10**6, 20)])
def test_refill(seconds: float, tokens: int) -> None:
    """Tokens refill at the rate, up to the burst."""
    bucket = make()
    drain(bucket, 100)

    assert drain(bucket, 100 + seconds) == tokens


@pytest.mark.parametrize("tick", [0.1, 1.0, 7.0, 30.0])
def test_long_run(tick: float) -> None:
    """In an hour the bucket allows at most the rate and the burst, and not much less, however often it is used."""
    bucket, taken, now = make(), 0, 0.0
    while now <= 3600:
        taken += drain(bucket, now)
        now += tick

    assert taken <= 3600 * 2 + 20
    assert taken >= min(3600 * 2, 3600 / tick * 20) * 0.95


@pytest.mark.parametrize(
    ("remaining", "rate"),
    [(10**4, 2.0 * GROWTH), (LOW, 2.0), (LOW - 1, 1.96), (LOW // 2, 1.0), (5, 0.2), (1, 2 * SLOWEST), (0, 2 * SLOWEST)],
)
def test_learns(remaining: int, rate: float) -> None:
    """As Azure's remaining count falls, the rate falls but never reaches zero, because a 429 says how long to wait."""
    bucket = make()
    bucket.learn("job", remaining, 0)

    assert bucket.rate_at(0) == pytest.approx(rate)
    drain(bucket, 0)
    assert drain(bucket, 5) == int(rate * 5 + 1e-9)


def test_learns_by_kind() -> None:
    """Each kind of read has its own count, and the lowest decides, so other kinds cannot hide it."""
    bucket = make()
    bucket.learn("job", 25, 0)
    bucket.learn("list", 1099, 0)

    assert bucket.rate_at(0) == pytest.approx(1.0)
    bucket.learn("job", 249, 1)
    assert bucket.rate_at(1) == pytest.approx(2.0 * GROWTH)


def test_ignores_old_counts() -> None:
    """An old count is ignored."""
    bucket = make()
    bucket.learn("job", 0, 100)

    assert bucket.rate_at(100 + STALE - 1) == 2 * SLOWEST
    assert bucket.rate_at(100 + STALE) == 2.0


def test_keeps_the_newest_count() -> None:
    """Only the newest count of each kind is kept."""
    bucket = make()
    for number in range(1000):
        bucket.learn("job", number, number)

    assert len(bucket._remaining) == 1


@pytest.mark.parametrize(("rate", "seconds"), [(0.1, 10), (2, 0.5), (25, 0.04)])
def test_wait(rate: float, seconds: float) -> None:
    """The bucket reports exactly how long to wait for the next token."""
    bucket = make(rate=rate)
    assert bucket.wait(100) == 0
    drain(bucket, 100)

    assert bucket.wait(100) == pytest.approx(seconds)
    assert not take(bucket, 100 + seconds * 0.99)
    assert bucket.wait(100 + seconds) == 0
    assert take(bucket, 100 + seconds)


@pytest.mark.parametrize("rate", [0.1, 0.3, 1 / 3, 0.7, 2.0, 7.3, 25.0])
@pytest.mark.parametrize("start", [0.1, 123456.789, 1e8])
def test_waits_move_the_clock(rate: float, start: float) -> None:
    """After the reported wait there is a token. Rounding never makes the wait too short to advance the clock."""
    bucket, now = make(rate=rate), start
    drain(bucket, now)
    for _ in range(100):
        wait = bucket.wait(now)
        assert now + wait > now
        now += wait
        while wait := bucket.wait(now):
            assert now + wait > now
            now += wait
        assert take(bucket, now)


def test_tokens() -> None:
    """The number of tokens is reported as of now."""
    bucket = make()
    drain(bucket, 100)

    assert bucket.tokens_at(103) == 6


def test_speeds_up() -> None:
    """While Azure's count stays high, the rate grows slowly, up to a multiple of the configured rate."""
    bucket = make()
    for second in range(30):
        bucket.learn("job", HIGH, second)
    assert 1.5 < bucket.rate_at(30) / 2 < 2
    for second in range(30, 200):
        bucket.learn("job", HIGH, second)
    assert bucket.rate_at(200) == 2 * MAX_SPEED


@pytest.mark.parametrize(("rate", "fastest"), [(10, CEILING), (25, 25)])
def test_ceiling(rate: float, fastest: float) -> None:
    """The rate never exceeds the one that ARM documents for a subscription."""
    bucket = make(rate=rate)
    for second in range(200):
        bucket.learn("job", 10**4, second)

    assert bucket.rate_at(200) == fastest


def test_slows_down() -> None:
    """A lower count reduces the rate faster than it grew."""
    bucket = make()
    for second in range(100):
        bucket.learn("job", HIGH, second)
    speed = bucket.rate_at(100)
    bucket.learn("job", HIGH - 1, 100)
    assert bucket.rate_at(100) == pytest.approx(speed / GROWTH**4)
    for second in range(100, 130):
        bucket.learn("job", HIGH - 1, second)
    assert bucket.rate_at(130) == 2


def test_refused() -> None:
    """A 429 resets the rate to the configured one."""
    bucket = make()
    for second in range(100):
        bucket.learn("job", HIGH, second)
    bucket.slow_down(100)

    assert bucket.rate_at(100) == 2
    assert bucket.remaining(100) == HIGH
    assert bucket.remaining(99 + STALE) is None


def test_clock_that_stands_still() -> None:
    """A time that is not later than the last one neither adds nor removes tokens."""
    bucket = make()
    drain(bucket, 100)

    assert not take(bucket, 99)
    assert drain(bucket, 101) in (2, 4)


def test_tokens_in_advance() -> None:
    """Tokens that do not exist yet become valid one after the other, at the rate of the bucket."""
    bucket = TokenBucket(rate=2.0, burst=1.0)

    assert [bucket.take(0.0) for _ in range(3)] == [0.0, 0.5, 1.0]
    assert not take(bucket, 1.0)
    assert bucket.take(2.0) == 0.0
