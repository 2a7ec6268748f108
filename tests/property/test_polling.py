"""Histories of the read planner: which requests it sends, whatever Azure answers."""

from __future__ import annotations

import random
from itertools import product
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.domain.polling.demand import NextPage, RunningJobs, kind_of
from backupjobwatch.domain.polling.pauses import KINDS
from backupjobwatch.domain.polling.queries import JobWindow, Query
from backupjobwatch.domain.polling.schedule import MAX_BACKOFF
from tests.property.azure_model import NEVER_ENDS, ModelAzure, ModelJob, Trouble
from tests.property.polling_history import LATENCY, History
from tests.support.polling import START, job_id, operation_id, vault_id, wall
from tests.support.scale import at_scale

MODERATE = settings(
    deadline=None,
    max_examples=at_scale(6, 200),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
pytestmark = pytest.mark.timeout(at_scale(300, 3600))

INTERVALS: Final = (10.0, 30.0, 300.0)
TROUBLED: Final = 1200.0
"""Seconds after the start until which Azure returns errors."""
FINALS: Final = ("Completed", "Completed", "Failed", "CompletedWithWarnings")
RATES: Final = st.sampled_from([0.1, 0.3, 1.0, 2.0, 25.0])
BURSTS: Final = st.sampled_from([5, 6, 7, 20, 250])


def history(*, rate: float, burst: int, page_size: int, watches: int, vaults: int, troubles: int, seed: int) -> History:
    """Return a history of *watches* that come, request polls and go, and of jobs that start, change and end."""
    chance = random.Random(seed)

    def time(share: float = 1.0) -> float:
        """Return a time in the history. In some cases it is the start."""
        return START + (round(chance.uniform(0, TROUBLED), 1) if chance.random() < share else 0)

    azure = ModelAzure(page_size=page_size)
    for key in product(range(watches), range(vaults)):
        ends, cancelling = (time() if chance.random() < 0.6 else NEVER_ENDS for _ in range(2))
        begins, final = time(0.2) - 600, chance.choice(FINALS)
        azure.jobs[job_id(*key)] = ModelJob(
            id=job_id(*key), begins=begins, cancelling=cancelling, ends=max(ends, begins + 1), final=final
        )
    for _ in range(troubles):
        begins = time()
        azure.troubles.append(
            Trouble(
                kind=chance.choice(KINDS), begins=begins, status=chance.choice([429, 429, 503, 403]),
                ends=min(begins + chance.choice([1, 30, 300, 1200]), START + TROUBLED),
                retry_after=chance.choice([1.0, 17.0, 120.0]), is_subscription_wide=chance.random() < 0.1,
            )
        )  # fmt: skip
    past = History(azure=azure, rate=rate, burst=burst, seed=seed, aborts=chance.choice([0, 0, 0.02]))
    intervals = chance.choice([(10.0,), (30.0,), INTERVALS])
    for number in range(watches):
        query, since = _query(chance, watches, vaults), time(0.4)
        until = max(time(), since) if chance.random() < 0.3 else float("inf")
        past.watch(f"uid-{number}", query, interval=chance.choice(intervals), since=since, until=until)
        for _ in range(chance.choice([0, 0, 1, 4])):
            past.request(time(), query, chance.choice("abc"))
    return past


def _query(chance: random.Random, watches: int, vaults: int) -> Query:
    vault, number, kind = chance.randrange(vaults), chance.randrange(watches), chance.random()
    if kind < 0.1:
        return operation_id(number % 10, vault)
    if kind < 0.2:
        return JobWindow(vault_id(vault), wall(START).replace(hour=0, minute=0, second=0))
    return job_id(number, vault)


histories = st.builds(
    history,
    rate=RATES,
    burst=BURSTS,
    page_size=st.sampled_from([2, 10, 400]),
    watches=st.sampled_from([40, 25, 12, 3, 1]),
    vaults=st.integers(1, 2),
    troubles=st.integers(0, 4),
    seed=st.integers(0, 2**32),
)


def check_rate(past: History) -> None:
    """Assert that no period has more requests than the burst and the rate allow."""
    allowed, last = float(past.burst), START
    for each in past.sent:
        allowed = min(past.burst, allowed + (each.at - last) * past.rate) - 1
        last = each.at
        assert allowed >= -0.01, f"more than the budget at {each.at}"


def work(past: History) -> float:
    """Return an upper bound of the seconds in which all required queries can be read twice."""
    azure, demands = past.azure, past.demands
    pages = sum(-(-len(azure.jobs) // azure.page_size) for _ in demands.vaults)
    return 12 * (len(demands.by_query) + 2 * pages + 5) / past.rate + LATENCY[1] * 4 * pages


@MODERATE
@given(histories)
def test_every_query_is_read_in_time(past: History) -> None:
    """After the errors, every query is read, every request gets a result and every end is seen, within a limit."""
    past.run(START + TROUBLED)
    past.aborts = 0.0
    calm = past.now + 130 + MAX_BACKOFF.total_seconds() * 1.1  # the longest pause, and the longest backoff
    past.run(calm + max(INTERVALS) + work(past))
    end = past.now + 2 * max(INTERVALS) + work(past)
    past.run(end)

    check_rate(past)
    demands = past.demands
    for query, demand in demands.by_query.items():
        assert demand.is_final or demand.sent > calm, f"{query} is not read"
        assert not demand.is_explicit or demand.fresh_after > calm
        model = past.azure.jobs.get(query) if isinstance(query, JobId) else None
        if model is not None and model.ends < START + TROUBLED:
            assert demand.job is not None
            assert demand.job.ended
            assert not demand.job.partial, "the detail is never read"


@MODERATE
@given(histories)
def test_paused_kinds_send_nothing(past: History) -> None:
    """Between the 429 of one kind of request and the end of its Retry-After, no request of that kind is sent."""
    past.run(START + TROUBLED + 300)

    ends = past.pauses
    for each in past.sent:
        for kind, begins, until in ends:
            assert not (begins < each.at < until and kind_of(each.read) == kind), f"{each} in a pause"


@MODERATE
@given(histories)
def test_released(past: History) -> None:
    """After all watches are gone, nothing is left to read and no timer is set."""
    past.run(START + TROUBLED)
    demands = past.demands
    for query, demand in list(demands.by_query.items()):
        for uid in tuple(demand.uids):
            demands.remove(query, uid, past.now)
    past.clear()
    past.run(past.now + 1000 + work(past))

    assert not demands.by_query
    assert not demands.is_waiting
    assert past.planner.next_read(past.now) is None
    assert past.planner.wake_at(past.now) is None


@MODERATE
@given(
    rate=RATES,
    burst=BURSTS,
    watches=st.integers(1, 60),
    vaults=st.integers(1, 3),
    page_size=st.sampled_from([5, 400]),
    interval=st.sampled_from(INTERVALS),
    seed=st.integers(0, 5),
    spread=st.sampled_from([0.0, 60.0, 600.0]),
)
def test_ends_are_seen(
    *, rate: float, burst: int, watches: int, vaults: int, page_size: int, interval: float, seed: int, spread: float
) -> None:
    """Every end is seen within two intervals and the time that the rate needs to read the changes."""
    ends = {job_id(number, number % vaults): START + 700 + spread * number / watches for number in range(watches)}
    azure = ModelAzure(jobs={each: ModelJob(id=each, ends=end) for each, end in ends.items()}, page_size=page_size)
    past = History(azure=azure, rate=rate, burst=burst, seed=seed, is_checked=False)
    for number, each in enumerate(ends):
        past.watch(f"uid-{number}", each, interval=interval)
    pages = vaults * -(-watches // page_size)
    budget = (5 * watches + 10 * pages) / rate
    past.run(START + 700 + spread + 2 * interval + budget + 10)

    check_rate(past)
    lags = {each: past.seen_ended.get(each, float("inf")) - end for each, end in ends.items()}
    assert max(lags.values()) <= 2 * interval + budget + 5


@MODERATE
@given(RATES, BURSTS, st.integers(1, 40), st.integers(1, 80), st.integers(0, 5))
def test_explicit_requests_take_half(rate: float, burst: int, watches: int, requested: int, seed: int) -> None:
    """While other queries wait, explicit requests get at most every second token, and namespaces take turns."""
    azure = ModelAzure()
    past = History(azure=azure, rate=rate, burst=burst, seed=seed)
    for number in range(watches):
        past.watch(f"uid-{number}", operation_id(number), interval=10)
    asked = [operation_id(1000 + number, 1) for number in range(requested)]
    for number, query in enumerate(asked):
        past.demands.add(query, f"asked-{number}", interval=300, now=START - 200)
        past.demands.drop(query)
        past.request(START + 1, query, "many" if number else "single")
    past.run(START + 60 + 4 * (watches + requested) / rate)

    explicit = set(asked)
    run: list[bool] = []
    for each in past.sent:
        if not each.could_read_due:
            run = []
            continue
        run.append(each.read in explicit)
        assert sum(run) <= len(run) / 2 + 1
    sent = [each.read for each in past.sent if each.read in explicit]
    assert set(sent) == explicit
    assert asked[0] in sent[:2]


@MODERATE
@given(histories)
def test_fresh_results(past: History) -> None:
    """No result is older than it claims. A request for a fresh result ends with one that was sent later."""
    azure, demands = past.azure, past.demands

    def check() -> None:
        for query, demand in demands.by_query.items():
            assert demand.is_explicit or demand.sent >= demand.fresh_after or demand.is_final
            if isinstance(query, JobId) and demand.job is not None and demand.observation.error is None:  # type: ignore[union-attr]
                model = azure.jobs[query]
                assert demand.job.ended or demand.sent < model.ends
                assert demand.job.status != "InProgress" or demand.sent < model.cancelling

    past.on_check = check
    past.run(START + TROUBLED)


def test_reads_of_many_are_few() -> None:
    """300 watches in 3 vaults need less than 10 % of the requests that one GET per tick would need."""
    ends = {job_id(number, number % 3): START + 60 + 2 * number for number in range(300)}
    azure = ModelAzure(jobs={each: ModelJob(id=each, ends=end) for each, end in ends.items()})
    past = History(azure=azure, rate=1.0, is_checked=False)
    for number, each in enumerate(ends):
        past.watch(f"uid-{number}", each, interval=30)
    past.run(START + 800)

    check_rate(past)
    assert len(past.sent) < 800 / 30 * 300 / 10
    assert past.seen_ended.keys() == ends.keys()
    assert any(isinstance(each.read, RunningJobs) for each in past.sent)
    assert not any(isinstance(each.read, NextPage) for each in past.sent)
