"""The queries that the watches of one principal require in one subscription, and the reads that wait."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.domain.polling.demand import Demand, VaultState, kind_of
from backupjobwatch.domain.polling.observations import NEVER, observe
from backupjobwatch.domain.polling.pauses import JOB, KINDS, LIST, SECONDARY, Pauses
from backupjobwatch.domain.polling.token_bucket import TokenBucket
from backupjobwatch.errors import Throttled

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.resource_ids import VaultId
    from backupjobwatch.domain.polling.pauses import RequestKind
    from backupjobwatch.domain.polling.queries import Query
    from backupjobwatch.errors import AzureError

LISTS_ABOVE: Final = 0.8
"""Share of the rate that GETs may take before lists replace them."""
LISTS_UNTIL: Final = 0.5
"""Share below which GETs replace lists again. The hysteresis prevents constant switching."""
SECONDARY_RATE: Final = 1.0
"""Reads of jobs in secondary regions, per second. Azure refills the write requests of a principal with 10 per second."""
SECONDARY_BURST: Final = 10.0


@dataclass(slots=True, kw_only=True)
class Demands:
    """All demand, by query, and the reads that wait. All times are seconds on one monotonic clock."""

    bucket: TokenBucket
    secondary_bucket: TokenBucket = field(
        default_factory=lambda: TokenBucket(rate=SECONDARY_RATE, burst=SECONDARY_BURST), init=False
    )
    """For jobs in secondary regions."""
    pauses: Pauses = field(default_factory=Pauses, init=False)
    by_query: dict[Query, Demand] = field(default_factory=dict, init=False)
    vaults: dict[VaultId, VaultState] = field(default_factory=dict, init=False)
    due: dict[RequestKind, dict[Query, float]] = field(default_factory=lambda: {kind: {} for kind in KINDS}, init=False)
    """By kind of request: the queries that are due, and since when, the most overdue first."""
    explicit: dict[str, dict[Query, None]] = field(default_factory=dict, init=False)
    """By namespace: queries that need a fresh result after a request, an edit or a passed deadline."""
    changed: dict[JobId, float] = field(default_factory=dict, init=False)
    """Jobs that a list showed as changed, ended or missing, and when."""
    missing_details: dict[JobId, None] = field(default_factory=dict, init=False)
    """Jobs that completed according to a list, and were not read since."""
    old_details: dict[JobId, None] = field(default_factory=dict, init=False)
    """Unchanged jobs whose detail is old."""
    pages: dict[VaultId, None] = field(default_factory=dict, init=False)
    """Vaults whose list is being read and has another page."""
    lists: dict[VaultId, float] = field(default_factory=dict, init=False)
    """Vaults whose running jobs are listed next, and when."""
    used_at: float = field(default=NEVER, init=False)
    """When something was last required or released."""
    _uses_lists: bool = field(default=False, init=False)
    _load: float = field(default=0.0, init=False)
    """Reads per second that a GET for each job at each tick would take."""

    @property
    def is_waiting(self) -> bool:
        """Whether a read waits for a token, the end of a pause, or another read."""
        others = (self.explicit, self.changed, self.missing_details, self.old_details, self.pages)
        return any(others) or any(self.due.values())

    def add(self, query: Query, uid: str, *, interval: float, now: float) -> Demand:
        """Add a watch that requires *query* every *interval* seconds. It is due now, unless a result is recent."""
        self.used_at = now
        has_lists = query.vault.secondary_region is None
        vault = self.vaults.setdefault(query.vault, VaultState(held_until=NEVER if has_lists else inf))
        demand = self.by_query.get(query)
        if demand is None:
            demand = self.by_query[query] = Demand(query=query, interval=interval, since=now)
            vault.queries += 1
            if isinstance(query, JobId):
                vault.jobs[query] = demand
                self._load += 1 / interval
                self._use_entry(query, demand, vault, now)
        demand.uids[uid] = interval
        self._set_interval(demand)
        self.mark_due(query, now)
        return demand

    def remove(self, query: Query, uid: str, now: float) -> None:
        """Remove a watch that no longer requires *query*. Without watches, its observation is dropped."""
        self.used_at = now
        demand = self.by_query[query]
        demand.uids.pop(uid, None)
        if demand.uids:
            self._set_interval(demand)
            return
        del self.by_query[query]
        self.drop(query)
        self.drop_explicit(demand)
        vault = self.vaults[query.vault]
        vault.queries -= 1
        if isinstance(query, JobId):
            self._load -= 1 / demand.interval
            del vault.jobs[query]
            if not vault.jobs:
                vault.entries = {}
        self._drop_unused(query.vault)

    def mark_due(self, query: Query, now: float) -> bool:
        """Mark *query* as due if its result is older than half its interval. Return whether it already was, and still waits."""
        demand = self.by_query[query]
        if demand.is_final or demand.is_reading or now < demand.not_before:
            return False
        prefers_list = isinstance(query, JobId) and self.prefers_list(query.vault, now)
        # A list for another watch has no detail. While the budget covers GETs, it does not replace one.
        polled = demand.sent if prefers_list else demand.detail_sent
        if now - polled < demand.interval / 2:
            return False
        if isinstance(query, JobId):
            if demand.lacks_only_detail:
                self.missing_details.setdefault(query)
                return False
            if query in self.changed or query in self.vaults[query.vault].awaiting:
                return True
            if prefers_list:
                self.await_list(query, now)
                return False
        due = self.due[kind_of(query)]
        is_overdue = query in due
        due.setdefault(query, now)
        return is_overdue

    def request(self, query: Query, namespace: str, *, fresh_after: float) -> None:
        """Require a result of *query* that is requested at *fresh_after* or later, before other reads."""
        demand = self.by_query[query]
        demand.fresh_after = max(demand.fresh_after, fresh_after)
        if not demand.is_fresh:
            demand.is_explicit = True
            if kind_of(query) == SECONDARY:
                self.due[SECONDARY].setdefault(query, fresh_after)
                return
            self.explicit.setdefault(namespace, {}).setdefault(query)

    def note_change(self, job_id: JobId, now: float) -> None:
        """Queue a read of a job that a list shows as changed, ended or missing."""
        self.due[JOB].pop(job_id, None)
        self.changed.setdefault(job_id, now)
        self.vaults[job_id.vault].changed.setdefault(job_id)

    def drop(self, query: Query) -> None:
        """Drop *query* from all waiting reads, except explicit ones."""
        self.due[kind_of(query)].pop(query, None)
        if isinstance(query, JobId):
            self.changed.pop(query, None)
            self.missing_details.pop(query, None)
            self.old_details.pop(query, None)
            vault = self.vaults[query.vault]
            vault.awaiting.pop(query, None)
            vault.changed.pop(query, None)
            vault.window_tried.pop(query, None)

    def drop_explicit(self, demand: Demand) -> None:
        """Drop the explicit read of *demand*."""
        if not demand.is_explicit:
            return
        demand.is_explicit = False
        for namespace, queries in list(self.explicit.items()):
            queries.pop(demand.query, None)
            if not queries:
                del self.explicit[namespace]

    def drop_results(self) -> None:
        """Drop all observations, because their credential was replaced."""
        for demand in self.by_query.values():
            demand.observation = None
        for vault in self.vaults.values():
            vault.entries = {}

    def pause(self, kind: RequestKind, error: AzureError, *, seconds: float, now: float) -> None:
        """Pause requests of *kind* because of *error*, and read jobs in another way meanwhile."""
        if isinstance(error, Throttled):
            if kind != SECONDARY:
                self.bucket.slow_down(now)
            self.pauses.refuse(kind, until=now + seconds, now=now, everything=error.is_subscription_wide)
        else:
            self.pauses.extend(kind, until=now + seconds)
        if self.pauses.left(LIST, now):
            for vault_id in self.vaults:
                self.read_one_by_one(vault_id, now)
        elif self.pauses.left(JOB, now):
            for query in list(self.due[JOB]):
                if isinstance(query, JobId) and self.prefers_list(query.vault, now):
                    del self.due[JOB][query]
                    self.await_list(query, now)

    def may_list(self, vault: VaultState, now: float) -> bool:
        """Return whether a list of *vault* can be requested."""
        return now >= vault.held_until and not self.pauses.left(LIST, now)

    def prefers_list(self, vault_id: VaultId, now: float) -> bool:
        """Return whether a list is the better way to read the jobs of a vault."""
        vault = self.vaults[vault_id]
        if not self.may_list(vault, now):
            return False
        if self.pauses.left(JOB, now):
            return True
        limit = self.bucket.rate_at(now) * (LISTS_UNTIL if self._uses_lists else LISTS_ABOVE)
        self._uses_lists = self._load > limit
        is_pressed = len(self.due[JOB]) + len(vault.awaiting) > self.bucket.burst
        return (self._uses_lists or is_pressed) and len(vault.jobs) > vault.pages

    def await_list(self, job_id: JobId, now: float) -> None:
        """Let a due job wait for the next list of its vault, one interval after the last one."""
        vault = self.vaults[job_id.vault]
        vault.awaiting.setdefault(job_id)
        if not vault.is_reading:
            self._schedule_list(job_id.vault, self.by_query[job_id].interval, now)

    def end_list(self, vault_id: VaultId, now: float) -> None:
        """Schedule the next list of a vault after one has ended, if jobs wait for it."""
        vault = self.vaults[vault_id]
        vault.is_reading = False
        self.pages.pop(vault_id, None)
        if vault.awaiting:
            self._schedule_list(vault_id, min(self.by_query[job_id].interval for job_id in vault.awaiting), now)
        self._drop_unused(vault_id)

    def read_one_by_one(self, vault_id: VaultId, now: float) -> None:
        """Read each job that waits for a list with a GET instead."""
        vault = self.vaults[vault_id]
        for job_id in vault.awaiting:
            self.due[JOB].setdefault(job_id, now)
        vault.awaiting = {}
        self.lists.pop(vault_id, None)

    def _drop_unused(self, vault_id: VaultId) -> None:
        """Drop the state of a vault without required queries and without a list in flight."""
        vault = self.vaults[vault_id]
        if not vault.queries and not vault.is_reading:
            del self.vaults[vault_id]
            self.lists.pop(vault_id, None)

    def _set_interval(self, demand: Demand) -> None:
        shortest = min(demand.uids.values())
        if isinstance(demand.query, JobId):
            self._load += 1 / shortest - 1 / demand.interval
        demand.interval = shortest

    def _schedule_list(self, vault_id: VaultId, interval: float, now: float) -> None:
        at = max(now, self.vaults[vault_id].began + interval)
        self.lists[vault_id] = min(at, self.lists.get(vault_id, at))

    def _use_entry(self, job_id: JobId, demand: Demand, vault: VaultState, now: float) -> None:
        """Use the job in the latest list of its vault, if that list is recent."""
        entry = vault.entries.get(job_id.key)
        if entry is not None and now - vault.entries_sent <= demand.interval:
            demand.observation = observe(None, entry, sent=vault.entries_sent, time=vault.entries_time)
            self.old_details.setdefault(job_id)
