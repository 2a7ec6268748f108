"""The performance goals of the operator, and whether a benchmark run meets them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.bench.azure import VAULTS
from tests.bench.measure import INTERVAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.bench.result import Result

CPU_OF_FLOOR: Final = 1.25
CPU_OF_PEER: Final = 0.2
MEMORY_OF_FLOOR: Final = 1.2
PAGES: Final = 4.0
"""The limit of list pages per vault and minute."""
SLACK: Final = 5.0
"""The maximum delay beyond the interval until the end of a job is visible, in seconds."""
START_UP: Final = 45.0
CROWD: Final = 60.0
NOTHING: Final = "-"
POLLS: Final = 0.99
"""The minimum share of due polls in the window. Below 1, because polls can cross its bounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A limit and the measured value."""

    name: str
    limit: str
    measured: str
    met: bool | None
    """None if the value was not measured."""

    @property
    def verdict(self) -> str:
        """The result in words."""
        return "not measured" if self.met is None else "met" if self.met else "**not met**"


def goals(results: Sequence[Result]) -> list[Goal]:
    """Compare the largest run of our operator with the other operators at the same size."""
    measured = [result for result in results if result.operator == "ours"]
    if not measured:
        return []
    ours = max(measured, key=lambda result: result.watches)
    beside = {result.operator: result for result in results if result.watches == ours.watches}
    return list(_goals(ours, beside.get("floor"), beside.get("peer")))


def _goals(ours: Result, floor: Result | None, peer: Result | None) -> Iterator[Goal]:
    of = f"with {ours.watches:,} watches"
    reckoned = " (extrapolated)" if peer is not None and peer.extrapolated else ""
    pages = ours.list_pages_per_minute / VAULTS
    yield _at_most(f"CPU {of}, of the floor's", CPU_OF_FLOOR, _share(ours, floor, _cpu))
    cpu = _share(ours, peer, _cpu)
    yield _at_most(f"CPU {of}, of the peer's{reckoned}", CPU_OF_PEER, cpu)
    yield _at_most(f"memory {of}, of the floor's", MEMORY_OF_FLOOR, _share(ours, floor, _memory))
    yield _at_most("list pages per vault and minute", PAGES, pages)
    yield _at_most("status lag, p99, s", INTERVAL + SLACK, ours.lag_p99)
    yield _at_least("polls in the window, of those due", POLLS, ours.details["polls"] / ours.ticks_due)
    yield _at_most("the most overdue poll, s", INTERVAL, ours.overdue)
    yield _at_most("start-up to all watches polled, s", START_UP, ours.start_up, wanted=True)
    yield _at_most(f"{ours.crowd:,} jobs end at once: the last gate, s", CROWD, ours.crowd_seconds, wanted=True)


def _share(part: Result, whole: Result | None, figure: Callable[[Result], float]) -> float | None:
    return None if whole is None else figure(part) / figure(whole)


def _cpu(result: Result) -> float:
    return result.cpu_per_minute


def _memory(result: Result) -> float:
    return result.memory


def _at_least(name: str, limit: float, value: float) -> Goal:
    return Goal(name=name, limit=f"≥ {limit:.0%}", measured=f"{value:.1%}", met=value >= limit)


def _at_most(name: str, limit: float, value: float | None, *, wanted: bool = False) -> Goal:
    """Return a goal with an upper limit. A missing value fails the goal only if it is *wanted*."""
    if value is None:
        return Goal(name=name, limit=f"≤ {limit:g}", measured=NOTHING, met=False if wanted else None)
    return Goal(name=name, limit=f"≤ {limit:g}", measured=f"{value:.2f}", met=value <= limit)
