"""Asks Azure as little as possible: within a budget, one request for all who ask for one thing, lists where they do."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakValueDictionary

from backupjobwatch.arm.single_flight import SingleFlight
from backupjobwatch.domain.jobs.durations import format_duration
from backupjobwatch.domain.jobs.resource_ids import JobId, fold_case
from backupjobwatch.domain.polling.read_planner import Decision, ReadPlanner
from backupjobwatch.domain.polling.token_bucket import TokenBucket
from backupjobwatch.errors import AzureError, JobNotFound, PollDeferred, UnexpectedResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

    from backupjobwatch.arm.client import ArmClient, Reading
    from backupjobwatch.arm.identities import Credential
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.jobs.observations import OperationFailure, PinnedJob, Waiting
    from backupjobwatch.domain.jobs.resource_ids import OperationId, VaultId
    from backupjobwatch.observability.metrics.instruments import Metrics
    from backupjobwatch.settings import Settings

_log = logging.getLogger(__name__)
_Value = TypeVar("_Value")

RUNNING_JOBS: Final = "status eq 'InProgress'"
"""The filter of lists that stand in for GETs. A job that is not in them is asked for by itself."""
_KEPT = 150.0
"""Seconds for which a list may be of use: half of the longest interval."""


class Poller:
    """Reads for all watches. Its methods raise AzureError; they raise PollDeferred rather than wait for a turn."""

    def __init__(self, settings: Settings, client: ArmClient, metrics: Metrics) -> None:
        self._metrics = metrics
        self._settings = settings
        self._client = client
        self._planners: dict[tuple[str, str], ReadPlanner] = {}
        """By access and subscription: what one identity was shown, no other is."""
        self._budgets: WeakValueDictionary[tuple[str, str], TokenBucket] = WeakValueDictionary()
        """By principal and subscription: Azure throttles a principal, whatever version of its credentials it shows."""
        self._flights = SingleFlight()
        self.on_jobs_changed: Callable[[frozenset[JobId]], None] = lambda _: None
        """Told of jobs that a list says have changed, or no longer has: nobody need wait for the next tick to ask."""
        self._windows: dict[Hashable, tuple[float, tuple[Job, ...]]] = {}
        """Lists for those who wait for a job, and when they were read."""

    async def job(
        self,
        credential: Credential,
        job_id: JobId,
        *,
        interval: timedelta,
        batch_size: int = 1,
        bypass_cache: bool = False,
    ) -> Job:
        """Return a job for a watch that polls each *interval*. While many watches poll, it may be an entry of a list.

        With a *batch_size* above 1, it may be an end that was observed before. With *bypass_cache*, it is read from Azure now.
        """
        planner, listing = self._planner_for(credential, job_id.vault), (credential.key, "list", job_id.vault)
        planner.note(job_id, interval=interval.total_seconds(), now=_clock())
        for _ in range(2):
            # Whoever waited for one may find the next under way.
            while planner.is_crowd(batch_size) and listing in self._flights:
                await self._flights.join(listing)
            if (flight := (credential.key, job_id)) in self._flights:
                self._metrics.observe_read("joined")
                joined: Job = await self._flights.join(flight)
                return joined
            decision = planner.ask(
                job_id,
                interval=interval.total_seconds(),
                now=_clock(),
                batch_size=batch_size,
                bypass_cache=bypass_cache,
            )
            if decision is Decision.GET:
                self._metrics.observe_read("asked")
                return await self._flights.fly(flight, self._get_job(credential, planner, job_id))
            if decision is Decision.LIST:
                await self._flights.fly(listing, self._list_running(credential, planner, job_id.vault))
            elif decision is Decision.WAIT:
                break
            else:
                self._metrics.observe_read("listed" if decision.partial else "known")
                return decision
        raise self._not_asked(planner)

    async def operation(
        self, credential: Credential, operation_id: OperationId, *, interval: timedelta
    ) -> tuple[PinnedJob, ...] | Waiting | OperationFailure:
        """Return what became of an operation, to one who asks each *interval*."""
        planner = self._planner_for(credential, operation_id.vault)
        return await self._take_turn(
            (credential.key, operation_id),
            planner,
            interval,
            lambda: self._read(planner, "operation", self._client.get_operation(credential.tokens, operation_id)),
        )

    async def jobs(
        self,
        credential: Credential,
        vault: VaultId,
        *,
        filter_: str,
        interval: timedelta,
        bypass_cache: bool = False,
    ) -> tuple[Job, ...]:
        """Return the jobs of a vault's list with a filter, and perhaps other jobs, for a watch with this poll *interval*.

        The list may be up to half an interval old and made for another watch, unless *bypass_cache* is set.
        """
        planner, window = self._planner_for(credential, vault), (credential.key, "window", vault, filter_)
        listed = self._windows.get(window)
        if listed is not None and not bypass_cache and _clock() - listed[0] < interval.total_seconds() / 2:
            self._metrics.observe_read("listed")
            return listed[1]

        async def read() -> tuple[Job, ...]:
            reading = self._client.list_jobs(credential.tokens, vault, filter_=filter_)
            jobs, now = await self._read(planner, "list", reading), _clock()
            self._windows = {key: value for key, value in self._windows.items() if now - value[0] < _KEPT}
            self._windows[window] = (now, jobs)
            return jobs

        return await self._take_turn(window, planner, interval, read)

    def close(self) -> None:
        """Wait for no more answers: those who asked are gone."""
        self._flights.close()

    @property
    def budgets(self) -> list[tuple[str, TokenBucket]]:
        """The budgets that are in use, each with its subscription."""
        return [(subscription, budget) for (_, subscription), budget in self._budgets.items()]

    def _planner_for(self, credential: Credential, vault: VaultId) -> ReadPlanner:
        subscription = fold_case(vault.subscription_id)
        key = (credential.key, subscription)
        if key not in self._planners:
            self._planners = {
                known: planner for known, planner in self._planners.items() if not planner.is_idle(_clock())
            }
            settings = self._settings
            budget = self._budgets.setdefault(
                (credential.principal, subscription),
                TokenBucket(rate=settings.azure_reads_per_second, burst=settings.azure_read_burst),
            )
            self._planners[key] = ReadPlanner(
                budget=budget, heartbeat=settings.heartbeat.total_seconds(), asked=_clock()
            )
        planner = self._planners[key]
        planner.asked = _clock()  # by those too who never ask for a job: what Azure said about waiting is kept for them
        return planner

    async def _take_turn(
        self,
        flight: Hashable,
        planner: ReadPlanner,
        interval: timedelta,
        read: Callable[[], Coroutine[Any, Any, _Value]],
    ) -> _Value:
        if flight in self._flights:
            self._metrics.observe_read("joined")
            joined: _Value = await self._flights.join(flight)
            return joined
        if not planner.has_turn(flight, interval=interval.total_seconds(), now=_clock()):
            raise self._not_asked(planner)
        self._metrics.observe_read("asked")
        return await self._flights.fly(flight, read())

    async def _get_job(self, credential: Credential, planner: ReadPlanner, job_id: JobId) -> Job:
        job = await self._read(planner, "job", self._client.get_job(credential.tokens, job_id))
        planner.got(job_id, job, now=_clock())
        return job

    async def _list_running(self, credential: Credential, planner: ReadPlanner, vault: VaultId) -> None:
        try:
            reading = await self._heed(
                planner, "list", self._client.list_jobs(credential.tokens, vault, filter_=RUNNING_JOBS)
            )
        except AzureError as error:
            if error.retry_after is None:
                planner.not_listed(vault, now=_clock())
            if isinstance(error, JobNotFound | UnexpectedResponse):  # which says nothing about any job
                _log.warning("A vault's jobs are asked for one by one, since they could not be listed: %s", error)
                return
            raise
        jobs = [(JobId(vault=vault, name=job.name), job) for job in reading.value if job.name]
        news = planner.listed(vault, jobs, pages=reading.pages, now=_clock())
        if news:
            self.on_jobs_changed(news)

    async def _read(self, planner: ReadPlanner, kind: str, read: Coroutine[Any, Any, Reading[_Value]]) -> _Value:
        reading = await self._heed(planner, kind, read)
        planner.budget.charge(_clock(), reading.pages - 1)
        return reading.value

    async def _heed(
        self, planner: ReadPlanner, kind: str, read: Coroutine[Any, Any, Reading[_Value]]
    ) -> Reading[_Value]:
        """Read, and heed what Azure says about reading more."""
        try:
            reading = await read
        except AzureError as error:
            planner.budget.charge(_clock(), error.pages)
            if error.retry_after:
                _log.warning("Azure wants no requests for %s: %s", format_duration(error.retry_after), error)
                planner.budget.stop(_clock(), error.retry_after.total_seconds())
            raise
        if reading.remaining is not None:
            planner.budget.learn(kind, reading.remaining, _clock())
        return reading

    def _not_asked(self, planner: ReadPlanner) -> PollDeferred:
        self._metrics.observe_read("deferred")
        wait = planner.budget.wait(_clock())
        if wait:
            until = format_duration(timedelta(seconds=wait))
            return PollDeferred(f"Azure asked to be left alone; it will be asked again in {until}.")
        return PollDeferred(
            "More is asked of Azure than the budget allows; this watch's turn will come.", again=planner.queue(_clock())
        )


def _clock() -> float:
    return asyncio.get_running_loop().time()
