"""The pauses that Azure asks for."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, get_args

import pytest

from backupjobwatch.arm.credentials import StaticToken
from backupjobwatch.arm.pauses import Pauses, RequestKind

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = ("principal", "subscription")
KINDS: Sequence[RequestKind] = get_args(RequestKind)


def all_left(pauses: Pauses, *, now: float) -> list[float]:
    """Return what is left of the pauses for a job, a list and an operation."""
    return [pauses.left(KEY, kind, now=now) for kind in KINDS]


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize(
    ("untils", "now", "left"),
    [
        ([], 10.0, 0.0),
        ([70.0], 10.0, 60.0),
        ([70.0, 15.0], 10.0, 60.0),
        ([15.0, 70.0], 10.0, 60.0),
        ([70.0, 15.0], 70.0, 0.0),
        ([70.0, 15.0], 71.0, 0.0),
        ([70.0, 130.0], 80.0, 50.0),
    ],
)
def test_the_longest_pause_counts(untils: list[float], now: float, left: float, *, everything: bool) -> None:
    """A shorter Retry-After that arrives later does not end a longer pause, and other keys are not paused."""
    pauses = Pauses()
    for until in untils:
        pauses.extend(KEY, "list", until=until, everything=everything)

    others = left if everything else 0.0
    assert all_left(pauses, now=now) == [others, left, others]
    assert pauses.left(("principal", "other"), "list", now=now) == 0.0
    assert pauses.left(("other", "subscription"), "list", now=now) == 0.0


@pytest.mark.parametrize(
    ("answers", "left"),
    [
        # Each answer: the time, the kind, the end of its pause, whether it is subscription-wide. Left of each at 100.
        pytest.param([(0, "job", 160, False)], [60, 0, 0], id="one kind"),
        pytest.param([(0, "job", 160, False), (1, "job", 170, False)], [70, 0, 0], id="the same kind twice"),
        pytest.param([(0, "list", 160, True)], [60, 60, 60], id="subscription-wide"),
        pytest.param([(0, "list", 130, False), (1, "job", 160, False)], [60, 60, 60], id="a second kind"),
        pytest.param([(0, "list", 160, False), (1, "job", 130, False)], [30, 60, 30], id="a second kind, shorter"),
        pytest.param([(0, "list", 50, False), (60, "job", 160, False)], [60, 0, 0], id="the first pause is over"),
        pytest.param([(0, "list", 60, False), (60, "job", 160, False)], [60, 0, 0], id="the first pause ends now"),
        pytest.param([(0, "list", 130, True), (1, "list", 160, False)], [30, 60, 30], id="wide, then its own kind"),
        pytest.param([(0, "list", 130, True), (1, "job", 160, False)], [60, 60, 60], id="wide, then a second kind"),
        pytest.param([(0, "job", 160, False), (1, "list", 130, True)], [60, 30, 30], id="one kind, then wide"),
    ],
)
def test_scope_of_a_429(answers: list[tuple[float, RequestKind, float, bool]], left: list[float]) -> None:
    """A 429 pauses its own kind. All kinds pause if Azure says so, or if a second kind is refused during a pause."""
    pauses = Pauses()
    for now, kind, until, everything in answers:
        pauses.throttle(KEY, kind, until=until, now=now, everything=everything)

    assert all_left(pauses, now=100.0) == left


def test_a_second_kind_without_a_429() -> None:
    """A Retry-After of a 503 pauses its own kind, also while another kind is paused."""
    pauses = Pauses()
    pauses.throttle(KEY, "list", until=60.0, now=0.0, everything=False)
    pauses.extend(KEY, "job", until=90.0)

    assert all_left(pauses, now=0.0) == [90.0, 60.0, 0.0]


def test_keys_do_not_share_pauses() -> None:
    """Refused kinds of two identities do not add up to a pause of everything."""
    pauses = Pauses()
    pauses.throttle(("other", "subscription"), "list", until=60.0, now=0.0, everything=False)
    pauses.throttle(KEY, "job", until=60.0, now=0.0, everything=False)

    assert all_left(pauses, now=0.0) == [60.0, 0.0, 0.0]


def test_pauses_that_are_over_are_dropped() -> None:
    """An identity that is no longer used is released after the longest pause."""
    pauses, tokens = Pauses(), StaticToken("t")
    released = weakref.ref(tokens)
    pauses.extend((tokens, "s"), "job", until=60.0)
    pauses.extend(KEY, "job", until=3000.0)
    del tokens
    assert released() is not None
    pauses.extend("another key", "job", until=60.0 + 3600.0)

    assert released() is None
    assert pauses.left(KEY, "job", now=60.0) == 2940.0


def test_threads_share_pauses() -> None:
    """The longest pause counts also if several threads report pauses at the same time."""
    pauses = Pauses()
    barrier = threading.Barrier(8)

    def extend(number: int) -> None:
        barrier.wait(30)
        for step in range(200):
            pauses.extend((KEY, step % 3), "job", until=float((step * 7 + number) % 1000))

    threads = [threading.Thread(target=extend, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    for third in range(3):
        longest = max((step * 7 + number) % 1000 for step in range(third, 200, 3) for number in range(8))
        assert pauses.left((KEY, third), "job", now=0.0) == longest


def test_threads_escalate() -> None:
    """If two kinds are refused at the same time, everything is paused."""
    for _ in range(50):
        pauses, barrier = Pauses(), threading.Barrier(2)

        def throttle(kind: RequestKind, pauses: Pauses = pauses, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(30)
            pauses.throttle(KEY, kind, until=60.0, now=0.0, everything=False)

        threads = [threading.Thread(target=throttle, args=(kind,)) for kind in ("job", "list")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        assert all_left(pauses, now=0.0) == [60.0, 60.0, 60.0]
