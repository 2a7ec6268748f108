"""What was measured of one operator at one number of watches."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.bench.operators import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Figures of one run; None where there is nothing to measure, or it did not come about within the patience."""

    operator: str
    watches: int
    extrapolated: bool = False
    """Whether this was extrapolated from smaller runs rather than measured."""
    minutes: float
    """How long the window lasted in which CPU was measured; reads, writes and ticks have bounds of their own, seconds apart."""
    cpu_per_minute: float
    """CPU seconds of the operator's process alone."""
    memory: float
    """Resident, MB (10^6 bytes), at the end of the window."""
    memory_peak: float
    list_pages_per_minute: float
    job_gets_per_minute: float
    status_writes_per_minute: float
    """Requests that write a status, as the API server received them."""
    start_up: float | None = None
    """Seconds from the start of the process until every watch had been polled (the floor: had ticked)."""
    start_up_cpu: Mapping[str, float] = field(default_factory=dict)
    """CPU seconds that the operator and the servers used for that."""
    ticks: float
    """Ticks in the window, of those that were due."""
    ticks_due: float
    overdue: float | None = None
    """The most seconds by which a poll was overdue, of the looks at it every 30 s."""
    changes: int = 0
    """Jobs that ended at scattered times in the window."""
    changes_unseen: int = 0
    """Those among them whose gate was not open long after."""
    lag_p50: float | None = None
    """Seconds from the end of a job to its open gate."""
    lag_p99: float | None = None
    lag_max: float | None = None
    loop_lag_mean: float
    """Seconds by which the event loop came late to a nap of one second."""
    loop_lag_p99: float
    """The bound of the bucket that the 99th of 100 naps falls into."""
    crowd: int = 0
    """Jobs that ended at one instant, after the window."""
    crowd_seconds: float | None = None
    """Until the last of their gates was open."""
    others: Mapping[str, float] = field(default_factory=dict)
    """CPU seconds a minute of the servers: they share the machine with the operator."""
    details: Mapping[str, float] = field(default_factory=dict)
    """What else the operator's own metrics counted in the window."""
    tracebacks: int = 0

    @property
    def reads_per_minute(self) -> float:
        """Requests to Azure, each page of a list by itself."""
        return self.list_pages_per_minute + self.job_gets_per_minute


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the value that so large a share of *values* does not exceed; None of none."""
    return sorted(values)[max(math.ceil(len(values) * share) - 1, 0)] if values else None


def loop_lag(before: Progress, after: Progress) -> tuple[float, float]:
    """Return the mean and the bound of the 99th percentile, of the naps between."""
    counts = {bound: count - before.loop_lags.get(bound, 0.0) for bound, count in after.loop_lags.items()}
    total = counts[math.inf]
    if not total:
        return math.nan, math.nan
    bound = min(bound for bound, count in counts.items() if count >= 0.99 * total)
    return (after.loop_lag_sum - before.loop_lag_sum) / total, bound


def extrapolate(smaller: Result, larger: Result, watches: int) -> Result:
    """Reckon what so many watches would cost: along the line through two runs; of times, nothing is said."""

    def reach(name: str) -> float:
        low, high = getattr(smaller, name), getattr(larger, name)
        slope = (high - low) / (larger.watches - smaller.watches)
        return float(high + slope * (watches - larger.watches))

    return Result(
        operator=larger.operator,
        watches=watches,
        extrapolated=True,
        minutes=0.0,
        cpu_per_minute=reach("cpu_per_minute"),
        memory=reach("memory"),
        memory_peak=reach("memory_peak"),
        list_pages_per_minute=reach("list_pages_per_minute"),
        job_gets_per_minute=reach("job_gets_per_minute"),
        status_writes_per_minute=reach("status_writes_per_minute"),
        ticks=0.0,
        ticks_due=0.0,
        loop_lag_mean=math.nan,
        loop_lag_p99=math.nan,
    )


def as_json(result: Result) -> dict[str, Any]:
    """Return it with None for what is no number, which JSON lacks."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in dataclasses.asdict(result).items()
    }
