"""What is looked up at a scrape: the watches that exist, and the budgets of the subscriptions.

So its series vanish with the objects, and are the same after a restart.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from backupjobwatch.observability.metrics import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from backupjobwatch.domain.status.summary import Summary
    from backupjobwatch.observability.metrics.catalogue import Metric

MOST_SUBSCRIPTIONS: Final = 50
"""Subscriptions that have series of their own: anybody who may write a watch can name any number of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The read budget of one principal in one subscription."""

    subscription: str
    tokens: float
    remaining: int | None
    """Azure's own count of remaining requests, if a response had one lately."""
    pause: float
    """Seconds until Azure accepts requests again."""


class Followed(Protocol):
    """Who follows the watches."""

    @property
    def summaries(self) -> Iterable[Summary]:
        """The watches that exist."""
        ...


class Polls(Protocol):
    """The poller."""

    @property
    def overdue(self) -> float:
        """How many seconds ago the most overdue poll should have been made."""
        ...

    @property
    def budgets(self) -> Iterable[Budget]:
        """The budgets of all principals and subscriptions."""
        ...


class StateCollector(Collector):
    """Tells what is so at the time of the scrape. To be asked in the event loop, where this changes."""

    def __init__(self, followed: Followed, polls: Polls, *, watch_limit: int) -> None:
        self._followed = followed
        self._polls = polls
        self._watch_limit = watch_limit

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Yield the families without samples: all there is to say before the first scrape."""
        yield from map(_family, (*_OF_WATCHES, *_OF_SUBSCRIPTIONS, catalogue.LEFT_OUT))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the families."""
        left_out = _family(catalogue.LEFT_OUT)
        yield from self._watches(left_out)
        yield from self._subscriptions(left_out)
        yield left_out

    def _watches(self, left_out: GaugeMetricFamily) -> Iterator[GaugeMetricFamily]:
        # By one name there may be two for a while: the one that was deleted is not always known to be.
        ordered = sorted(self._followed.summaries, key=lambda each: each.created)
        newest = {(each.namespace, each.name): each for each in ordered}
        summaries = sorted(newest.values(), key=_interest, reverse=True)
        families = {metric.name: _family(metric) for metric in _OF_WATCHES}
        for (phase, reason), count in Counter((each.phase, each.reason) for each in summaries).items():
            families[catalogue.WATCHES.name].add_metric([phase, reason], count)
        families[catalogue.OVERDUE.name].add_metric([], self._polls.overdue)
        for each in summaries[: self._watch_limit]:
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
        left_out.add_metric(["watches"], max(len(summaries) - self._watch_limit, 0))
        yield from families.values()

    def _subscriptions(self, left_out: GaugeMetricFamily) -> Iterator[GaugeMetricFamily]:
        budgets: dict[str, list[Budget]] = {}
        for budget in self._polls.budgets:
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
        states.sort(key=lambda state: (-state[0], state[1], state[3]))  # those that are worst off first
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
    """Which watches have series of their own where not all can: those that have not ended, then the latest."""
    latest = summary.completed or summary.created
    return (not summary.finished, latest.timestamp(), summary.namespace, summary.name)


def _timestamp(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()
