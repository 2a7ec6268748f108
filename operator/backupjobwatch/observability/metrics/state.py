"""Collect metrics of existing watches and of read budgets at each scrape.

Their series disappear with the objects, and are the same after a restart.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from backupjobwatch.observability.metrics import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from backupjobwatch.domain.status.summary import Summary
    from backupjobwatch.observability.metrics.catalogue import Metric

MOST_SUBSCRIPTIONS: Final = 50
"""Maximum number of subscriptions with series of their own. Watches can name any number of subscriptions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The read budget of one principal in one subscription."""

    subscription: str
    tokens: float
    remaining: int | None
    """Azure's count of remaining requests, if a recent response had one."""
    pause: float
    """Seconds until Azure accepts requests again."""


class StateCollector(Collector):
    """Collector of the current state. Call it in the event loop, where the state changes."""

    def __init__(
        self,
        summaries: Callable[[], Iterable[Summary]],
        budgets: Callable[[], Iterable[Budget]],
        overdue: Callable[[], float],
        *,
        watch_limit: int,
    ) -> None:
        """The functions return the existing watches, the read budgets, and the delay of the most overdue poll in seconds."""
        self._summaries = summaries
        self._budgets = budgets
        self._overdue = overdue
        self._watch_limit = watch_limit

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Yield the families without samples, for the registration."""
        yield from map(_family, (*_OF_WATCHES, *_OF_SUBSCRIPTIONS, catalogue.LEFT_OUT))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the families with samples."""
        left_out = _family(catalogue.LEFT_OUT)
        yield from self._watches(left_out)
        yield from self._subscriptions(left_out)
        yield left_out

    def _watches(self, left_out: GaugeMetricFamily) -> Iterator[GaugeMetricFamily]:
        newest: dict[tuple[str, str], Summary] = {}
        for each in self._summaries():  # A deleted watch may still be known while a new one has its name.
            known = newest.setdefault((each.namespace, each.name), each)
            if known.created < each.created:
                newest[each.namespace, each.name] = each
        families = {metric.name: _family(metric) for metric in _OF_WATCHES}
        for (phase, reason), count in Counter((each.phase, each.reason) for each in newest.values()).items():
            families[catalogue.WATCHES.name].add_metric([phase, reason], count)
        families[catalogue.OVERDUE.name].add_metric([], self._overdue())
        for each in heapq.nlargest(self._watch_limit, newest.values(), key=_interest):
            key = [each.namespace, each.name]
            families[catalogue.WATCH.name].add_metric([*key, each.phase, each.reason], 1)
            for metric, value in (
                (catalogue.WATCH_START, _timestamp(each.job_start)),
                (catalogue.WATCH_DURATION, each.job_duration),
                (catalogue.WATCH_COMPLETION, _timestamp(each.completed)),
                (catalogue.WATCH_TROUBLE, _timestamp(each.trouble_since)),
            ):
                if value is not None:
                    families[metric.name].add_metric(key, value)
        left_out.add_metric(["watches"], max(len(newest) - self._watch_limit, 0))
        yield from families.values()

    def _subscriptions(self, left_out: GaugeMetricFamily) -> Iterator[GaugeMetricFamily]:
        budgets: dict[str, list[Budget]] = {}
        for budget in self._budgets():
            budgets.setdefault(budget.subscription, []).append(budget)
        states = [
            (
                max(budget.pause for budget in each),
                min(budget.tokens for budget in each),
                min((budget.remaining for budget in each if budget.remaining is not None), default=None),
                subscription,
            )
            for subscription, each in budgets.items()
        ]
        states.sort(key=lambda state: (-state[0], state[1], state[3]))  # The most constrained subscriptions first.
        families = [_family(metric) for metric in _OF_SUBSCRIPTIONS]
        for wait, tokens, remaining, subscription in states[:MOST_SUBSCRIPTIONS]:
            for family, value in zip(families, (tokens, remaining, wait), strict=True):
                if value is not None:
                    family.add_metric([subscription], value)
        left_out.add_metric(["subscriptions"], max(len(states) - MOST_SUBSCRIPTIONS, 0))
        yield from families


_OF_WATCHES: Final = (
    *(catalogue.WATCHES, catalogue.WATCH, catalogue.WATCH_START, catalogue.WATCH_DURATION, catalogue.WATCH_COMPLETION),
    *(catalogue.WATCH_TROUBLE, catalogue.OVERDUE),
)
_OF_SUBSCRIPTIONS: Final = (catalogue.BUDGET, catalogue.REMAINING, catalogue.WAIT)


def _family(metric: Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.meaning, labels=tuple(metric.labels))


def _interest(summary: Summary) -> tuple[bool, float, str, str]:
    """Return the sort key for watches with series of their own: unfinished watches, then the latest."""
    latest = summary.completed or summary.created
    return (not summary.finished, latest.timestamp(), summary.namespace, summary.name)


def _timestamp(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()
