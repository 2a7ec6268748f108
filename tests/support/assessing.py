"""Observations of Azure, and the resulting assessments of a watch."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from backupjobwatch import errors
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import WatchSpec
from backupjobwatch.domain.jobs.findings import PinnedJob, Waiting
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId
from backupjobwatch.domain.polling.observations import Observation, Result, observe
from backupjobwatch.domain.polling.requirements import required_queries
from backupjobwatch.domain.status.assessment import Assessment, Times, assess
from tests.support.builders import (
    JOB_ID,
    JOB_NAME,
    NOW,
    OPERATION,
    OTHER_JOB_NAME,
    VAULT_REF,
    settle,
    watch_body,
)

if TYPE_CHECKING:
    from backupjobwatch.domain.polling.queries import Query

CLOCK = 10_000.0
INTERVAL = 30.0
DOWN, NOT_THERE = errors.AzureUnavailable("503"), errors.JobNotFound("404")
WAITING = Waiting(reason="Progressing", message="m")
LATE = timedelta(days=3)
"""Longer than the deadline."""
QUERY = JobId.parse(JOB_ID)
OTHER = JobId(vault=QUERY.vault, name=OTHER_JOB_NAME)
OPERATION_QUERY = OperationId(vault=QUERY.vault, name=OPERATION)
BY_OPERATION = {"operationId": OPERATION, "vault": VAULT_REF}
PINS = (PinnedJob(name=JOB_NAME), PinnedJob(name=OTHER_JOB_NAME))


def wall(sent: float) -> datetime:
    return NOW + timedelta(seconds=sent - CLOCK)


def seen(*results: Result, sent: float = CLOCK) -> Observation:
    """Return the observation after *results* one second apart, with the last request sent at *sent*."""
    observation = None
    for number, result in enumerate(results, start=1 - len(results)):
        observation = observe(observation, result, sent=sent + number, time=wall(sent + number))
    assert observation is not None
    return observation


def assessed(
    observations: dict[Query, Observation],
    *,
    body: dict[str, Any] | None = None,
    pinned: tuple[PinnedJob, ...] = (),
    now: datetime = NOW,
    since: float = CLOCK - 60,
    clock: float = CLOCK,
    **times: Any,
) -> Assessment:
    watch = Watch.from_body(body or watch_body())
    spec = watch.parsed_spec
    assert isinstance(spec, WatchSpec)
    required = required_queries(watch, spec, observations, now=now, pinned=pinned)
    return assess(
        watch, spec, required, observations, now=now, waiting_for="Wait.", times=Times(now=clock, since=since, **times)
    )


def started(spec: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a watch whose first assessment was at NOW."""
    return settle(watch_body(spec), DOWN, NOW)
