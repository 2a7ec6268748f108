"""Pauses: each kind of request has its own."""

from __future__ import annotations

from backupjobwatch.domain.polling.pauses import JOB, LIST, OPERATION, Pauses


def left(pauses: Pauses, now: float) -> tuple[float, float, float]:
    return pauses.left(JOB, now), pauses.left(LIST, now), pauses.left(OPERATION, now)


def test_one_kind() -> None:
    """A pause is for one kind of request, and ends."""
    pauses = Pauses()
    pauses.extend(JOB, until=160, now=100)

    assert left(pauses, 100) == (60, 0, 0)
    assert left(pauses, 159) == (1, 0, 0)
    assert left(pauses, 160) == left(pauses, 500) == (0, 0, 0)
    assert (pauses.longest(100), pauses.longest(160)) == (60, 0)


def test_longest_counts() -> None:
    """Answers arrive in any order: a shorter pause shortens nothing."""
    pauses = Pauses()
    pauses.extend(JOB, until=160, now=100)
    pauses.extend(JOB, until=120, now=101)

    assert left(pauses, 101) == (59, 0, 0)


def test_second_kind() -> None:
    """If a second kind is refused during the pause of another, all kinds pause."""
    pauses = Pauses()
    pauses.extend(JOB, until=160, now=100)
    pauses.extend(LIST, until=130, now=110)

    assert left(pauses, 110) == (50, 20, 20)


def test_second_kind_later() -> None:
    """A pause that has ended does not count."""
    pauses = Pauses()
    pauses.extend(JOB, until=160, now=100)
    pauses.extend(LIST, until=230, now=160)

    assert left(pauses, 160) == (0, 70, 0)


def test_everything() -> None:
    """A pause of the whole subscription pauses all kinds."""
    pauses = Pauses()
    pauses.extend(OPERATION, until=160, now=100, everything=True)

    assert left(pauses, 100) == (60, 60, 60)
