"""Asks Azure as little as possible: one request for all who ask for one job, none while Azure wants to be left alone."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from backupjobwatch.core.arm_ids import fold_case
from backupjobwatch.core.durations import format_duration
from backupjobwatch.errors import AzureError, NotAsked

if TYPE_CHECKING:
    from backupjobwatch.arm.client import ArmClient
    from backupjobwatch.core.arm_ids import JobId
    from backupjobwatch.core.jobs import Job

_log = logging.getLogger(__name__)


class Poller:
    """Observes jobs with one identity."""

    def __init__(self, client: ArmClient) -> None:
        self._client = client
        self._flights: dict[JobId, asyncio.Task[Job | AzureError]] = {}
        self._stopped_until: dict[str, float] = {}
        """By subscription, on the event loop's clock: Azure throttles an identity per subscription."""

    async def observe(self, job_id: JobId) -> Job | AzureError:
        """Return what Azure says about the job, or why it says nothing. Never waits for a Retry-After."""
        wait = self._wait(job_id)
        if wait > timedelta():
            return NotAsked(f"Azure asked to be left alone; it will be asked again in {format_duration(wait)}.")
        flight = self._flights.get(job_id)
        if flight is None:
            flight = asyncio.create_task(self._fly(job_id))
            self._flights[job_id] = flight
            flight.add_done_callback(lambda _: self._flights.pop(job_id, None))
        # One asker's end (a deleted watch) is not the others'.
        return await asyncio.shield(flight)

    def _wait(self, job_id: JobId) -> timedelta:
        until = self._stopped_until.get(_subscription(job_id), 0.0)
        return timedelta(seconds=max(until - asyncio.get_running_loop().time(), 0.0))

    async def _fly(self, job_id: JobId) -> Job | AzureError:
        try:
            return await self._client.get_job(job_id)
        except AzureError as error:
            if error.retry_after:
                self._stop(job_id, error.retry_after)
            return error

    def _stop(self, job_id: JobId, wait: timedelta) -> None:
        """Leave the subscription alone for *wait*. Asking earlier is refused, and renews the wait."""
        subscription = _subscription(job_id)
        until = asyncio.get_running_loop().time() + wait.total_seconds()
        if until > self._stopped_until.get(subscription, 0.0):
            _log.warning("Azure wants no requests for subscription %s for %s", subscription, format_duration(wait))
            self._stopped_until[subscription] = until


def _subscription(job_id: JobId) -> str:
    return fold_case(job_id.vault.subscription_id)
