"""Turns queries into observations: one reader for each principal and subscription, shared by all watches."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from backupjobwatch.arm.identities import principal_of
from backupjobwatch.arm.reader import Reader
from backupjobwatch.arm.slots import Slots
from backupjobwatch.clock import loop_time
from backupjobwatch.domain.jobs.resource_ids import JobId, fold_case
from backupjobwatch.domain.polling.observations import NEVER
from backupjobwatch.domain.polling.token_bucket import TokenBucket
from backupjobwatch.observability.metrics.state import Budget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from backupjobwatch.arm.client import ArmClient
    from backupjobwatch.arm.identities import CredentialProvider
    from backupjobwatch.domain.api.target import Identity
    from backupjobwatch.domain.jobs.resource_ids import VaultId
    from backupjobwatch.domain.polling.demand import Demand
    from backupjobwatch.domain.polling.observations import Observation
    from backupjobwatch.domain.polling.queries import Query
    from backupjobwatch.domain.polling.recording import Update
    from backupjobwatch.observability.metrics.instruments import Metrics
    from backupjobwatch.settings import Settings

IDLE = 3600.0
"""Seconds for which a reader without demand is kept, because its token bucket and pauses still apply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Polls:
    """What one watch requires: its queries, with which identity and how often."""

    namespace: str
    identity: Identity
    vault: VaultId
    interval: float
    """The poll interval, in seconds."""
    queries: frozenset[Query]
    fresh_after: float = NEVER
    """Results must come from requests sent at this time or later, on the event loop's clock."""


@dataclass(slots=True)
class _Required:
    polls: Polls
    reader: Reader

    @property
    def demands(self) -> list[Demand]:
        return [self.reader.demands.by_query[query] for query in self.polls.queries]


class Poller:
    """Keeps the latest observation of each query that a watch requires."""

    def __init__(
        self,
        settings: Settings,
        client: ArmClient,
        credentials: CredentialProvider,
        metrics: Metrics,
        *,
        on_observation: Callable[[str], None],
    ) -> None:
        """*on_observation* is called with the uid of a watch that has a new observation."""
        self._settings = settings
        self._client = client
        self._credentials = credentials
        self._metrics = metrics
        self._readers: dict[tuple[str, str], Reader] = {}
        """By principal and subscription."""
        self._slots: WeakValueDictionary[str, Slots] = WeakValueDictionary()
        self._required: dict[str, _Required] = {}
        self.waiting: set[str] = set()
        """Watches to reconcile after every observation, even one without changes. The reconciler sets it, ``release`` clears it."""
        self._on_observation = on_observation

    def budgets(self) -> list[Budget]:
        """Return the budgets of all principals and subscriptions."""
        now = loop_time()
        return [
            Budget(
                subscription=subscription,
                tokens=reader.demands.bucket.tokens_at(now),
                remaining=reader.demands.bucket.remaining(now),
                pause=reader.demands.pauses.longest(now),
            )
            for (_, subscription), reader in self._readers.items()
        ]

    def overdue(self) -> float:
        """Return the seconds by which the most overdue poll is late."""
        now = loop_time()
        dues = (
            demand.due
            for reader in self._readers.values()
            for demand in reader.demands.by_query.values()
            if not demand.is_final
        )
        return max(now - min(dues, default=now), 0.0)

    def require(self, uid: str, polls: Polls) -> None:
        """Replace what a watch requires. New queries are polled as soon as the token bucket allows it."""
        known = self._required.get(uid)
        if known is not None and known.polls == polls:
            return
        now, queries, interval = loop_time(), polls.queries, polls.interval
        reader = self._reader_for(polls)
        kept = queries & known.polls.queries if known is not None and known.reader is reader else frozenset()
        has_new_interval = known is not None and known.polls.interval != interval
        for query in queries if has_new_interval else queries - kept:
            self._count_joined(reader.demands.add(query, uid, interval=interval, now=now))
        if known is not None:  # last: a vault without queries loses its state
            for query in known.polls.queries - kept:
                known.reader.demands.remove(query, uid, now)
        if polls.fresh_after > NEVER:
            for query in queries:
                reader.demands.request(query, polls.namespace, fresh_after=polls.fresh_after)
        self._required[uid] = _Required(polls, reader)
        reader.pump()

    def release(self, uid: str) -> None:
        """Remove everything that a watch requires."""
        self.waiting.discard(uid)
        known = self._required.pop(uid, None)
        if known is not None:
            for query in known.polls.queries:
                known.reader.demands.remove(query, uid, loop_time())

    def observations(self, uid: str, identity: Identity) -> Mapping[Query, Observation]:
        """Return the observations of the queries that a watch requires, if they were made with *identity*."""
        known = self._required.get(uid)
        if known is None or known.polls.identity != identity:
            return {}
        return {each.query: each.observation for each in known.demands if each.observation is not None}

    def mark_due(self, uid: str) -> None:
        """Poll what a watch requires, if its results are older than half of its interval."""
        known = self._required.get(uid)
        if known is None:
            return
        now = loop_time()
        for demand in known.demands:
            if known.reader.demands.mark_due(demand.query, now):
                self._metrics.observe_read("deferred")
            else:
                self._count_joined(demand)
        known.reader.pump()

    def is_overdue(self, uid: str) -> bool:
        """Return whether ticks of a watch were lost: a poll is overdue by an interval."""
        known, now = self._required.get(uid), loop_time()
        demands = [] if known is None else known.demands
        return any(not demand.is_final and now > demand.due + demand.interval for demand in demands)

    def waiting_for(self, uid: str) -> str:
        """Explain why no poll was sent for a watch."""
        known = self._required[uid]
        return known.reader.waiting_for(known.polls.vault)

    def slots_of(self, namespace: str, identity: Identity) -> Slots:
        """Return the slots of the principal behind *identity*."""
        limit = max(self._settings.azure_connections // 2, 1)
        return self._slots.setdefault(principal_of(namespace, identity, self._settings), Slots(limit))

    def stop(self) -> None:
        """Send no more requests."""
        for reader in self._readers.values():
            reader.stop()

    async def close(self, drain_timeout: float = 0.0) -> None:
        """Send no more requests, and wait up to *drain_timeout* seconds for those in flight."""
        self.stop()
        tasks = [task for reader in self._readers.values() for task in reader.tasks]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=drain_timeout)
            for task in late:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*late, return_exceptions=True)
        self._credentials.close()

    def _reader_for(self, polls: Polls) -> Reader:
        namespace, identity = polls.namespace, polls.identity
        key = (principal_of(namespace, identity, self._settings), fold_case(polls.vault.subscription_id))
        reader = self._readers.get(key)
        if reader is None:
            self._drop_idle()
            settings = self._settings
            reader = self._readers[key] = Reader(
                self._client,
                self._credentials,
                TokenBucket(rate=settings.azure_reads_per_second, burst=settings.azure_read_burst),
                self.slots_of(namespace, identity),
                namespace=namespace,
                identity=identity,
                heartbeat=settings.heartbeat.total_seconds(),
                on_update=self._on_update,
                on_request=lambda: self._metrics.observe_read("asked"),
            )
        return reader

    def _count_joined(self, demand: Demand) -> None:
        """Count a poll that joins a request in flight."""
        if demand.is_reading:
            self._metrics.observe_read("joined")

    def _drop_idle(self) -> None:
        """Drop the readers that have been without demand for ``IDLE`` seconds."""
        now = loop_time()
        for key, reader in list(self._readers.items()):
            if not reader.demands.by_query and not reader.tasks and now - reader.demands.used_at > IDLE:
                reader.stop()
                del self._readers[key]

    def _on_update(self, updates: Iterable[Update]) -> None:
        for update in updates:
            self._metrics.observe_poll_lag(update.lag)
            job = update.demand.job
            if isinstance(update.demand.query, JobId) and job is not None and job.partial:
                self._metrics.observe_read("listed")
            for uid in update.demand.uids:
                if update.is_changed or uid in self.waiting:
                    self._on_observation(uid)
