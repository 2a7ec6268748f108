"""Which reads to make for the watches of one identity in one subscription: as few as tell enough.

While the budget covers it, each job has a GET of its own at each tick, with all detail. When more is due than that, or
more wait than the budget covers at once, each vault is listed once an interval instead, and only a job whose entry
changed, that ended, or whose detail is old is fetched. So cost grows with vaults and changes, not with watches.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.jobs.resource_ids import JobId, VaultId
    from backupjobwatch.domain.polling.token_bucket import TokenBucket

CROWDED: Final = 0.8
"""The share of the budget that GETs may take before lists take their place."""
ROOMY: Final = 0.5
"""The share below which GETs come back: well below, so that the two do not alternate."""
FORGET_AFTER: Final = 3
"""Intervals after which a job that nobody asked about is forgotten, and one who waits for a read has gone."""
PATIENCE: Final = 1
"""Intervals for which a vault waits for its turn before it may have the last token."""
LAST: Final = 1.0
"""The token that is kept for such a vault: one of few watches has few chances to find what those of many have left."""
DETAIL_SHARE: Final = 0.2
"""The share of the rate at which the detail of jobs that seem unchanged is fetched anew: it costs as much per job as the
ticks that lists spare."""
YOUTH: Final = 300.0
"""Seconds within which everybody asks who was there from the start: the longest interval."""
LIST_RESERVE: Final = 3.0
"""Tokens kept for jobs that have ended, when a list is wanted; and, doubled, when a mere refresh is."""


IDLE: Final = 3600.0
"""Seconds after which what is known for those who asked may be forgotten. The slowest asks every five minutes."""


class Decision(Enum):
    """What to do for one who asks about a job."""

    GET = auto()
    LIST = auto()
    """List the vault's running jobs, then ask again."""
    WAIT = auto()
    """Not now."""


@dataclass(slots=True)
class _Demand:
    interval: float
    since: float
    asked: float
    told: float = float("-inf")
    """As of when the last answer was: of the list that it was from, or of the job's own."""


@dataclass(slots=True)
class _Wait:
    interval: float
    since: float
    asked: float


@dataclass(slots=True)
class _Listing:
    at: float
    pages: int
    entries: dict[JobId, Job]


@dataclass(slots=True)
class _Detail:
    at: float
    gist: tuple[object, ...]
    final: Job | None
    """The job, once it has ended: it says nothing new any more."""


@dataclass(slots=True, kw_only=True)
class ReadPlanner:
    """Decides about reads. All times are seconds on one steady clock; nothing here asks Azure."""

    budget: TokenBucket
    heartbeat: float
    """Seconds after which the detail of an unchanged job is fetched anew."""
    asked: float = 0.0
    """When anything was last asked."""
    crowded: bool = field(default=False, init=False)
    _demands: dict[JobId, _Demand] = field(default_factory=dict, init=False)
    _listings: dict[VaultId, _Listing] = field(default_factory=dict, init=False)
    _details: dict[JobId, _Detail] = field(default_factory=dict, init=False)
    _watched_in: Counter[VaultId] = field(default_factory=Counter, init=False)
    """How many jobs are asked about in each vault."""
    _waiting: dict[Hashable, _Wait] = field(default_factory=dict, init=False)
    """Vaults that wait for a list, jobs that wait for a GET, and whatever else is to be read."""
    _unlistable: dict[VaultId, float] = field(default_factory=dict, init=False)
    """Until when a vault is not listed, because that failed."""
    _due_rate: float = field(default=0.0, init=False)
    _began: float | None = field(default=None, init=False)
    """When the first asked."""
    _next_detail: float = field(default=float("-inf"), init=False)
    _swept: float = field(default=0.0, init=False)

    def ask(
        self, job_id: JobId, *, interval: float, now: float, batch_size: int = 1, bypass_cache: bool = False
    ) -> Decision | Job:
        """Decide how to read a job that is polled each *interval* seconds. A Job is an entry of a list that is fresh enough.

        With *bypass_cache*, no entry is fresh enough, and no tokens are reserved for other reads. With a *batch_size* above
        1, an end that was observed before is enough: the budget may not cover the whole batch.
        """
        self.note(job_id, interval=interval, now=now)
        detail = self._details.get(job_id)
        if batch_size > 1 and detail is not None and detail.final is not None:
            return detail.final
        if bypass_cache:
            return self._turn(Decision.GET, job_id, 0, interval, now)
        if self.is_crowd(batch_size):
            return self._ask_crowded(job_id, interval, now)
        return self._turn(Decision.GET, job_id, 0, interval, now)

    def has_turn(self, reader: Hashable, *, interval: float, now: float) -> bool:
        """Tell whether something else than a job may be read now, by one who asks for it each *interval* seconds."""
        self._forget(interval, now)
        return self._turn(Decision.GET, reader, min(LIST_RESERVE, self.budget.burst / 2), interval, now) is Decision.GET

    def is_crowd(self, batch_size: int) -> bool:
        """Tell whether lists take the place of GETs: in general, while many wait, or for so many jobs at one time."""
        return self.crowded or self._is_pressed or batch_size > self.budget.burst * ROOMY

    @property
    def _is_pressed(self) -> bool:
        """Whether more wait than the budget covers at once."""
        return len(self._waiting) > self.budget.burst

    def _ask_crowded(self, job_id: JobId, interval: float, now: float) -> Decision | Job:
        vault = job_id.vault
        listing, detail = self._listings.get(vault), self._details.get(job_id)
        entry = None if listing is None else listing.entries.get(job_id)
        if self._watched_in[vault] <= (listing.pages if listing else 1) or now < self._unlistable.get(vault, now):
            # A list would tell no more, for as much, or nothing at all.
            return self._turn(Decision.GET, job_id, LIST_RESERVE, interval, now)
        demand = self._demands[job_id]
        fresh = listing is not None and self._is_fresh(listing, demand, now)
        # Of a job that nobody asked about then, a list need not say anything. Where many wait, the next will.
        is_unknown = listing is not None and entry is None and demand.since > listing.at and self._is_pressed
        if listing is not None and not is_unknown and (entry is None or entry.ended):
            looked_at = detail is not None and detail.at >= listing.at
            # It has ended, or will be looked for. However old that list is, the next would only say it again.
            if fresh or not looked_at:
                return self._turn(Decision.GET, job_id, LAST, interval, now)
        if listing is None or not fresh or entry is None:
            return self._turn(Decision.LIST, vault, LIST_RESERVE, interval, now)
        self._waiting.pop(job_id, None)
        current = detail is not None and detail.gist == _significant_fields(entry) and now - detail.at < self.heartbeat
        # Detail can wait: what matters now is in the entry.
        if current or now < self._next_detail or not self.budget.take(now, reserve=2 * LIST_RESERVE):
            self._demands[job_id].told = listing.at
            return entry
        self._next_detail = now + 1 / (DETAIL_SHARE * self.budget.rate_at(now))
        return Decision.GET

    def _is_fresh(self, listing: _Listing, demand: _Demand, now: float) -> bool:
        """Tell whether a list will do for one who asks.

        It is to be newer than what he was told the last time. So whoever asks first in an interval has it made, and all
        others are served by that, though clocks are not exact; of what it brings, they are told at once (``listed``).
        One who shares a job with him was told as much, and takes it too, for half an interval.
        """
        age = now - listing.at
        return age < demand.interval / 2 or (listing.at > demand.told and age <= demand.interval)

    def _turn(self, read: Decision, reader: Hashable, reserve: float, interval: float, now: float) -> Decision:
        """Decide for a *read*, or to wait for one: who has waited for long may have the reserve too."""
        if not self.budget.take(now, reserve=reserve):
            wait = self._waiting.setdefault(reader, _Wait(interval, now, now))
            wait.interval, wait.asked = interval, now
            # As long as it takes to serve all who wait: else those whose ticks fall well would be served again and again.
            patience = max(PATIENCE * interval, len(self._waiting) / self.budget.rate_at(now))
            if now - wait.since < patience or not self.budget.take(now):
                return Decision.WAIT
        self._waiting.pop(reader, None)
        return read

    def queue(self, now: float) -> float:
        """Return in how many seconds all who wait for a read can be served, if nobody else comes."""
        owed = max(LIST_RESERVE + 1 - self.budget.tokens_at(now), 0)
        return max(len(self._waiting), owed, 1) / self.budget.rate_at(now)

    def got(self, job_id: JobId, job: Job, *, now: float) -> None:
        """Take note of what a GET said."""
        self._details[job_id] = _Detail(now, _significant_fields(job), job if job.ended else None)
        if job_id in self._demands:
            self._demands[job_id].told = now

    def listed(self, vault: VaultId, jobs: Iterable[tuple[JobId, Job]], *, pages: int, now: float) -> frozenset[JobId]:
        """Take note of a vault's list, of as many *pages*: of the entries that anybody asks about.

        Returns the jobs of which it brings news: they have changed since the last list, or left it. Whoever asks about
        them need not wait for the next tick.

        After a start, most who will ask have not done so yet: what is known to be there need not be asked for then.
        """
        self.budget.charge(now, pages - 1)
        is_young = self._began is None or now - self._began < YOUTH
        wanted = (each for each in jobs if is_young or each[0] in self._demands)
        entries = dict(wanted)
        previous = self._listings.get(vault)
        self._listings[vault] = _Listing(now, pages, entries)
        self._waiting.pop(vault, None)
        return frozenset() if previous is None else frozenset(self._changed(previous.entries, entries))

    def _changed(self, before: Mapping[JobId, Job], after: Mapping[JobId, Job]) -> Iterator[JobId]:
        for job_id, job in before.items():
            now = after.get(job_id)
            if job_id in self._demands and (now is None or _significant_fields(now) != _significant_fields(job)):
                yield job_id

    def not_listed(self, vault: VaultId, *, now: float) -> None:
        """Take note that a vault could not be listed: for a while its jobs are asked for one by one."""
        self._unlistable[vault] = now + self.heartbeat

    def is_idle(self, now: float) -> bool:
        """Tell whether nobody has asked for long."""
        return now - max(self._swept, self.asked) > IDLE

    def note(self, job_id: JobId, *, interval: float, now: float) -> None:
        """Take note that somebody asks about a job, who perhaps waits for a list that is to tell of it."""
        if self._began is None:
            self._began = now
        demand = self._demands.get(job_id)
        if demand is None:
            self._demands[job_id] = _Demand(interval, now, now)
            self._watched_in[job_id.vault] += 1
            self._due_rate += 1 / interval
        else:
            self._due_rate += 1 / interval - 1 / demand.interval
            demand.interval, demand.asked = interval, now
        self._forget(interval, now)
        limit = self.budget.rate_at(now) * (ROOMY if self.crowded else CROWDED)
        self.crowded = self._due_rate > limit

    def _forget(self, interval: float, now: float) -> None:
        """Forget, once an *interval*, jobs that nobody asks about any more, and what is known of them."""
        if now - self._swept < interval:
            return
        self._swept = now
        gone = [job for job, demand in self._demands.items() if now - demand.asked > FORGET_AFTER * demand.interval]
        for job_id in gone:
            del self._demands[job_id]
            self._details.pop(job_id, None)
        self._watched_in = Counter(job_id.vault for job_id in self._demands)
        self._listings = {vault: listing for vault, listing in self._listings.items() if vault in self._watched_in}
        self._unlistable = {vault: end for vault, end in self._unlistable.items() if vault in self._watched_in}
        self._waiting = {
            reader: wait for reader, wait in self._waiting.items() if now - wait.asked <= FORGET_AFTER * wait.interval
        }
        self._due_rate = sum(1 / demand.interval for demand in self._demands.values())


def _significant_fields(job: Job) -> tuple[object, ...]:
    """What of a job an entry of a list tells as well: where it differs, the detail is out of date."""
    return (job.status, job.end_time, job.operation)
