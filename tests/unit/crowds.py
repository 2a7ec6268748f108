"""Many watches of one identity, as a test of its reads begins."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backupjobwatch.domain.jobs.resource_ids import JobId, VaultId
from backupjobwatch.domain.polling.read_planner import Decision, ReadPlanner
from backupjobwatch.domain.polling.token_bucket import TokenBucket
from tests.support.builders import RESOURCE_GROUP, SUBSCRIPTION, running_job

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job

HEARTBEAT = 300.0
EVERY = 30.0
MANY = 60
"""Watches whose GETs would take all of the budget: two a second at 30 seconds."""


def vault(number: int = 0) -> VaultId:
    return VaultId(subscription_id=SUBSCRIPTION, resource_group=RESOURCE_GROUP, name=f"vault{number}")


def job_id(number: int, in_vault: int = 0) -> JobId:
    return JobId(vault=vault(in_vault), name=f"b0b00001-5e1f-4000-8000-{number:012}")


IDS = [job_id(number) for number in range(MANY)]
RUNNING = running_job()
LISTED = replace(RUNNING, partial=True)
"""The same, as an entry of a list."""


def planner(rate: float = 2.0, burst: float = 20) -> ReadPlanner:
    return ReadPlanner(budget=TokenBucket(rate=rate, burst=burst), heartbeat=HEARTBEAT)


def asked(given: ReadPlanner, ids: list[JobId], now: float, interval: float = EVERY) -> list[Decision | Job]:
    return [given.ask(each, interval=interval, now=now) for each in ids]


def crowd(**more: Any) -> ReadPlanner:
    """Many watches, known and listed as running, with a full bucket at 1000."""
    given = planner(**more)
    asked(given, IDS, 970)
    assert given.crowded
    given.listed(vault(), [(each, LISTED) for each in IDS], pages=1, now=1000)
    given.budget.tokens = given.budget.burst
    for each in IDS:
        given.got(each, RUNNING, now=1000)
    return given
