"""Record Azure's responses, and queue the reads that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backupjobwatch.domain.jobs.resource_ids import JobId, fold_case
from backupjobwatch.domain.polling.demand import HOLDS, NextPage, RunningJobs, VaultList, kind_of
from backupjobwatch.domain.polling.observations import NEVER, JobList, differs, is_news, observe
from backupjobwatch.domain.polling.pauses import JOB, SECONDARY
from backupjobwatch.domain.polling.schedule import backoff
from backupjobwatch.errors import AzureError, Throttled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.polling.demand import Demand, Read, VaultState
    from backupjobwatch.domain.polling.demands import Demands
    from backupjobwatch.domain.polling.observations import ItemList, Result
    from backupjobwatch.domain.polling.queries import JobWindow, ProtectedItems, Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All pages of a list."""

    jobs: tuple[Job, ...]
    pages: int


@dataclass(frozen=True, slots=True)
class Update:
    """A new observation of a query."""

    demand: Demand
    is_news: bool
    """Whether it differs from the previous one, apart from times and durations."""
    lag: float
    """Seconds between the time at which the poll was due and the response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationRecorder:
    """Writes results into *demands*. All times except ``time`` are seconds on one monotonic clock."""

    demands: Demands
    heartbeat: float
    """Seconds after which the detail of an unchanged job is old, and a refused list is requested again."""

    def record(self, query: Query, result: Result, *, sent: float, time: datetime, now: float) -> Iterator[Update]:
        """Record the *result* of the request for *query* that was sent at *sent*, *time* on the wall clock."""
        demand = self.demands.of.get(query)
        if demand is None:  # no watch requires it now
            return
        demand.reading_since = None
        demand.is_only_secondary &= not isinstance(result, AzureError)
        if sent < demand.sent:  # a list with a later request came first
            return
        yield _store(demand, result, sent=sent, time=time, now=now)
        is_paused = isinstance(result, Throttled) and self.demands.pauses.left(kind_of(query), now) > 0
        if is_paused:
            self._requeue(demand, now)
        elif not isinstance(query, JobId) or sent >= self.demands.changed.get(query, sent):
            self.demands.drop(query)
        self._settle(demand, now, is_answered=not is_paused)

    def record_running(
        self, read: RunningJobs, listing: Listing, *, sent: float, time: datetime, now: float
    ) -> Iterator[Update]:
        """Record a list of the running jobs of a vault. Queue a read of each job that is missing from it."""
        vault = self.demands.vaults[read.vault]
        entries = _by_key(listing.jobs)
        vault.pages, vault.entries_sent, vault.entries_time = listing.pages, sent, time
        yield from self._record_entries(vault, entries, sent=sent, time=time, now=now)
        vault.entries = {key: job for key, job in entries.items() if not job.ended} if vault.jobs else {}
        for job_id, demand in vault.jobs.items():
            # A job that was required after the request may be in the next list.
            if job_id.key not in entries and not demand.is_final and demand.sent <= sent and demand.since <= sent:
                vault.awaiting.pop(job_id, None)
                if not demand.lacks_only_detail:
                    self.demands.note_change(job_id, now)
        self.demands.end_list(read.vault, now)

    def record_window(
        self, window: JobWindow, listing: Listing, *, sent: float, time: datetime, now: float
    ) -> Iterator[Update]:
        """Record a list of all jobs since a time."""
        vault = self.demands.vaults[window.vault]
        if window.management_type is None:
            vault.window_pages = listing.pages
        yield from self._record_entries(vault, _by_key(listing.jobs), sent=sent, time=time, now=now)
        yield from self.record(window, JobList(listing.jobs), sent=sent, time=time, now=now)
        self.demands.end_list(window.vault, now)

    def record_items(
        self, read: ProtectedItems, items: ItemList, *, sent: float, time: datetime, now: float
    ) -> Iterator[Update]:
        """Record a list of a vault's protected items."""
        yield from self.record(read, items, sent=sent, time=time, now=now)
        self.demands.end_list(read.vault, now)

    def record_failed_list(
        self, read: VaultList, error: AzureError, *, sent: float, time: datetime, now: float
    ) -> Iterator[Update]:
        """Record a failed list.

        After an error that the next list would return again, each job is read with a GET for a while. Any other error
        counts for the jobs that waited for the list, and the list is repeated after the interval.
        """
        vault = self.demands.vaults[read.vault]
        if not isinstance(read, RunningJobs):
            yield from self.record(read, error, sent=sent, time=time, now=now)
        elif isinstance(error, HOLDS):
            vault.held_until = now + self.heartbeat
            self.demands.read_one_by_one(vault, now)
        elif not isinstance(error, Throttled):
            for job_id in list(vault.awaiting):
                yield from self.record(job_id, error, sent=sent, time=time, now=now)
        self.demands.end_list(read.vault, now)

    def abort(self, read: Read, *, now: float) -> None:
        """Record an aborted request. Its query is read again."""
        if isinstance(read, VaultList) and read.vault in self.demands.vaults:
            self.demands.end_list(read.vault, now)
        demand = None if isinstance(read, RunningJobs | NextPage) else self.demands.of.get(read)
        if demand is not None:
            demand.reading_since = None

    def _record_entries(
        self, vault: VaultState, entries: Mapping[str, Job], *, sent: float, time: datetime, now: float
    ) -> Iterator[Update]:
        for job_id, demand in list(vault.jobs.items()):
            entry = entries.get(job_id.key)
            if entry is None or demand.is_final or sent < demand.sent:
                continue
            before = demand.job
            yield _store(demand, entry, sent=sent, time=time, now=now)
            vault.awaiting.pop(job_id, None)
            self.demands.due[JOB].pop(job_id, None)
            if demand.lacks_only_detail:
                self.demands.drop(job_id)
                self.demands.missing_details[job_id] = None
            elif entry.ended or (before is not None and differs(before, entry)):
                self.demands.note_change(job_id, now)
            elif demand.observation is not None and now - demand.observation.detail_sent >= self.heartbeat:
                self.demands.old_details.setdefault(job_id)
            self._settle(demand, now)

    def _requeue(self, demand: Demand, now: float) -> None:
        """Read *demand* again when the pause ends, or earlier in another way."""
        query, demands = demand.query, self.demands
        is_queued = isinstance(query, JobId) and (query in demands.changed or query in demands.missing_details)
        if is_queued or demand.is_explicit:
            return
        demands.drop(query)
        if isinstance(query, JobId) and demands.prefers_list(query.vault, now):
            demands.await_list(query, now)
        else:
            demands.due[kind_of(query)].setdefault(query, now)

    def _settle(self, demand: Demand, now: float, *, is_answered: bool = True) -> None:
        if is_answered and demand.is_fresh:
            self.demands.drop_explicit(demand)
        elif demand.is_explicit and kind_of(demand.query) == SECONDARY:
            self.demands.due[SECONDARY].setdefault(demand.query, now)
        unanswered = 0 if demand.observation is None else demand.observation.unanswered
        delay = backoff(unanswered, demand.interval, seed=str(demand.query))
        demand.not_before = now + delay if delay else NEVER


def _store(demand: Demand, result: Result, *, sent: float, time: datetime, now: float) -> Update:
    before, lag = demand.observation, now - demand.due
    demand.observation = observe(before, result, sent=sent, time=time)
    return Update(demand, is_news(before, demand.observation), lag)


def _by_key(jobs: Sequence[Job]) -> dict[str, Job]:
    return {fold_case(job.name): job for job in jobs if job.name}
