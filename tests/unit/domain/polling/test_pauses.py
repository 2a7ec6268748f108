"""Pauses of requests, by kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backupjobwatch.domain.polling.pauses import JOB, LIST, OPERATION, Pauses

if TYPE_CHECKING:
    from backupjobwatch.domain.polling.pauses import RequestKind


def left(pauses: Pauses, now: float) -> tuple[float, float, float]:
    return pauses.left(JOB, now), pauses.left(LIST, now), pauses.left(OPERATION, now)


def test_one_kind() -> None:
    """A pause applies to one kind of request, and ends."""
    pauses = Pauses()
    pauses.extend(JOB, until=160)

    assert left(pauses, 100) == (60, 0, 0)
    assert left(pauses, 159) == (1, 0, 0)
    assert left(pauses, 160) == left(pauses, 500) == (0, 0, 0)
    assert (pauses.longest(100), pauses.longest(160)) == (60, 0)


def test_longest_counts() -> None:
    """Responses arrive in any order: a shorter pause does not shorten a longer one."""
    pauses = Pauses()
    pauses.extend(JOB, until=160)
    pauses.extend(JOB, until=120)

    assert left(pauses, 101) == (59, 0, 0)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        # Each response: its time and kind, the end of its pause, and whether it is subscription-wide. Then what remains
        # at 100.
        pytest.param([(0, JOB, 160, False)], (60, 0, 0), id="one kind"),
        pytest.param([(0, JOB, 160, False), (1, JOB, 170, False)], (70, 0, 0), id="the same kind twice"),
        pytest.param([(0, LIST, 160, True)], (60, 60, 60), id="subscription-wide"),
        pytest.param([(0, LIST, 130, False), (1, JOB, 160, False)], (60, 60, 60), id="a second kind"),
        pytest.param([(0, LIST, 160, False), (1, JOB, 130, False)], (30, 60, 30), id="a second kind, shorter"),
        pytest.param([(0, LIST, 50, False), (60, JOB, 160, False)], (60, 0, 0), id="the first pause is over"),
        pytest.param([(0, LIST, 60, False), (60, JOB, 160, False)], (60, 0, 0), id="the first pause ends now"),
        pytest.param([(0, LIST, 130, True), (1, LIST, 160, False)], (30, 60, 30), id="wide, then its own kind"),
        pytest.param([(0, LIST, 130, True), (1, JOB, 160, False)], (60, 60, 60), id="wide, then a second kind"),
        pytest.param([(0, JOB, 160, False), (1, LIST, 130, True)], (60, 30, 30), id="one kind, then wide"),
    ],
)
def test_scope_of_a_429(
    answers: list[tuple[float, RequestKind, float, bool]], expected: tuple[float, float, float]
) -> None:
    """A 429 pauses its own kind. All kinds pause if Azure says so, or if another kind is refused during a pause."""
    pauses = Pauses()
    for now, kind, until, everything in answers:
        pauses.refuse(kind, until=until, now=now, everything=everything)

    assert left(pauses, 100) == expected


@pytest.mark.parametrize("order", [(JOB, LIST), (LIST, JOB)])
def test_a_503_is_no_refusal(order: tuple[RequestKind, RequestKind]) -> None:
    """The ``Retry-After`` of a 503 pauses its own kind, whether it comes before or after a 429 of another kind."""
    pauses = Pauses()
    for kind in order:
        if kind == JOB:
            pauses.refuse(JOB, until=160, now=100)
        else:
            pauses.extend(LIST, until=190)

    assert left(pauses, 100) == (60, 90, 0)
