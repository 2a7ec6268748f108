"""Instruments that record events when they happen: counters, histograms and some gauges."""

from __future__ import annotations

import contextlib
import itertools
import platform
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from backupjobwatch import __version__
from backupjobwatch.domain.status.summary import OUTCOMES
from backupjobwatch.errors import Conflict, ObjectNotFound
from backupjobwatch.observability.metrics import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backupjobwatch.domain.status.transitions import Transition
    from backupjobwatch.observability.metrics.catalogue import Metric

_MAX_INITIAL_SERIES: Final = 50
"""Maximum series of a counter that start at zero. PromQL sees no increase in a series that starts at one."""


@dataclass(frozen=True, slots=True)
class QueueInstruments:
    """Instruments of a work queue, with the names and meanings of client-go's metrics."""

    _depth: Gauge
    _wait: Histogram
    _retries: Counter

    def track_depth(self, depth: Callable[[], int]) -> None:
        """Report *depth* at each scrape."""
        self._depth.set_function(depth)

    def observe_wait(self, seconds: float) -> None:
        """Record how long a key was ready before a worker took it."""
        self._wait.observe(seconds)

    def observe_retry(self) -> None:
        """Count a rate-limited retry."""
        self._retries.inc()


class Metrics:
    """The instruments of an operator, with their own registry. Methods are thread-safe."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counters = {
            metric.name: Counter(metric.name, metric.meaning, tuple(metric.labels), registry=self.registry)
            for metric in catalogue.ALL
            if metric.kind == "counter"
        }
        self._series: dict[tuple[str, ...], Counter] = {}
        self._gauges = {
            metric.name: Gauge(metric.name, metric.meaning, tuple(metric.labels), registry=self.registry)
            for metric in (catalogue.BUILD, catalogue.LEADER, catalogue.RESYNC, catalogue.QUEUE_DEPTH)
        }
        self._histograms = {
            metric.name: Histogram(
                metric.name, metric.meaning, tuple(metric.labels), buckets=metric.buckets, registry=self.registry
            )
            for metric in catalogue.ALL
            if metric.kind == "histogram"
        }
        ProcessCollector(registry=self.registry)
        self._initialize_series()

    def _initialize_series(self) -> None:
        build = {"version": __version__, "python": platform.python_version()}
        self._gauges[catalogue.BUILD.name].labels(**build).set(1)
        for phase, reasons in OUTCOMES.items():
            for reason in reasons:
                self._counters[catalogue.OUTCOMES_TOLD.name].labels(phase, reason)
        for operation in catalogue.OPERATIONS:
            self._histograms[catalogue.LATENCY.name].labels(operation)
        for name in catalogue.QUEUES:
            self.queue(name)
        for metric in (
            *(catalogue.READS, catalogue.TOKEN_FAILURES, catalogue.WRITES, catalogue.NOTIFICATIONS),
            catalogue.BACKUP_REQUESTS,
        ):
            combinations = list(itertools.product(*metric.labels.values()))
            assert len(combinations) <= _MAX_INITIAL_SERIES  # noqa: S101 -- the catalogue is a constant
            for values in combinations:
                self._counters[metric.name].labels(*values)

    def track_leader(self, leading: Callable[[], bool]) -> None:
        """Report at each scrape whether this process is the leader."""
        self._gauges[catalogue.LEADER.name].set_function(leading)

    def observe_transition(self, transition: Transition) -> None:
        """Count *transition* if it ended a watch. Call this only if its Event is new."""
        if transition.phase in OUTCOMES and not transition.repeated:
            self._count(catalogue.OUTCOMES_TOLD, phase=transition.phase, reason=transition.reason)

    def observe_poll_lag(self, seconds: float) -> None:
        """Record the time between the due time of a poll and its response."""
        self._histograms[catalogue.POLL_LAG.name].observe(max(seconds, 0.0))

    def observe_resync(self, timestamp: float) -> None:
        """Record the Unix time of a complete resync."""
        self._gauges[catalogue.RESYNC.name].set(timestamp)

    def observe_request(self, operation: str, code: int | None, seconds: float) -> None:
        """Record a request to Azure. *code* is the HTTP status, or None without a response."""
        text = "none" if code is None else str(code)
        self._count(catalogue.REQUESTS, operation=operation, result=_result(code), code=text)
        self._histograms[catalogue.LATENCY.name].labels(operation).observe(seconds)

    def observe_read(self, answer: str) -> None:
        """Count a read of Azure (``catalogue.ANSWERS``)."""
        self._count(catalogue.READS, answer=answer)

    def observe_token_failure(self, owner: str, reason: str) -> None:
        """Count a failed attempt to get a token (``catalogue.OWNERS``, reason of the AzureError)."""
        self._count(catalogue.TOKEN_FAILURES, owner=owner, reason=reason)

    def observe_notification(self, channel: str, result: str) -> None:
        """Count an attempt to deliver a notification (``catalogue.CHANNELS``, ``catalogue.DELIVERIES``)."""
        self._count(catalogue.NOTIFICATIONS, channel=channel, result=result)

    def observe_backup_request(self, result: str) -> None:
        """Count an attempt to request a backup (``catalogue.BACKUP_ANSWERS``)."""
        self._count(catalogue.BACKUP_REQUESTS, result=result)

    def queue(self, name: str) -> QueueInstruments:
        """Return the instruments of a work queue (``catalogue.QUEUES``)."""
        return QueueInstruments(
            self._gauges[catalogue.QUEUE_DEPTH.name].labels(name),
            self._histograms[catalogue.QUEUE_WAIT.name].labels(name),
            self._counters[catalogue.QUEUE_RETRIES.name].labels(name),
        )

    def observe_loop_lag(self, seconds: float) -> None:
        """Record the lag of the event loop."""
        self._histograms[catalogue.LOOP_LAG.name].observe(max(seconds, 0.0))

    @contextlib.contextmanager
    def status_write(self, reason: str) -> Iterator[None]:
        """Count the status write in the context by its result (``catalogue.WRITE_REASONS``)."""
        result = "failed"
        try:
            yield
            result = "written"
        except Conflict:
            result = "conflict"
            raise
        except ObjectNotFound:
            result = "gone"
            raise
        finally:
            self._count(catalogue.WRITES, reason=reason, result=result)

    def _count(self, metric: Metric, **labels: str) -> None:
        bounded = {label: metric.bound(label, value) for label, value in labels.items()}
        series = (metric.name, *bounded.values())
        if series not in self._series:  # Cached, because labels() is slow for a call on each poll.
            self._series[series] = self._counters[metric.name].labels(**bounded)
        self._series[series].inc()


def _result(code: int | None) -> str:
    if code is None:
        return "unreachable"
    if code == HTTPStatus.TOO_MANY_REQUESTS:
        return "throttled"
    if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "failed"
    return "success" if code < HTTPStatus.MULTIPLE_CHOICES else "refused"
