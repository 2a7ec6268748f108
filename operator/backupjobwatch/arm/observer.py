"""Finds a watch's job or jobs, and asks for them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from backupjobwatch.domain.jobs.latest import find_latest, needs_history, with_history
from backupjobwatch.domain.jobs.latest_window import WORKLOADS, history_window, list_filter, list_window
from backupjobwatch.domain.jobs.observations import JobSet, Observation, OperationFailure, PinnedJob, Waiting
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId
from backupjobwatch.domain.status.verdict import deadline
from backupjobwatch.errors import AuthenticationFailed, AzureError, CredentialsNotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backupjobwatch.arm.identities import Credential
    from backupjobwatch.arm.poller import Poller
    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.api.spec import WatchSpec
    from backupjobwatch.domain.api.target import Identity
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.jobs.latest_job import LatestJob


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen, and which jobs were found to be the watch's."""

    observation: Observation
    pinned: tuple[PinnedJob, ...] = ()


class CredentialProvider(Protocol):
    """Where access comes from."""

    async def find(self, namespace: str, identity: Identity) -> Credential:
        """Return the access that *identity* means in *namespace*. Raises AzureError where there is none."""
        ...

    def drop(self, namespace: str, identity: Identity) -> None:
        """Forget what is kept of an identity that does not work."""
        ...

    def close(self) -> None:
        """Look for no more identities."""
        ...


class Observer:
    """Observes watches, each with its own access."""

    def __init__(self, credentials: CredentialProvider, poller: Poller) -> None:
        self._credentials = credentials
        self._poller = poller

    def close(self) -> None:
        """Leave behind what is still asked for those who are gone."""
        self._credentials.close()
        self._poller.close()

    async def observe(self, watch: Watch, spec: WatchSpec) -> Observed:
        """Ask Azure about *watch*. What it does not tell is an observation too: this raises nothing."""
        pinned = watch.pinned
        try:
            credential = await self._credentials.find(watch.namespace, spec.identity)
            if not pinned and not isinstance(spec.source, JobId):
                found = await self._find(credential, watch, spec)
                if isinstance(found, Waiting | OperationFailure):
                    return Observed(found)
                pinned = found
            return Observed(await self._ask(credential, watch, spec, pinned), pinned)
        except AzureError as error:
            if isinstance(error, AuthenticationFailed | CredentialsNotFound) and not error.repeated:
                self._credentials.drop(watch.namespace, spec.identity)
            return Observed(error, pinned)

    async def _find(
        self, credential: Credential, watch: Watch, spec: WatchSpec
    ) -> tuple[PinnedJob, ...] | Waiting | OperationFailure:
        """Find the jobs that the operation started, or the job that ``spec.latest`` identifies."""
        source = spec.source
        assert not isinstance(source, JobId)  # noqa: S101 -- the caller's question
        if isinstance(source, OperationId):
            return await self._poller.operation(credential, source, interval=spec.poll_interval)
        found = await self._find_latest(credential, watch, spec, source)
        return found if isinstance(found, Waiting) else (found,)

    async def _find_latest(
        self, credential: Credential, watch: Watch, spec: WatchSpec, source: LatestJob
    ) -> PinnedJob | Waiting:
        now, vault, interval = datetime.now(UTC), source.vault, spec.poll_interval
        window = list_filter(*list_window(source, created=watch.created, now=now))
        jobs: Sequence[Job] = await self._poller.jobs(
            credential, vault, filter_=window, interval=interval, bypass_cache=_needs_fresh(watch, spec)
        )
        if needs_history(jobs, source, created=watch.created):
            window = list_filter(*history_window(now), management_type=WORKLOADS)
            jobs = with_history(jobs, await self._poller.jobs(credential, vault, filter_=window, interval=interval))
        return find_latest(jobs, source, created=watch.created)

    async def _ask(
        self, credential: Credential, watch: Watch, spec: WatchSpec, pinned: tuple[PinnedJob, ...]
    ) -> Job | JobSet:
        interval, bypass_cache = spec.poll_interval, _needs_fresh(watch, spec)
        if isinstance(spec.source, JobId):
            return await self._poller.job(credential, spec.source, interval=interval, bypass_cache=bypass_cache)
        vault = spec.source.vault
        names = [job.name for job in pinned if job.error_code is None]
        if len(pinned) == 1 and names:
            return await self._poller.job(
                credential, JobId(vault=vault, name=names[0]), interval=interval, bypass_cache=bypass_cache
            )
        job_ids = (JobId(vault=vault, name=name) for name in names)
        asked = (self._poller.job(credential, job_id, interval=interval, batch_size=len(names)) for job_id in job_ids)
        jobs = await asyncio.gather(*asked)
        return JobSet(jobs=tuple(jobs), not_started=tuple(job for job in pinned if job.error_code is not None))


def _needs_fresh(watch: Watch, spec: WatchSpec) -> bool:
    """What was listed some seconds ago will do, but not as an answer to a request or an edit, nor for the last word."""
    end, edited = deadline(watch, spec), bool(watch.status_for_target) and not watch.observed
    return watch.request_pending or edited or (end is not None and datetime.now(UTC) >= end)
