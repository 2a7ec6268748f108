"""The results of one operator with one number of watches."""

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
    """The results of one run. None: not applicable, or not reached before the timeout."""

    operator: str
    watches: int
    extrapolated: bool = False
    """Whether this was extrapolated from smaller runs rather than measured."""
    minutes: float
    """The length of the CPU window. The windows of reads, writes and ticks differ by a few seconds."""
    cpu_per_minute: float
    """CPU seconds of the operator's process only."""
    memory: float
    """Resident memory at the end of the window, in MB (10^6 bytes)."""
    memory_peak: float
    list_pages_per_minute: float
    job_gets_per_minute: float
    status_writes_per_minute: float
    """Status writes that the API server received."""
    start_up: float | None = None
    """Seconds from the start of the process until each watch was polled (for the floor: had a tick)."""
    start_up_cpu: Mapping[str, float] = field(default_factory=dict)
    """CPU seconds of the operator and the servers during the start-up."""
    ticks: float
    """The number of ticks in the window. ``ticks_due`` is the expected number."""
    ticks_due: float
    overdue: float | None = None
    """The maximum lag of an overdue poll in seconds, from samples every 30 s."""
    changes: int = 0
    """The number of jobs that ended one by one in the window."""
    changes_unseen: int = 0
    """The number of those jobs whose gate did not open before the timeout."""
    lag_p50: float | None = None
    """Seconds from the end of a job to its open gate."""
    lag_p99: float | None = None
    lag_max: float | None = None
    loop_lag_mean: float
    """The mean delay of a 1 s sleep in the event loop, in seconds."""
    loop_lag_p99: float
    """The upper bound of the histogram bucket of the 99th percentile."""
    crowd: int = 0
    """The number of jobs that ended at the same time after the window."""
    crowd_seconds: float | None = None
    """Seconds until the last gate of the crowd was open."""
    others: Mapping[str, float] = field(default_factory=dict)
    """CPU seconds per minute of the servers, which share the machine with the operator."""
    details: Mapping[str, float] = field(default_factory=dict)
    """Other counts from the operator's own metrics in the window."""
    tracebacks: int = 0

    @property
    def reads_per_minute(self) -> float:
        """Requests to Azure per minute. Each list page counts."""
        return self.list_pages_per_minute + self.job_gets_per_minute


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the quantile *share* of *values*, or None if there are no values."""
    return sorted(values)[max(math.ceil(len(values) * share) - 1, 0)] if values else None


def loop_lag(before: Progress, after: Progress) -> tuple[float, float]:
    """Return the mean lag and the bucket bound of the 99th percentile between two samples."""
    counts = {bound: count - before.loop_lags.get(bound, 0.0) for bound, count in after.loop_lags.items()}
    total = counts[math.inf]
    if not total:
        return math.nan, math.nan
    bound = min(bound for bound, count in counts.items() if count >= 0.99 * total)
    return (after.loop_lag_sum - before.loop_lag_sum) / total, bound


def extrapolate(smaller: Result, larger: Result, watches: int) -> Result:
    """Extrapolate the costs linearly from two runs to *watches*. Latencies are not extrapolated."""

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
    """Return the result with None instead of NaN, which JSON does not have."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in dataclasses.asdict(result).items()
    }
