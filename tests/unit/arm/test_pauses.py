"""The pauses that Azure asks for."""

from __future__ import annotations

import threading

import pytest

from backupjobwatch.arm.credentials import StaticToken
from backupjobwatch.arm.pauses import Pauses


@pytest.mark.parametrize(
    ("untils", "now", "left"),
    [
        ([], 10.0, 0.0),
        ([70.0], 10.0, 60.0),
        ([70.0, 15.0], 10.0, 60.0),
        ([15.0, 70.0], 10.0, 60.0),
        ([70.0, 15.0], 70.0, 0.0),
        ([70.0, 130.0], 80.0, 50.0),
    ],
)
def test_the_longest_pause_counts(untils: list[float], now: float, left: float) -> None:
    """A shorter Retry-After that arrives later does not end a longer pause."""
    pauses, tokens = Pauses(), StaticToken("t")
    for until in untils:
        pauses.extend(tokens, "s", until=until)

    assert pauses.left(tokens, "s", now=now) == left
    assert pauses.left(tokens, "other", now=now) == 0.0
    assert pauses.left(StaticToken("t"), "s", now=now) == 0.0


def test_threads_share_pauses() -> None:
    """The longest pause counts also if several threads report pauses at the same time."""
    pauses, tokens = Pauses(), StaticToken("t")
    barrier = threading.Barrier(8)

    def extend(number: int) -> None:
        barrier.wait(30)
        for step in range(200):
            pauses.extend(tokens, "s", until=float((step * 7 + number) % 1000))

    threads = [threading.Thread(target=extend, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    longest = max((step * 7 + number) % 1000 for step in range(200) for number in range(8))

    assert pauses.left(tokens, "s", now=0.0) == longest
