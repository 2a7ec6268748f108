"""Lease requests per retry period of candidates, whatever the API server returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backupjobwatch.kube.leader_election import JITTER
from tests.functional.candidates import (
    DURATION,
    LEASE,
    OTHER_HOLDER,
    READS,
    RETRY,
    WRITES,
    advance,
    candidates,
    start_standby,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.functional.candidates import StartCandidate
    from tests.support.kubernetes import KubernetesApi

PERIODS = 10
STANDBYS = 20
LONG = 1000
"""A retry period whose jitter is much longer than the test, in seconds."""


@pytest.fixture
async def start_candidate(api: KubernetesApi) -> AsyncIterator[StartCandidate]:
    async with candidates() as start_candidate:
        yield start_candidate


@pytest.mark.parametrize(
    ("line", "status"),
    [(READS, 503), (READS, 403), (READS, None), (WRITES, 500), (WRITES, 403), (WRITES, 409), (WRITES, None)],
)
async def test_an_expired_lease_is_retried_once_per_period(
    *, api: KubernetesApi, start_candidate: StartCandidate, line: str, status: int | None
) -> None:
    """A standby that cannot take an expired Lease makes one attempt per retry period."""
    await start_standby(api, start_candidate)
    rule = api.traffic.fail(line, status=status, times=None)
    await advance(DURATION)
    assert rule.used
    before = len(api.traffic.matching(line))
    for _ in range(PERIODS):
        await advance(RETRY)
    attempts = len(api.traffic.matching(line)) - before
    requests = 2 if status is None else 1  # aiohttp repeats an idempotent request once on a dropped connection
    assert 1 <= attempts / requests <= PERIODS / (1 - JITTER) + 1
    rule.end()


async def test_standbys_do_not_retry_together(api: KubernetesApi, start_candidate: StartCandidate) -> None:
    """The attempts of several standbys spread over the last part of the retry period."""
    api.leases.put(LEASE, **OTHER_HOLDER)
    rule = api.traffic.fail(READS, status=503, times=None)
    for _ in range(STANDBYS):
        await start_candidate(
            lease_retry_period=f"{LONG}s", lease_renew_deadline=f"{2 * LONG}s", lease_duration=f"{4 * LONG}s"
        )
    assert rule.used == STANDBYS
    await advance(LONG * (1 - JITTER) * 0.8)
    assert rule.used == STANDBYS
    await advance(LONG * (1 - JITTER) * 0.2 + LONG * JITTER / 2)
    assert STANDBYS < rule.used < 2 * STANDBYS
    rule.end()
