"""Record Azure's responses, and queue the reads that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backupjobwatch.domain.jobs.resource_ids import JobId, fold_case
from backupjobwatch.domain.polling.demand import LIST_REFUSALS, RunningJobs, VaultList, kind_of
from backupjobwatch.domain.polling.observations import NEVER, JobList, differs, has_changed, observe
from backupjobwatch.domain.polling.pauses import JOB, SECONDARY
from backupjobwatch.domain.polling.queries import JobWindow
from backupjobwatch.domain.polling.schedule import backoff
from backupjobwatch.errors import AzureError, Throttled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.polling.demand import Demand, Request, VaultState
    from backupjobwatch.domain.polling.demands import Demands
    from backupjobwatch.domain.polling.observations import Result
    from backupjobwatch.domain.polling.queries import Query


@dataclass(frozen=True, slots=True)
class _Times:
    """When a request was sent, also on the wall clock, and the current time."""

    sent: float
    time: datetime
    now: float


@dataclass(frozen=True, slots=True)
class Update:
    """A new observation of a query."""

    demand: Demand
    is_changed: bool
    """Whether it differs from the previous one, apart from times and durations."""
    lag: float
    """Seconds between the time at which the poll was due and the response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationRecorder:
    """Writes results into *demands*. All times except ``time`` are seconds on one monotonic clock."""

    demands: Demands
    heartbeat: float
    """Seconds after which the detail of an unchanged job is old, and a refused list is requested again."""

    def record(self, read: Request, result: Result, *, sent: float, time: datetime, now: float) -> Iterator[Update]:
        """Record the *result* of *read*. The request was sent at *sent*, *time* on the wall clock."""
        at = _Times(sent, time, now)
        if isinstance(read, RunningJobs):
            yield from self._record_running(read, result, at)
        else:
            if isinstance(read, JobWindow) and isinstance(result, JobList):
                yield from self._record_window(read, result, at)
            yield from self._record_query(read, result, at)
        if isinstance(read, VaultList):
            self.demands.end_list(read.vault, now)

    def abort(self, read: Request, *, now: float) -> None:
        """Record an aborted request. Its query is read again."""
        if isinstance(read, VaultList) and read.vault in self.demands.vaults:
            self.demands.end_list(read.vault, now)
        demand = None if isinstance(read, RunningJobs) else self.demands.by_query.get(read)
        if demand is not None:
            demand.is_reading = False

    def _record_query(self, query: Query, result: Result, at: _Times) -> Iterator[Update]:
        demand = self.demands.by_query.get(query)
        if demand is None:  # no watch requires it now
            return
        demand.is_reading = False
        demand.is_only_secondary &= not isinstance(result, AzureError)
        if at.sent < demand.sent:  # a list with a later request came first
            return
        yield _store(demand, result, at)
        is_paused = isinstance(result, Throttled) and self.demands.pauses.left(kind_of(query), at.now) > 0
        if is_paused:
            self._requeue(demand, at.now)
        elif not isinstance(query, JobId) or at.sent >= self.demands.changed.get(query, at.sent):
            self.demands.drop(query)
        self._settle(demand, at.now, is_answered=not is_paused)

    def _record_running(self, read: RunningJobs, result: Result, at: _Times) -> Iterator[Update]:
        """Record a list of the running jobs of a vault. Queue a read of each job that is missing from it.

        After an error that the next list would return again, each job is read with a GET for a while. Any other error
        counts for the jobs that waited for the list, and the list is repeated after the interval.
        """
        vault = self.demands.vaults[read.vault]
        if isinstance(result, LIST_REFUSALS):
            vault.held_until = at.now + self.heartbeat
            self.demands.read_one_by_one(read.vault, at.now)
        elif isinstance(result, AzureError) and not isinstance(result, Throttled):
            for job_id in list(vault.awaiting):
                yield from self._record_query(job_id, result, at)
        elif isinstance(result, JobList):
            entries = _by_key(result.jobs)
            vault.pages, vault.entries_sent, vault.entries_time = result.pages, at.sent, at.time
            yield from self._record_entries(vault, entries, at)
            vault.entries = {key: job for key, job in entries.items() if not job.ended} if vault.jobs else {}
            for job_id, demand in vault.jobs.items():
                # A job that was required after the request may be in the next list.
                if job_id.key not in entries and not demand.is_final and max(demand.sent, demand.since) <= at.sent:
                    vault.awaiting.pop(job_id, None)
                    if not demand.lacks_only_detail:
                        self.demands.note_change(job_id, at.now)

    def _record_window(self, window: JobWindow, listed: JobList, at: _Times) -> Iterator[Update]:
        """Record a list of all jobs since a time."""
        vault = self.demands.vaults[window.vault]
        if window.management_type is None:
            vault.window_pages = listed.pages
        yield from self._record_entries(vault, _by_key(listed.jobs), at)

    def _record_entries(self, vault: VaultState, entries: Mapping[str, Job], at: _Times) -> Iterator[Update]:
        for job_id, demand in list(vault.jobs.items()):
            entry = entries.get(job_id.key)
            if entry is None or demand.is_final or at.sent < demand.sent:
                continue
            before = demand.job
            yield _store(demand, entry, at)
            vault.awaiting.pop(job_id, None)
            self.demands.due[JOB].pop(job_id, None)
            if demand.lacks_only_detail:
                self.demands.drop(job_id)
                self.demands.missing_details[job_id] = None
            elif entry.ended or (before is not None and differs(before, entry)):
                self.demands.note_change(job_id, at.now)
            elif demand.observation is not None and at.now - demand.observation.detail_sent >= self.heartbeat:
                self.demands.old_details.setdefault(job_id)
            self._settle(demand, at.now)

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
        """End the explicit read of *demand* if its result is fresh, and set the backoff."""
        if is_answered and demand.is_fresh:
            self.demands.drop_explicit(demand)
        elif demand.is_explicit and kind_of(demand.query) == SECONDARY:
            self.demands.due[SECONDARY].setdefault(demand.query, now)
        unanswered = 0 if demand.observation is None else demand.observation.unanswered
        delay = backoff(unanswered, demand.interval, seed=str(demand.query))
        demand.not_before = now + delay if delay else NEVER


def _store(demand: Demand, result: Result, at: _Times) -> Update:
    before, lag = demand.observation, at.now - demand.due
    demand.observation = observe(before, result, sent=at.sent, time=at.time)
    return Update(demand, has_changed(before, demand.observation), lag)


def _by_key(jobs: Sequence[Job]) -> dict[str, Job]:
    return {fold_case(job.name): job for job in jobs if job.name}
