"""The token bucket: what it allows, what it learns from Azure, and what it forgets."""

from __future__ import annotations

import pytest

from backupjobwatch.domain.polling.token_bucket import LOW, SLOWEST, STALE, TokenBucket


def drain(budget: TokenBucket, now: float, **more: float) -> int:
    """Take as much as there is, and count it."""
    taken = 0
    while taken < 10**5 and budget.take(now, **more):
        taken += 1
    return taken


def make(rate: float = 2.0, burst: float = 20) -> TokenBucket:
    return TokenBucket(rate=rate, burst=burst)


@pytest.mark.parametrize("start", [0.0, 10.0, 10**9])
def test_burst(start: float) -> None:
    """At first as much as the burst may be read at once, whatever the clock shows."""
    budget = make()

    assert drain(budget, start) == 20
    assert not budget.take(start)


@pytest.mark.parametrize(("seconds", "tokens"), [(0.4, 0), (0.5, 1), (3, 6), (10, 20), (10**6, 20)])
def test_refill(seconds: float, tokens: int) -> None:
    """Tokens come back at the rate, and never more than the burst."""
    budget = make()
    drain(budget, 100)

    assert drain(budget, 100 + seconds) == tokens


@pytest.mark.parametrize("tick", [0.1, 1.0, 7.0, 30.0])
def test_long_run(tick: float) -> None:
    """However often it is asked, in an hour no more is allowed than the rate's and the burst; nor much less."""
    budget, taken, now = make(), 0, 0.0
    while now <= 3600:
        taken += drain(budget, now)
        now += tick

    assert taken <= 3600 * 2 + 20
    assert taken >= min(3600 * 2, 3600 / tick * 20) * 0.95


def test_reserve() -> None:
    """What matters less leaves some tokens for what matters more."""
    budget = make()

    assert drain(budget, 0, reserve=4) == 16
    assert drain(budget, 0, reserve=2) == 2
    assert drain(budget, 0) == 2


def test_debt() -> None:
    """Pages that were read without asking are paid for later: nothing is allowed until they are."""
    budget = make()
    budget.charge(0, 30)

    assert not budget.take(0)
    assert not budget.take(5.4)
    assert budget.take(5.5)
    assert not budget.take(5.6)


def test_no_charge() -> None:
    """A list of one page costs nothing more."""
    budget = make()
    budget.charge(0, 0)

    assert drain(budget, 0) == 20


@pytest.mark.parametrize(
    ("remaining", "rate"),
    [(10**4, 2.0), (LOW, 2.0), (LOW - 1, 1.96), (LOW // 2, 1.0), (5, 0.2), (1, 2 * SLOWEST), (0, 2 * SLOWEST)],
)
def test_learns(remaining: int, rate: float) -> None:
    """As Azure's count falls, reads become rarer, but never stop: a 429 says then how long to wait."""
    budget = make()
    budget.learn("job", remaining, 0)

    assert budget.rate_at(0) == pytest.approx(rate)
    drain(budget, 0)
    assert drain(budget, 5) == int(rate * 5 + 1e-9)


def test_learns_by_kind() -> None:
    """Each kind of read has a count of its own, and the scarcest decides: a roomy list does not hide scarce GETs."""
    budget = make()
    budget.learn("job", 25, 0)
    budget.learn("list", 1099, 0)

    assert budget.rate_at(0) == pytest.approx(1.0)
    budget.learn("job", 249, 1)
    assert budget.rate_at(1) == 2.0


def test_forgets() -> None:
    """An old count says nothing any more."""
    budget = make()
    budget.learn("job", 0, 100)

    assert budget.rate_at(100 + STALE - 1) == 2 * SLOWEST
    assert budget.rate_at(100 + STALE) == 2.0


def test_memory() -> None:
    """Of each kind only the newest count is kept."""
    budget = make()
    for number in range(1000):
        budget.learn("job", number, number)

    assert len(budget._remaining) == 1


def test_stop() -> None:
    """While Azure wants no requests there is none, and it is known for how long."""
    budget = make()
    budget.stop(100, 17)

    assert (budget.wait(100), budget.wait(110), budget.wait(117), budget.wait(200)) == (17, 7, 0, 0)
    assert not budget.take(116.9)
    assert drain(budget, 117) == 20


def test_a_shorter_stop_shortens_nothing() -> None:
    """Two answers may tell two times: the longer one counts."""
    budget = make()
    budget.stop(100, 60)
    budget.stop(101, 1)

    assert budget.wait(102) == 58
    budget.stop(150, 60)
    assert budget.wait(150) == 60


def test_nothing_to_wait_for() -> None:
    """Without a stop there is nothing to wait for, however empty the bucket is."""
    budget = make()
    drain(budget, 0)

    assert budget.wait(0) == 0


def test_clock_that_stands_still() -> None:
    """A time that is not later than the last gives no tokens, and takes none."""
    budget = make()
    drain(budget, 100)

    assert not budget.take(99)
    assert drain(budget, 101) in (2, 4)
