"""Measure one operator with one number of watches.

The phases are the start-up, a window of some minutes, and a crowd of jobs that end at the same time.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench.child import Child
from tests.bench.cluster import Cluster, copied
from tests.bench.costs import cpu_seconds, memory
from tests.bench.result import Result, loop_lag, quantile

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from tests.bench.cluster import WatchTimes
    from tests.bench.operators import Operator, Progress

INTERVAL: Final = 30
WARM_UP: Final = 60.0
"""Seconds between the first poll of the last watch and the start of the window."""
PATIENCE: Final = 240.0
"""The timeout for the start-up and for the crowd, in seconds."""
AFTERWARDS: Final = INTERVAL + 15
"""Seconds at the end of the window without new ends of jobs, so that all ends are seen in it."""
CHANGES: Final = 0.01
"""The share of the jobs that end in the window, but at least ten jobs."""
CROWD: Final = 1000
COLLECT_EVERY: Final = 30.0
"""The interval between samples of the operator's metrics: that of a Prometheus scrape."""


def log(words: str) -> None:
    """Log the progress of the benchmark."""
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The parameters of one measurement."""

    watches: int
    minutes: float
    folder: Path
    objects: Path
    """The directory of a control plane with the watches."""
    profile: Path | None = None
    """The file for a profile of the window."""


@dataclass(frozen=True, slots=True)
class _Stage:
    operator: Operator
    cluster: Cluster
    azure: Child
    times: WatchTimes

    @property
    def pids(self) -> dict[str, int]:
        return {"operator": self.operator.pid, **self.cluster.pids, "simulator": self.azure.hello["pid"]}

    def cpu(self) -> dict[str, float]:
        return {name: cpu_seconds(pid) for name, pid in self.pids.items()}

    async def until_open(self, numbers: Collection[int], seconds: float) -> bool:
        return await _until(lambda: self.times.opened.keys() >= set(numbers), seconds)


async def measure(kind: type[Operator], plan: Plan) -> Result:
    """Run and measure an operator."""
    name = f"{kind.name} with {plan.watches} watches"
    directory = copied(plan.objects, plan.folder / "control-plane")
    await asyncio.to_thread(kind.compile, plan.folder)
    azure = await Child.start("tests.bench.azure", str(plan.watches))
    try:
        async with Cluster.running(directory) as cluster, cluster.seen() as times:
            log(f"{name}: start")
            started = time.time()
            operator = kind(plan.folder, cluster.environment, azure.hello["url"])
            try:
                stage = _Stage(operator, cluster, azure, times)
                before = stage.cpu()
                start_up = await _start_up(stage, started, plan.watches)
                used = {name: seconds - before[name] for name, seconds in stage.cpu().items()}
                log(f"{name}: {f'all polled after {start_up:.1f} s' if start_up else 'not all polled'}")
                await asyncio.sleep(WARM_UP)
                return replace(await _window(stage, plan, start_up), start_up_cpu=used)
            finally:
                operator.stop()
    finally:
        await azure.stop()


async def _start_up(stage: _Stage, started: float, watches: int) -> float | None:
    while (polled := await stage.operator.polled(stage.times)) < watches:
        if stage.operator.failure:
            raise RuntimeError(stage.operator.failure)
        if stage.times.failure is not None:
            raise stage.times.failure
        if time.time() - started > PATIENCE:
            log(f"only {polled} of {watches} were polled within {PATIENCE:g} s")
            return None
        await asyncio.sleep(0.2)
    if stage.operator.polls:
        return max(stage.times.polled.values()) - started
    return time.time() - started


async def _window(stage: _Stage, plan: Plan, start_up: float | None) -> Result:
    seconds = plan.minutes * 60
    changing = range(max(int(plan.watches * CHANGES), 10)) if stage.operator.polls else range(0)
    await stage.azure.request("clear")
    await stage.cluster.clear()
    cleared = time.monotonic()
    before, cpu_before, began = await stage.operator.progress(), stage.cpu(), time.monotonic()
    samples: list[Progress] = []
    with _profiled(stage.operator.pid, plan.profile, seconds):
        sampling = asyncio.create_task(_collect_samples(stage.operator, samples))
        changed = await _change(stage, changing, seconds - AFTERWARDS)
        await asyncio.sleep(max(began + seconds - time.monotonic(), 0))
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)
    cpu_after, lasted, held = stage.cpu(), time.monotonic() - began, memory(stage.operator.pid)
    after = await stage.operator.progress()
    ticked, ended = time.monotonic() - began, time.time()  # scrapes take time, so ticks have their own window
    reads, writes = await stage.azure.request("count", seconds=seconds), await stage.cluster.count()
    written = time.monotonic() - cleared
    await stage.until_open(changing, PATIENCE)
    lags = [stage.times.opened[number] - at for number, at in changed.items() if number in stage.times.opened]
    spared = sum(max(ended - at, 0) for at in stage.times.opened.values())
    minutes = lasted / 60
    costs = {pid: (cpu_after[pid] - cpu_before[pid]) / minutes for pid in cpu_after}
    log(
        f"  {costs['operator']:.2f} CPU seconds a minute, {held.now:.0f} MB, {reads} in {seconds:.0f} s, {writes} in {written:.0f} s; "
        f"servers: {', '.join(f'{pid} {cost:.1f}' for pid, cost in costs.items() if pid != 'operator')}"
    )
    mean, p99 = loop_lag(before, after)
    crowd, crowd_seconds = await _crowd(stage, plan.watches, len(changing))
    return Result(
        operator=stage.operator.name,
        watches=plan.watches,
        minutes=minutes,
        cpu_per_minute=costs.pop("operator"),
        memory=held.now,
        memory_peak=held.peak,
        list_pages_per_minute=reads["list_pages"] / plan.minutes,
        job_gets_per_minute=reads["job_gets"] / plan.minutes,
        status_writes_per_minute=writes.get("status_writes", 0) * 60 / written,
        start_up=start_up,
        ticks=after.ticks - before.ticks,
        ticks_due=(plan.watches * ticked - spared) / INTERVAL,
        overdue=max((sample.overdue for sample in (*samples, after) if sample.overdue is not None), default=None),
        changes=len(changed),
        changes_unseen=len(changed) - len(lags),
        lag_p50=quantile(lags, 0.5),
        lag_p99=quantile(lags, 0.99),
        lag_max=quantile(lags, 1.0),
        loop_lag_mean=mean,
        loop_lag_p99=p99,
        crowd=crowd,
        crowd_seconds=crowd_seconds,
        others=costs,
        details={name: value - before.details.get(name, 0.0) for name, value in after.details.items()},
        tracebacks=stage.operator.tracebacks(),
    )


async def _change(stage: _Stage, numbers: range, seconds: float) -> dict[int, float]:
    """End jobs one by one at equal intervals, and return the time of each end."""
    began, changed = time.monotonic(), {}
    for count, number in enumerate(numbers):
        await asyncio.sleep(max(began + seconds * (count + 0.5) / len(numbers) - time.monotonic(), 0))
        changed[number] = await stage.azure.request("end", numbers=[number])
    return changed


async def _crowd(stage: _Stage, watches: int, ended: int) -> tuple[int, float | None]:
    if not stage.operator.polls:
        return 0, None
    numbers = range(ended, min(ended + CROWD, watches))
    began = await stage.azure.request("end", numbers=list(numbers))
    if not await stage.until_open(numbers, PATIENCE):
        log(f"  {len(numbers)} jobs ended at once: not all gates open within {PATIENCE:g} s")
        return len(numbers), None
    lasted = max(stage.times.opened[number] for number in numbers) - began
    log(f"  {len(numbers)} jobs ended at once: the last gate was open after {lasted:.1f} s")
    return len(numbers), lasted


async def _collect_samples(operator: Operator, samples: list[Progress]) -> None:
    while True:
        await asyncio.sleep(COLLECT_EVERY)
        samples.append(await operator.progress())


@contextlib.contextmanager
def _profiled(pid: int, output: Path | None, seconds: float) -> Iterator[None]:
    if output is None:
        yield
        return
    command = ["py-spy", "record", "--nonblocking", "--pid", str(pid), "--duration", f"{seconds:.0f}", "--rate", "50"]
    command[0] = str(Path(sys.executable).with_name("py-spy"))
    kind = "raw" if output.suffix == ".txt" else "flamegraph"
    process = subprocess.Popen([*command, "--format", kind, "--output", str(output)], stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.wait(60)


async def _until(met: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.1)
    return True
