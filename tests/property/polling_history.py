"""Histories of one reader: watches that come and go, and any behaviour of Azure. The clock is simulated."""

from __future__ import annotations

import heapq
import pickle
import random
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId
from backupjobwatch.domain.polling.demand import NextPage, kind_of
from backupjobwatch.domain.polling.demands import Demands
from backupjobwatch.domain.polling.observations import JobList
from backupjobwatch.domain.polling.pauses import KINDS, LIST
from backupjobwatch.domain.polling.read_planner import ReadPlanner
from backupjobwatch.domain.polling.recording import ObservationRecorder
from backupjobwatch.domain.polling.token_bucket import TokenBucket
from backupjobwatch.errors import AzureError, AzureUnavailable, Throttled
from tests.support.polling import START, wall

if TYPE_CHECKING:
    from collections.abc import Callable

    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.jobs.resource_ids import VaultId
    from backupjobwatch.domain.polling.demand import Read
    from backupjobwatch.domain.polling.pauses import RequestKind
    from backupjobwatch.domain.polling.queries import Query
    from tests.property.azure_model import ModelAzure

SLOTS: Final = 4
LATENCY: Final = (0.05, 0.8)
PAGE_ATTEMPTS: Final = 3
HEARTBEAT: Final = 300.0
PROBES: Final = 0.03
"""Share of the moments without waiting reads at which the next wake-up is verified."""


@dataclass(slots=True)
class List:
    """A list that is being read."""

    sent: float
    entries: list[Job] = field(default_factory=list)
    read: int = 0
    """The number of pages that were read."""
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """One request that was sent."""

    at: float
    read: Read
    could_read_due: bool
    """Whether a due query could have been read instead."""


@dataclass(slots=True, kw_only=True, repr=False)
class History:
    """Runs one planner and one recorder as ``arm.reader.Reader`` does."""

    azure: ModelAzure
    rate: float = 2.0
    burst: float = 20
    seed: int = 0
    aborts: float = 0.0
    """The share of requests that are abandoned."""
    now: float = START
    demands: Demands = field(init=False)
    planner: ReadPlanner = field(init=False)
    recorder: ObservationRecorder = field(init=False)
    sent: list[Sent] = field(default_factory=list)
    seen_ended: dict[JobId, float] = field(default_factory=dict)
    """When an observation first showed the end of each job."""
    pauses: list[tuple[str, float, float]] = field(default_factory=list)
    """The kinds of requests that were paused, with start and end."""
    is_checked: bool = True
    """Whether ``check`` runs after each event."""
    on_check: Callable[[], None] = lambda: None
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: Any = field(default_factory=count)
    _free: int = SLOTS
    _lists: dict[VaultId, tuple[Any, List]] = field(default_factory=dict)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.demands = Demands(bucket=TokenBucket(rate=self.rate, burst=self.burst))
        self.planner = ReadPlanner(demands=self.demands)
        self.recorder = ObservationRecorder(demands=self.demands, heartbeat=HEARTBEAT)
        self._random = random.Random(self.seed)

    # Actions of watches.

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Schedule *action*."""
        heapq.heappush(self._events, (time, next(self._order), action))

    def watch(
        self, uid: str, query: Query, *, interval: float, since: float = START, until: float = float("inf")
    ) -> None:
        """Require *query* for a watch between two times, with a tick every *interval*."""

        def tick() -> None:
            if self.now < until:
                self.demands.mark_due(query, self.now)
                self.at(self.now + interval, tick)

        def require() -> None:
            self.demands.add(query, uid, interval=interval, now=self.now)
            self.at(self.now + self._random.uniform(0, interval), tick)

        self.at(since, require)
        if until < float("inf"):
            self.at(until, lambda: self.demands.remove(query, uid, self.now))

    def clear(self) -> None:
        """Drop all scheduled events except responses to requests in flight."""
        self._events = [event for event in self._events if event[2].__name__ == "end"]
        heapq.heapify(self._events)

    def request(self, time: float, query: Query, namespace: str) -> None:
        """Request a fresh result of *query* as a user."""

        def request() -> None:
            if query in self.demands.by_query:
                self.demands.request(query, namespace, fresh_after=self.now)

        self.at(time, request)

    # Actions of the reader.

    def run(self, until: float) -> None:
        """Run all events until this time."""
        while True:
            self.pump()
            if self.is_checked:
                self.check()
            wake = self.planner.wake_at(self.now)
            assert wake is None or wake > self.now, "the reader would spin"
            if self._free and not self.demands.is_waiting and self._random.random() < PROBES:
                self._check_idle(float("inf") if wake is None else wake)
            at = min(self._events[0][0] if self._events else float("inf"), float("inf") if wake is None else wake)
            if at > until:
                self.now = until
                return
            assert at >= self.now
            self.now = at
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()

    def pump(self) -> None:
        while self._free:
            could_read_due = self.is_checked and self._could_read_due()
            read = self.planner.next_read(self.now)
            if read is None:
                return
            self.sent.append(Sent(self.now, read, could_read_due))
            self._free -= 1
            if isinstance(read, NextPage):
                self._send_page(*self._lists[read.vault])
            elif isinstance(read, JobId | OperationId):
                self._later(self._finish_read(read, self.now))
            else:
                reading = List(sent=self.now)
                self._lists[read.vault] = (read, reading)
                self._send_page(read, reading)

    def _check_idle(self, wake: float) -> None:
        """Assert that nothing can be read before *wake* without another event."""
        planner: ReadPlanner = pickle.loads(pickle.dumps(self.planner))  # faster than a deep copy
        assert planner.next_read(min(wake - 0.01, self.now + 1e5)) is None, "the reader would sleep too long"

    def _could_read_due(self) -> bool:
        demands = self.demands
        return any(
            not demands.by_query[query].is_reading
            for kind, queries in demands.due.items()
            if kind != LIST and not demands.pauses.left(kind, self.now)
            for query in queries
        )

    def _later(self, finish: Callable[[], None]) -> None:
        def end() -> None:
            self._free += 1
            finish()

        self.at(self.now + self._random.uniform(*LATENCY), end)

    def _finish_read(self, read: JobId | OperationId, sent: float) -> Callable[[], None]:
        error = self.azure.trouble(kind_of(read), self.now)
        answer = error or self.azure.answer(read, self.now)

        def finish() -> None:
            if self._is_aborted():
                self.recorder.abort(read, now=self.now)
                return
            if error is not None:
                self._note_pause(kind_of(read), error)
            self._record(self.recorder.record(read, answer, sent=sent, time=wall(sent), now=self.now))

        return finish

    def _send_page(self, read: Any, reading: List) -> None:
        error = self.azure.trouble(LIST, self.now)
        if not reading.read and error is None:
            reading.entries = self.azure.entries(read, self.now)

        def finish() -> None:
            if self._is_aborted():
                self.recorder.abort(read, now=self.now)
                return
            times: Any = {"sent": reading.sent, "time": wall(reading.sent), "now": self.now}
            if error is not None:
                self._note_pause(LIST, error)
                reading.failures += not isinstance(error, Throttled)
                can_retry = isinstance(error, Throttled | AzureUnavailable) and reading.failures < PAGE_ATTEMPTS
                if not reading.read or not can_retry:
                    self._record(self.recorder.record(read, error, **times))
                    return
            else:
                reading.read += 1
                pages = self.azure.pages(reading.entries)
                if reading.read >= pages:
                    listed = JobList(tuple(reading.entries), pages)
                    self._record(self.recorder.record(read, listed, **times))
                    return
            self.demands.pages[read.vault] = None

        self._later(finish)

    def _is_aborted(self) -> bool:
        return self._random.random() < self.aborts

    def _note_pause(self, kind: RequestKind, error: AzureError) -> None:
        if error.retry_after:
            seconds = error.retry_after.total_seconds()
            everything = isinstance(error, Throttled) and error.is_subscription_wide
            self.demands.pause(kind, error, seconds=seconds, now=self.now)
            self.pauses += [(each, self.now, self.now + seconds) for each in (KINDS if everything else (kind,))]

    def _record(self, updates: Any) -> None:
        for update in updates:
            query = update.demand.query
            if isinstance(query, JobId) and update.demand.job is not None and update.demand.job.ended:
                self.seen_ended.setdefault(query, self.now)

    # Invariants.

    def check(self) -> None:
        """Assert that the planner's collections are consistent."""
        demands = self.demands
        of = demands.by_query
        explicit = [query for queries in demands.explicit.values() for query in queries]
        assert all(demands.explicit.values())
        assert set(explicit) == {query for query, demand in of.items() if demand.is_explicit}
        assert demands.changed.keys() | demands.missing_details.keys() | demands.old_details.keys() <= of.keys()
        for kind, waiting in demands.due.items():
            assert waiting.keys() <= of.keys()
            assert {kind_of(query) for query in waiting} <= {kind}
        jobs: dict[JobId, Any] = {query: demand for query, demand in of.items() if isinstance(query, JobId)}
        assert {job_id for vault in demands.vaults.values() for job_id in vault.jobs} == jobs.keys()
        assert {job_id for vault in demands.vaults.values() for job_id in vault.changed} == demands.changed.keys()
        assert demands.lists.keys() <= demands.vaults.keys()
        for vault_id, vault in demands.vaults.items():
            assert vault.awaiting.keys() <= vault.jobs.keys()
            assert vault.window_tried.keys() <= vault.jobs.keys()
            if vault.awaiting:
                assert vault.is_reading or vault_id in demands.lists, "jobs wait for a list that never comes"
        assert abs(demands._load - sum(1 / demand.interval for demand in jobs.values())) < 1e-6
        if not of and not any(vault.is_reading for vault in demands.vaults.values()):
            assert not demands.is_waiting
        self.on_check()
        for query, demand in of.items():
            assert demand.uids
            assert demand.interval > 0
            assert query == demand.query
