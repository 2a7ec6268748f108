"""Metrics: instruments and state, their labels, and the limits on the number of series."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from backupjobwatch.domain.status.summary import OTHER, OUTCOMES, Summary
from backupjobwatch.domain.status.transitions import Transition
from backupjobwatch.errors import Conflict, KubeUnavailable, ObjectNotFound
from backupjobwatch.observability.metrics import catalogue
from backupjobwatch.observability.metrics.instruments import Metrics
from backupjobwatch.observability.metrics.state import Budget, StateCollector
from tests.support.builders import NOW

CODES = {
    200: "success",
    202: "success",
    304: "refused",
    401: "refused",
    404: "refused",
    429: "throttled",
    500: "failed",
    503: "failed",
    None: "unreachable",
}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def summary(name: str = "nightly", **fields: Any) -> Summary:
    usual = {"phase": "Running", "reason": "JobInProgress", "created": NOW, "job_start": None, "job_duration": None}
    return Summary(**{"namespace": "team-a", "name": name, "completed": None, "trouble_since": None, **usual, **fields})


@dataclass
class World:
    """The state that a scrape reads."""

    summaries: list[Summary] = field(default_factory=list)
    overdue: float = 0.0
    budgets: list[Budget] = field(default_factory=list)

    def registry(self, *, watch_limit: int = 1000) -> CollectorRegistry:
        registry = CollectorRegistry()
        collector = StateCollector(
            lambda: self.summaries, lambda: self.budgets, lambda: self.overdue, watch_limit=watch_limit
        )
        registry.register(collector)
        return registry


# ── instruments ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", CODES)
def test_a_request_has_a_result(code: int | None) -> None:
    """The result of a request follows from its HTTP status, or from the lack of one."""
    metrics = Metrics()
    metrics.observe_request("get_job", code, 0.2)
    told = str(code) if str(code) in catalogue.CODES else "none" if code is None else OTHER
    labels = {"operation": "get_job", "result": CODES[code], "code": told}
    assert value(metrics, "backupjobwatch_azure_requests_total", **labels) == 1
    assert value(metrics, "backupjobwatch_azure_request_duration_seconds_sum", operation="get_job") == 0.2


def test_labels_are_bounded() -> None:
    """All values outside the fixed list share one label value."""
    metrics = Metrics()
    for number in range(100, 1000):
        metrics.observe_request("get_job", number, 0.1)
        metrics.observe_transition(
            Transition(name="", type="Warning", reason=f"Reason{number}", message="", phase="Failed")
        )
        metrics.observe_token_failure("operator", f"Reason{number}")
        metrics.observe_notification(f"channel-{number}", f"result-{number}")
    for family in metrics.registry.collect():
        assert len({tuple(sample.labels.items()) for sample in family.samples}) < 80, family.name
    assert value(metrics, "backupjobwatch_outcomes_total", phase="Failed", reason=OTHER) == 900
    assert value(metrics, "backupjobwatch_notifications_total", channel=OTHER, result=OTHER) == 900


def test_counters_begin_at_zero() -> None:
    """Counters in alerts start at zero, because ``increase`` ignores the first value of a new series."""
    metrics = Metrics()
    for phase, reasons in OUTCOMES.items():
        for reason in reasons:
            assert value(metrics, "backupjobwatch_outcomes_total", phase=phase, reason=reason) == 0
    for metric in (catalogue.READS, catalogue.WRITES, catalogue.TOKEN_FAILURES, catalogue.NOTIFICATIONS):
        for values in product(*metric.labels.values()):
            assert value(metrics, metric.name, **dict(zip(metric.labels, values, strict=True))) == 0


@pytest.mark.parametrize(
    ("error", "result"),
    [(None, "written"), (Conflict, "conflict"), (ObjectNotFound, "gone"), (KubeUnavailable, "failed")],
)
def test_a_write_is_counted_by_its_end(error: type[Exception] | None, result: str) -> None:
    """A write is counted once, by its result, and its exception propagates."""
    metrics = Metrics()
    with pytest.raises(error) if error else contextlib.nullcontext(), metrics.status_write("transition"):
        if error is not None:
            raise error
    counts = {
        each: value(metrics, catalogue.WRITES.name, reason="transition", result=each)
        for each in catalogue.WRITE_RESULTS
    }
    assert counts == {each: float(each == result) for each in catalogue.WRITE_RESULTS}


@pytest.mark.parametrize("queue", catalogue.QUEUES)
def test_a_queue_has_depth_wait_and_retries(queue: str) -> None:
    """The depth of a queue is read at each scrape. Waits and retries are counted only for their queue."""
    metrics, depths = Metrics(), [3, 1]
    names = (catalogue.QUEUE_DEPTH.name, f"{catalogue.QUEUE_WAIT.name}_count", catalogue.QUEUE_RETRIES.name)
    assert [value(metrics, name, queue=queue) for name in names] == [0, 0, 0]
    instruments = metrics.queue(queue)
    instruments.track_depth(lambda: depths.pop(0))
    assert [value(metrics, catalogue.QUEUE_DEPTH.name, queue=queue) for _ in range(2)] == [3, 1]
    instruments.track_depth(lambda: 2)
    instruments.observe_wait(0.2)
    instruments.observe_retry()
    assert [value(metrics, name, queue=queue) for name in names] == [2, 1, 1]
    for other in set(catalogue.QUEUES) - {queue}:
        assert [value(metrics, name, queue=other) for name in names] == [0, 0, 0]


def test_operators_share_nothing() -> None:
    """Each operator has its own registry."""
    one, other = Metrics(), Metrics()
    one.track_leader(lambda: True)
    assert (value(one, "backupjobwatch_leader"), value(other, "backupjobwatch_leader")) == (1, 0)


def test_the_leader_is_evaluated_at_each_scrape() -> None:
    """The leader metric is evaluated at each scrape, so the loss of leadership is visible without an update."""
    metrics, leading = Metrics(), [True, False]
    metrics.track_leader(lambda: leading.pop(0))
    assert [value(metrics, "backupjobwatch_leader") for _ in range(2)] == [1, 0]


def test_lags_are_never_negative() -> None:
    """A negative lag is recorded as zero."""
    metrics = Metrics()
    metrics.observe_poll_lag(float("-inf"))
    metrics.observe_loop_lag(-0.001)
    assert value(metrics, "backupjobwatch_poll_lag_seconds_sum") == 0
    assert value(metrics, "backupjobwatch_event_loop_lag_seconds_sum") == 0


# ── state ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_no_watches() -> None:
    """Without watches nothing is overdue or omitted, and there are no series of watches."""
    registry = World().registry()
    assert registry.get_sample_value("backupjobwatch_poll_overdue_seconds") == 0
    assert registry.get_sample_value("backupjobwatch_left_out", {"what": "watches"}) == 0
    assert sum(len(family.samples) for family in registry.collect()) == 3


async def test_times_of_a_watch() -> None:
    """Each known time of a watch is a series in Unix seconds. Unknown times have no series."""
    told = {"job_start": NOW, "job_duration": 12, "completed": NOW, "trouble_since": NOW}
    registry = World([summary("full", **told), summary("bare")], overdue=7.5).registry()
    labels = {"namespace": "team-a", "name": "full"}
    at = NOW.timestamp()
    for metric, expected in (("job_start_timestamp", at), ("job_duration", 12), ("completion_timestamp", at)):
        name = f"backupjobwatch_watch_{metric}_seconds"
        assert registry.get_sample_value(name, labels) == expected
        assert registry.get_sample_value(name, {**labels, "name": "bare"}) is None
    assert registry.get_sample_value("backupjobwatch_watch_trouble_timestamp_seconds", labels) == at
    assert registry.get_sample_value("backupjobwatch_poll_overdue_seconds") == 7.5


async def test_the_limit_keeps_what_matters() -> None:
    """Running watches come first, then those that ended last. With a limit of 0 only counts remain."""
    world = World()
    for age in range(5):
        ended = {"phase": "Failed", "reason": "JobFailed", "completed": NOW - timedelta(hours=age)}
        world.summaries += [
            summary(f"ended-{age}", **ended),
            summary(f"going-{age}", created=NOW - timedelta(days=age)),
        ]
    for limit, kept in ((7, {*(f"going-{age}" for age in range(5)), "ended-0", "ended-1"}), (0, set())):
        registry = world.registry(watch_limit=limit)
        samples = [sample for family in registry.collect() for sample in family.samples]
        assert {each.labels["name"] for each in samples if "name" in each.labels} == kept
        assert registry.get_sample_value("backupjobwatch_left_out", {"what": "watches"}) == 10 - limit
        counted = {"phase": "Failed", "reason": "JobFailed"}
        assert registry.get_sample_value("backupjobwatch_watches", counted) == 5


def budget(subscription: str, tokens: float = 20, *, remaining: int | None = None, pause: float = 0) -> Budget:
    return Budget(subscription=subscription, tokens=tokens, remaining=remaining, pause=pause)


def test_the_lowest_budget_of_a_subscription_is_reported() -> None:
    """If several principals use one subscription, each of the three metrics has its lowest budget."""
    budgets = [budget("s", remaining=40, pause=60), budget("s", 5), budget("s", remaining=90), budget("t", 9)]
    registry = World(budgets=budgets).registry()

    def told(name: str, subscription: str) -> float | None:
        return registry.get_sample_value(f"backupjobwatch_azure_{name}", {"subscription": subscription})

    assert (told("budget_reads", "s"), told("remaining_requests", "s"), told("wait_seconds", "s")) == (5, 40, 60)
    assert (told("budget_reads", "t"), told("remaining_requests", "t"), told("wait_seconds", "t")) == (9, None, 0)


def test_throttled_subscriptions_are_never_omitted() -> None:
    """If there are too many subscriptions, those that Azure throttles are always included."""
    budgets = [budget(f"s-{number:03}", pause=60 if number >= 150 else 0) for number in range(200)]
    registry = World(budgets=budgets).registry()
    families = {family.name: family for family in registry.collect()}
    told = {sample.labels["subscription"] for sample in families["backupjobwatch_azure_wait_seconds"].samples}
    assert told == {f"s-{number:03}" for number in range(150, 200)}
    assert registry.get_sample_value("backupjobwatch_left_out", {"what": "subscriptions"}) == 150


def test_an_object_without_a_creation_time_is_counted() -> None:
    """A watch that was never stored has the maximum creation time and can still be sorted."""
    world = World([summary(created=datetime.max.replace(tzinfo=UTC))])

    async def scrape() -> float | None:
        labels = {"phase": "Running", "reason": "JobInProgress"}
        return world.registry().get_sample_value("backupjobwatch_watches", labels)

    assert asyncio.run(scrape()) == 1
