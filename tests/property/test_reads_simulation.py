"""Thousands of watches through hours in seconds: how much is read, and how late the ends of jobs are seen."""

from __future__ import annotations

import heapq
import random
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from statistics import mean
from typing import Final

import pytest

from backupjobwatch.domain.jobs.resource_ids import JobId, VaultId
from backupjobwatch.domain.polling.read_planner import Decision, ReadPlanner
from backupjobwatch.domain.polling.token_bucket import TokenBucket
from tests.support.builders import RESOURCE_GROUP, SUBSCRIPTION, job, running_job

EVERY: Final = 30.0
RATE: Final = 2.0
BURST: Final = 20
PAGE: Final = 400
"""Entries of a page of a list. Azure's own number is not documented."""
HOUR: Final = 3600.0
STOP: Final = 600.0
STARTED: Final = 1000.0
"""What the clock shows at first."""

pytestmark = pytest.mark.timeout(300)

RUNNING, ENDED = running_job(), job()


@dataclass(slots=True)
class Vault:
    """A vault of jobs, sorted by when they end."""

    id: VaultId
    ends: list[float]
    jobs: list[JobId]
    seen: dict[float, float] = field(default_factory=dict)
    """How long after its end each job was seen to have ended, by its end."""

    @property
    def lags(self) -> list[float]:
        return [*self.seen.values()]

    def running(self, now: float) -> list[JobId]:
        return self.jobs[bisect_right(self.ends, now) :]


@dataclass(slots=True, kw_only=True)
class Simulation:
    """One identity's watches in one subscription, polled as the poller does, each at its own moment of the interval."""

    sizes: list[int]
    hours: float
    rate: float = RATE
    stop_at: float = float("inf")
    """When Azure says 429, with ten minutes to wait."""
    quota: float = float("inf")
    """What is in Azure's own bucket of GETs at first. What remains in it is told with each answer."""
    refill: float = 0.5
    """How much comes back to it each second."""
    others: int = 0
    """How often a second somebody asks for something else: an operation, a list to find a job in."""
    served: int = 0
    """How often he was."""
    vaults: list[Vault] = field(default_factory=list)
    planner: list[float] = field(default_factory=list)
    """When each page was read."""
    asked: int = 0
    """What one GET per watch and tick would be."""
    refused: int = 0
    """Answers 429, for an empty bucket of Azure's."""
    _filled: float = STARTED
    _others: int = 0

    def run(self) -> Simulation:
        randomly = random.Random(5)
        planner = ReadPlanner(budget=TokenBucket(rate=self.rate, burst=BURST), heartbeat=300)
        numbers = count()
        agenda: list[tuple[float, int, Vault, JobId, float]] = []
        for number, size in enumerate(self.sizes):
            vault_id = VaultId(subscription_id=SUBSCRIPTION, resource_group=RESOURCE_GROUP, name=f"vault{number}")
            ends = sorted(STARTED + randomly.uniform(60, self.hours * HOUR) for _ in range(size))
            jobs = [JobId(vault=vault_id, name=f"b0b00001-5e1f-4000-8000-{next(numbers):012}") for _ in ends]
            vault = Vault(id=vault_id, ends=ends, jobs=jobs)
            self.vaults.append(vault)
            for job_id, end in zip(jobs, ends, strict=True):
                agenda.append((STARTED + randomly.uniform(0, EVERY), next(numbers), vault, job_id, end))
        heapq.heapify(agenda)
        while agenda:
            now, order, vault, job_id, end = agenda[0]
            assert now < STARTED + self.hours * HOUR + 1800, "some jobs' ends are never seen"
            if end in vault.seen or self._tick(planner, vault, job_id, end, now):
                heapq.heappop(agenda)
            else:
                heapq.heapreplace(agenda, (now + EVERY, order, vault, job_id, end))
        return self

    def _tick(self, planner: ReadPlanner, vault: Vault, job_id: JobId, end: float, now: float) -> bool:
        """Ask for a job once, as ``poller.Poller.job`` does; tell whether it was seen to have ended."""
        self.asked += 1
        while self._others < (now - STARTED) * self.others:
            at = STARTED + self._others / self.others
            self._others += 1
            if planner.has_turn(self._others % (self.others * EVERY), interval=EVERY, now=at):
                self.served += 1
                self.planner.append(at)
        decision = planner.ask(job_id, interval=EVERY, now=now)
        if decision is Decision.LIST:
            running = vault.running(now)
            pages = max(-(-len(running) // PAGE), 1)
            if self._read(planner, "list", pages, now):
                news = planner.listed(vault.id, [(each, RUNNING) for each in running], pages=pages, now=now)
                for each in news - {job_id}:  # as ``Controller.on_jobs_changed`` does
                    self._tick(planner, vault, each, vault.ends[vault.jobs.index(each)], now)
                decision = planner.ask(job_id, interval=EVERY, now=now)
        if decision is not Decision.GET or not self._read(planner, "job", 1, now):
            return False
        planner.got(job_id, ENDED if now >= end else RUNNING, now=now)
        if now >= end:
            vault.seen[end] = now - end
        return now >= end

    def _read(self, planner: ReadPlanner, kind: str, pages: int, now: float) -> bool:
        self.planner += [now] * pages
        if now >= self.stop_at:
            self.stop_at = float("inf")
            planner.budget.stop(now, STOP)
            return False
        if kind == "job":
            self.quota += (now - self._filled) * self.refill - 1
            self._filled = now
            planner.budget.learn(kind, int(min(max(self.quota, 0), 10**6)), now)
            if self.quota < 0:
                self.refused += 1
                planner.budget.stop(now, 17)
                return False
        return True

    @property
    def lags(self) -> list[float]:
        return sorted(lag for vault in self.vaults for lag in vault.lags)

    def percentile(self, share: float) -> float:
        return self.lags[int(share * (len(self.lags) - 1))]


@cache
def many() -> Simulation:
    """5,000 watches in 20 vaults, of which one has a single watch and one has two."""
    return Simulation(sizes=[1, 2, *[278] * 17, 271], hours=2).run()


def most_reads(simulation: Simulation) -> float:
    """How far the reads came to exceed rate * time + burst, at any time."""
    times = enumerate(simulation.planner, start=1)
    return max(made - (now - STARTED) * simulation.rate - BURST for made, now in times)


def test_reads_stay_within_the_budget() -> None:
    """Never is more read than the rate and the burst allow."""
    assert most_reads(many()) <= 0


def test_reads_are_few() -> None:
    """5,000 watches cost 2.0 % of one GET per watch and tick: 12,400 reads in two hours in place of 614,000."""
    simulation = many()

    assert simulation.asked > 590_000
    assert len(simulation.planner) < 0.022 * simulation.asked


def test_every_end_is_seen() -> None:
    """Each job is seen to have ended, 99 of 100 within an interval and a little: none is late by minutes."""
    simulation = many()

    assert len(simulation.lags) == sum(simulation.sizes) == 5000
    assert simulation.percentile(0.5) <= 0.6 * EVERY
    assert simulation.percentile(0.99) <= EVERY + 5
    assert simulation.percentile(1.0) <= 3 * EVERY


def test_no_vault_is_starved() -> None:
    """The vaults of one and two watches are served as those of hundreds are, and these as each other."""
    overall = mean(many().lags)

    for vault in many().vaults:
        assert mean(vault.lags) <= (3 if len(vault.jobs) < 10 else 1.5) * overall


def test_no_vault_is_starved_where_the_budget_is_too_small() -> None:
    """Where more jobs end than the budget covers all wait longer: the vault of one watch no more than the others."""
    simulation = Simulation(sizes=[1, 1, 1, 250, 250, 250, 250], hours=1, rate=0.4).run()
    single = [lag for vault in simulation.vaults if len(vault.jobs) == 1 for lag in vault.lags]

    assert most_reads(simulation) <= 0
    assert mean(single) <= 3 * mean(simulation.lags)


@pytest.mark.parametrize(("vaults", "watches"), [(60, 2), (50, 40), (300, 2)])
def test_ends_are_seen_where_not_even_the_lists_fit(vaults: int, watches: int) -> None:
    """More vaults than can be listed: a job that a list says has ended is fetched, though the list grows old meanwhile."""
    simulation = Simulation(sizes=[watches] * vaults, hours=2).run()
    lists = vaults * 2 / EVERY / RATE

    assert most_reads(simulation) <= 0
    assert len(simulation.lags) == vaults * watches
    assert simulation.percentile(0.5) <= lists * EVERY
    assert simulation.percentile(1.0) <= 5 * lists * EVERY


@pytest.mark.parametrize("sizes", [[100], [150, 150], [2] * 60])
@pytest.mark.parametrize("others", [2, 10])
def test_operations_and_searches_take_not_all(sizes: list[int], others: int) -> None:
    """Where they alone would spend the budget, jobs that end are seen nonetheless, and they have their share."""
    simulation = Simulation(sizes=sizes, hours=1, others=others).run()

    assert most_reads(simulation) <= 0
    assert simulation.percentile(0.5) <= 5 * EVERY
    assert simulation.percentile(1.0) <= 15 * EVERY
    assert simulation.served >= len(simulation.planner) / 3


def test_a_stop() -> None:
    """While Azure wants no requests for ten minutes there is none; after it all that ended meanwhile is seen."""
    stop = STARTED + 1800
    simulation = Simulation(sizes=[1, 150, 150, 150], hours=1.2, stop_at=stop).run()
    refused = next(now for now in simulation.planner if now >= stop)
    after = [now for now in simulation.planner if now > refused]

    assert min(after) >= refused + STOP
    assert most_reads(simulation) <= 0
    assert len(simulation.lags) == 451
    assert simulation.percentile(1.0) <= STOP + 6 * EVERY
    recovered = refused + STOP + 120
    later = [lag for vault in simulation.vaults for end, lag in vault.seen.items() if end > recovered]
    assert len(later) > 100
    assert max(later) <= 3 * EVERY


@pytest.mark.parametrize("watches", [45, 400])
def test_slows_down_before_azure_says_no(watches: int) -> None:
    """Azure's bucket of GETs fills slower than we may read: its falling count slows us down before there is a 429."""
    simulation = Simulation(sizes=[watches], hours=1, quota=250).run()

    assert simulation.refused == 0
    assert simulation.quota > 0
    assert len(simulation.lags) == watches
    assert simulation.percentile(0.99) <= 4 * EVERY
