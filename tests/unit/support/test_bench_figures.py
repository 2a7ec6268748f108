"""Evaluation of the benchmark's measurements, without favourable rounding."""

from __future__ import annotations

import dataclasses
import math

import pytest

from tests.bench.goals import goals
from tests.bench.operators import Progress
from tests.bench.result import Result, extrapolate, loop_lag, quantile

FLOOR = Result(
    operator="floor",
    watches=1000,
    minutes=5.0,
    cpu_per_minute=2.0,
    memory=100.0,
    memory_peak=110.0,
    list_pages_per_minute=0.0,
    job_gets_per_minute=0.0,
    status_writes_per_minute=0.0,
    ticks=10_000.0,
    ticks_due=10_000.0,
    loop_lag_mean=0.001,
    loop_lag_p99=0.01,
)
PEER = dataclasses.replace(FLOOR, operator="peer", cpu_per_minute=12.0)
OURS = dataclasses.replace(
    FLOOR,
    operator="ours",
    cpu_per_minute=2.0,
    list_pages_per_minute=80.0,
    lag_p99=35.0,
    start_up=45.0,
    overdue=0.0,
    crowd=1000,
    crowd_seconds=60.0,
    details={"polls": 10_000.0},
)


def _progress(lags: list[float]) -> Progress:
    bounds = (0.01, 0.1, 1.0, math.inf)
    counts = {bound: float(sum(lag <= bound for lag in lags)) for bound in bounds}
    return Progress(ticks=0, loop_lags=counts, loop_lag_sum=sum(lags))


def test_goals_are_met_at_their_limits() -> None:
    """A goal that is exactly at its limit is met."""
    assert [goal.name for goal in goals([FLOOR, PEER, OURS]) if not goal.met] == []


@pytest.mark.parametrize(
    "change",
    [
        {"cpu_per_minute": 2.51},
        {"memory": 120.1},
        {"list_pages_per_minute": 80.1},
        {"lag_p99": 35.1},
        {"details": {"polls": 9_899.0}},
        {"overdue": 30.1},
        {"start_up": 45.1},
        {"start_up": None},
        {"crowd_seconds": 60.1},
        {"crowd_seconds": None},
    ],
)
def test_a_goal_is_missed(change: dict[str, object]) -> None:
    """A goal is missed if its value is beyond the limit or was never reached."""
    worse = dataclasses.replace(OURS, **change)  # type: ignore[arg-type]  # of several types
    assert any(goal.met is False for goal in goals([FLOOR, PEER, worse]))


def test_a_goal_without_its_measure() -> None:
    """Without the floor in the same run, goals that compare with it are not measured, and never met."""
    assert [goal.name for goal in goals([OURS, PEER]) if goal.met is None] == [
        "CPU with 1,000 watches, of the floor's",
        "memory with 1,000 watches, of the floor's",
    ]


def test_extrapolation() -> None:
    """The extrapolation follows the line through two runs, is marked as such, and omits latencies."""
    larger = dataclasses.replace(PEER, watches=2000, cpu_per_minute=20.0, lag_p99=29.0)
    reckoned = extrapolate(PEER, larger, 10_000)

    assert reckoned.extrapolated
    assert reckoned.cpu_per_minute == pytest.approx(84.0)
    assert reckoned.lag_p99 is None


def test_event_loop_lag() -> None:
    """Only lags in the measured window count. At least 99 of 100 are within the reported bound."""
    start = [5.0] * 3
    window = [0.005] * 98 + [0.5, 0.05]
    mean, bound = loop_lag(_progress(start), _progress(start + window))

    assert mean == pytest.approx(sum(window) / 100)
    assert bound == 0.1


@pytest.mark.parametrize(("share", "value"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0)])
def test_quantile(share: float, value: float) -> None:
    """A quantile is a measured value, never an interpolated one."""
    assert quantile([float(number) for number in range(100, 0, -1)], share) == value
