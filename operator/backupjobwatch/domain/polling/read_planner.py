"""Decides which request to send next for the watches of one principal in one subscription, within its token bucket.

While the bucket covers it, each job is read with a GET at every tick, with full detail. Beyond that, the running jobs
of a vault are listed once per interval. A job is then read only if its list entry changed, if it ended, or if its
detail is old. The cost grows with vaults and changes, not with watches.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.domain.polling.demand import NextPage, RunningJobs, VaultList, kind_of
from backupjobwatch.domain.polling.observations import NEVER
from backupjobwatch.domain.polling.pauses import JOB, LIST, SECONDARY
from backupjobwatch.domain.polling.queries import JobWindow, window_since

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backupjobwatch.domain.jobs.resource_ids import VaultId
    from backupjobwatch.domain.polling.demand import Demand, Read, VaultState
    from backupjobwatch.domain.polling.demands import Demands
    from backupjobwatch.domain.polling.queries import Query

DETAIL_SHARE: Final = 0.2
"""Share of the rate at which the detail of unchanged jobs is refreshed while lists replace GETs."""
WORTH_A_WINDOW: Final = 2
"""GETs that each page of a list of all jobs since a time must save. Otherwise GETs are sent."""
LOOK_AT: Final = 100
"""Maximum number of queries examined per read, because a pause may block thousands of them."""
RETRY: Final = 1.0
"""Seconds until the next attempt, if reads wait although a token is available."""
EXPLICIT, CHANGED, DUE, DETAIL = range(4)
CLASSES: Final = (EXPLICIT, CHANGED, EXPLICIT, DUE, EXPLICIT, CHANGED, EXPLICIT, DUE, EXPLICIT, DETAIL)
"""The class of reads that gets each token, in turn. No class starves another. Explicit requests get half of the tokens."""
FALLBACK: Final = (CHANGED, DUE, DETAIL, EXPLICIT)
"""The order in which classes get a token that its own class does not need."""


@dataclass(slots=True, kw_only=True)
class ReadPlanner:
    """Chooses reads, and sends no request itself. All times are seconds on one monotonic clock."""

    demands: Demands
    _taken: int = field(default=0, init=False)
    """The number of tokens taken."""
    _next_detail: float = field(default=NEVER, init=False)

    def next_read(self, now: float) -> Read | None:
        """Return the request to send now, and take its token. None if none can be sent."""
        secondary = self._next_secondary(now, with_get=False)
        if secondary is not None:
            self.demands.secondary_bucket.take(now)
            self._start(secondary, now)
            return secondary
        if self.demands.bucket.wait(now) > 0:
            return None
        choose = (self._next_explicit, self._next_changed, self._next_due, self._next_detail_read)
        for each in (CLASSES[self._taken % len(CLASSES)], *FALLBACK):
            read = choose[each](now)
            if read is not None:
                self._taken += 1
                self.demands.bucket.take(now)
                if kind_of(read) == SECONDARY:
                    self.demands.secondary_bucket.take(now)  # a POST may follow the GET
                self._start(read, now)
                return read
        return None

    def wake_at(self, now: float) -> float | None:
        """Return when to call ``next_read`` again, if nothing happens until then. None if nothing waits."""
        ready = now + (self.demands.bucket.wait(now) or RETRY)
        times = [ready] if self.demands.is_waiting else []
        if self.demands.due[SECONDARY]:
            times.append(now + (self.demands.secondary_bucket.wait(now) or RETRY))
        if self.demands.lists:
            at = min(self.demands.lists.values())
            times.append(at if at > now else ready)  # an overdue list waits for a token
        return min(times, default=None)

    def _start(self, read: Read, now: float) -> None:
        if isinstance(read, NextPage):
            del self.demands.pages[read.vault]
            return
        if isinstance(read, VaultList):
            vault = self.demands.vaults[read.vault]
            vault.is_reading = True
            if isinstance(read, RunningJobs):
                vault.began = now
                self.demands.lists.pop(read.vault, None)
        if not isinstance(read, RunningJobs) and (demand := self.demands.by_query.get(read)) is not None:
            demand.is_reading = True

    def _next_explicit(self, now: float) -> Read | None:
        """Choose an explicit read. Namespaces take turns."""
        for namespace in list(self.demands.explicit):
            queries = self.demands.explicit[namespace]
            for query in islice(queries, LOOK_AT):
                read = self._fresh_read(self.demands.by_query[query], now)
                if read is not None:
                    del self.demands.explicit[namespace]
                    self.demands.explicit[namespace] = queries  # move to the end
                    return read
        return None

    def _fresh_read(self, demand: Demand, now: float) -> Read | None:
        query = demand.query
        if demand.is_reading:
            return None
        vault = self.demands.vaults[query.vault]
        if not self.demands.pauses.left(kind_of(query), now):
            return None if isinstance(query, VaultList) and vault.is_reading else query
        may_list = isinstance(query, JobId) and not vault.is_reading and self.demands.may_list(vault, now)
        return RunningJobs(query.vault) if may_list and vault.began < demand.fresh_after else None

    def _next_changed(self, now: float) -> Read | None:
        if not self.demands.changed:
            return None
        for vault_id, vault in self.demands.vaults.items():
            if vault.changed and (window := self._window_for_changed(vault_id, vault, now)) is not None:
                return window
        if self.demands.pauses.left(JOB, now):
            return None
        return self._first_idle(self.demands.changed)

    def _window_for_changed(self, vault_id: VaultId, vault: VaultState, now: float) -> JobWindow | None:
        """Return a list of all jobs since the first changed job began, if it costs less than GETs."""
        if vault.is_reading or not self.demands.may_list(vault, now):
            return None
        are_gets_paused = self.demands.pauses.left(JOB, now)
        starts = {}
        for job_id in vault.changed:
            demand = vault.jobs[job_id]
            tried = vault.window_tried.get(job_id)
            if demand.job is None or demand.job.start_time is None:
                continue
            if tried is None or (are_gets_paused and not demand.job.ended and now - tried >= demand.interval):
                starts[job_id] = demand.job.start_time
        if not starts or (not are_gets_paused and len(starts) <= WORTH_A_WINDOW * vault.window_pages):
            return None
        vault.window_tried.update(dict.fromkeys(starts, now))
        return window_since(vault_id, min(starts.values()))

    def _next_due(self, now: float) -> Read | None:
        """Choose the most overdue read: a job, an operation, a window, or the list of a vault."""
        if self.demands.pages and not self.demands.pauses.left(LIST, now):
            return NextPage(next(iter(self.demands.pages)))
        choices: list[tuple[float, Read]] = []
        for kind, queries in self.demands.due.items():
            if kind == JOB:
                self._reroute(now)
            if kind == SECONDARY or self.demands.pauses.left(kind, now):
                continue
            for query, since in islice(queries.items(), LOOK_AT):
                is_blocked = kind == LIST and self.demands.vaults[query.vault].is_reading
                if not self.demands.by_query[query].is_reading and not is_blocked:
                    choices.append((since, query))
                    break
        secondary = self._next_secondary(now, with_get=True)
        if secondary is not None:
            choices.append((self.demands.due[SECONDARY][secondary], secondary))
        listed = self._next_list(now)
        if listed is not None:
            choices.append(listed)
        return min(choices, key=lambda choice: choice[0])[1] if choices else None

    def _next_secondary(self, now: float, *, with_get: bool) -> Query | None:
        """Choose a job in a secondary region, explicit ones first. These reads have a token bucket of their own.

        With *with_get*, choose one that is first read in the vault's region, for which other reads must leave a token.
        """
        due = self.demands.due[SECONDARY]
        if not due or self.demands.pauses.left(SECONDARY, now) or self.demands.secondary_bucket.wait(now) > 0:
            return None
        is_paused = self.demands.pauses.left(JOB, now) > 0
        demands = (self.demands.by_query[query] for query in islice(due, LOOK_AT))
        waiting = (
            demand
            for demand in demands
            if not demand.is_reading and with_get != (is_paused or demand.is_only_secondary)
        )
        chosen = min(waiting, key=lambda demand: not demand.is_explicit, default=None)
        return None if chosen is None else chosen.query

    def _reroute(self, now: float) -> None:
        """Let the most overdue jobs wait for a list, as long as a list is the better way to read them."""
        due = self.demands.due[JOB]
        while due:
            query = next(iter(due))
            if not isinstance(query, JobId) or not self.demands.prefers_list(query.vault, now):
                return
            del due[query]
            self.demands.await_list(query, now)

    def _next_list(self, now: float) -> tuple[float, Read] | None:
        due = [(at, vault_id) for vault_id, at in self.demands.lists.items() if at <= now]
        for at, vault_id in sorted(due, key=lambda each: each[0]):
            vault = self.demands.vaults[vault_id]
            if vault.awaiting and not vault.is_reading and self.demands.may_list(vault, now):
                return at, RunningJobs(vault_id)
            del self.demands.lists[vault_id]
            if not vault.is_reading:  # no job waits, or lists are paused or refused
                self.demands.read_one_by_one(vault_id, now)
        return None

    def _next_detail_read(self, now: float) -> Read | None:
        """Choose a job whose detail is missing or old."""
        if self.demands.pauses.left(JOB, now):
            return None
        missing = self._first_idle(self.demands.missing_details)
        if missing is not None or now < self._next_detail:
            return missing
        old = self._first_idle(self.demands.old_details)
        if old is not None:
            self._next_detail = now + 1 / (DETAIL_SHARE * self.demands.bucket.rate_at(now))
        return old

    def _first_idle(self, queries: Iterable[Query]) -> Query | None:
        """Return the first of *queries* without a request in flight."""
        candidates = islice(queries, LOOK_AT)
        return next((query for query in candidates if not self.demands.by_query[query].is_reading), None)
