"""Tests of one leadership term: how long it lasts, what ends it, and what it leaves behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.errors import LeaseLost
from backupjobwatch.kube.client import KubeClient
from backupjobwatch.kube.leader_election import LeaderElector
from backupjobwatch.settings import Settings
from tests.functional.candidates import (
    DEADLINE,
    LEASE,
    OTHER_HOLDER,
    READS,
    RETRY,
    WRITES,
    advance,
    candidates,
    happened,
    lease_reads,
    spec,
    start_standby,
)
from tests.support.movable_loop import MovableLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.functional.candidates import StartCandidate
    from tests.support.kubernetes import KubernetesApi


@pytest.fixture
async def start_candidate(api: KubernetesApi) -> AsyncIterator[StartCandidate]:
    async with candidates() as start_candidate:
        yield start_candidate


# ── renewal ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def why_lost(elector: LeaderElector) -> str:
    """Wait until the Lease is lost, and return the reason."""
    assert elector._task is not None
    await asyncio.wait({elector._task}, timeout=60)
    assert isinstance(elector.failure, LeaseLost)
    assert not elector.leading
    return str(elector.failure)


async def test_a_renewal_changes_only_the_renew_time(api: KubernetesApi, start_candidate: StartCandidate) -> None:
    """Each renewal changes only renewTime."""
    elector = await start_candidate()
    await happened(elector.elected)
    first = spec(api)
    await lease_reads(api, 30)
    assert elector.leading
    assert spec(api) == {**first, "renewTime": spec(api)["renewTime"]}
    assert spec(api)["renewTime"] > first["renewTime"]


@pytest.mark.parametrize("line", [READS, WRITES])
async def test_a_request_that_hangs_is_not_the_end(
    api: KubernetesApi, start_candidate: StartCandidate, line: str
) -> None:
    """A Lease request that hangs times out early enough for a retry."""
    elector = await start_candidate()
    await happened(elector.elected)
    with api.traffic.hold(line) as hold:
        await advance(RETRY)
        await hold.arrived()
        hold.stop_holding()
        await advance(DEADLINE / 2)
        await lease_reads(api, 5)
        assert (elector.leading, elector.failure) == (True, None)


@pytest.mark.parametrize("line", [READS, WRITES])
@pytest.mark.parametrize("how", ["hangs", "fails"])
async def test_a_term_ends_with_the_deadline(
    api: KubernetesApi, start_candidate: StartCandidate, line: str, how: str
) -> None:
    """A leader that cannot renew stops one renew deadline after it sent its last successful renewal."""
    elector = await start_candidate()
    await happened(elector.elected)
    with api.traffic.hold(line if how == "hangs" else "(?!)"):
        api.traffic.fail(line, status=500, times=None if how == "fails" else 0)
        await advance(DEADLINE - 0.5)
        assert (elector.leading, elector.failure) == (True, None)
        await advance(0.5)
        assert await why_lost(elector) == "the Lease operators/backupjobwatch was not renewed for 10 s"
    assert spec(api)["holderIdentity"] == elector.identity


async def test_a_lease_with_another_holder_is_lost_at_once(api: KubernetesApi, start_candidate: StartCandidate) -> None:
    """A leader that finds another holder on the Lease stops immediately and leaves the Lease unchanged."""
    elector = await start_candidate()
    await happened(elector.elected)
    api.leases.put(LEASE, **OTHER_HOLDER)
    await lease_reads(api)
    assert await why_lost(elector) == "the Lease operators/backupjobwatch is held by somebody now"
    await elector.close()
    assert spec(api) == OTHER_HOLDER


@pytest.mark.parametrize("harm", ["deleted", "emptied"])
async def test_a_deleted_lease_is_recreated(api: KubernetesApi, start_candidate: StartCandidate, harm: str) -> None:
    """If a user deletes the Lease or clears its holder, the leader restores it."""
    elector = await start_candidate()
    await happened(elector.elected)
    if harm == "deleted":
        api.leases.delete(LEASE)
    else:
        api.leases.put(LEASE)
    await lease_reads(api)
    await api.until(lambda: spec(api).get("holderIdentity") == elector.identity)
    assert elector.leading


async def test_a_renewal_whose_answer_is_lost(api: KubernetesApi, start_candidate: StartCandidate) -> None:
    """If the response to a renewal is lost, the leader reads its own name from the Lease and continues."""
    elector = await start_candidate()
    await happened(elector.elected)
    api.traffic.fail(WRITES, status=None, late=True)
    await lease_reads(api, 8)
    assert elector.leading


# ── release ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_leader_that_ends_releases_it(api: KubernetesApi, start_candidate: StartCandidate) -> None:
    """A released Lease has no holder, and a standby acquires it at its next read."""
    leader = await start_candidate()
    await happened(leader.elected)
    other = await start_candidate()
    await happened(other.is_standby)
    await leader.close()
    assert spec(api)["holderIdentity"] == ""
    assert not leader.leading
    await lease_reads(api)
    await happened(other.elected)
    assert spec(api)["leaseTransitions"] == 1


async def test_a_closed_standby_leaves_the_lease_alone(api: KubernetesApi, start_candidate: StartCandidate) -> None:
    """A standby that is closed ends immediately and sends no request."""
    elector = await start_standby(api, start_candidate)
    asked = len(api.traffic.requests)
    await elector.close()
    assert spec(api) == OTHER_HOLDER
    assert len(api.traffic.requests) == asked


async def test_a_close_while_acquiring_the_lease(api: KubernetesApi, start_candidate: StartCandidate) -> None:
    """A candidate that is closed while it acquires the Lease releases it."""
    with api.traffic.hold(WRITES) as hold:
        elector = await start_candidate()
        await hold.arrived()
        closing = asyncio.create_task(elector.close())
        await advance(0)
    await closing
    assert spec(api)["holderIdentity"] == ""


async def test_an_end_without_a_lease(
    api: KubernetesApi, start_candidate: StartCandidate, caplog: pytest.LogCaptureFixture
) -> None:
    """A Lease that was deleted needs no release."""
    elector = await start_candidate()
    await happened(elector.elected)
    api.leases.delete(LEASE)
    await elector.close()
    assert "could not be released" not in caplog.text


async def test_a_failed_release_is_logged(
    api: KubernetesApi, start_candidate: StartCandidate, caplog: pytest.LogCaptureFixture
) -> None:
    """A leader ends even if the release fails, and logs the failure. The Lease then expires."""
    elector = await start_candidate()
    await happened(elector.elected)
    api.traffic.fail(WRITES, status=500, times=None)
    await elector.close()
    assert "Failed to release the Lease" in caplog.text


# ── liveness ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_candidate_is_alive_whatever_the_api_server_does(
    api: KubernetesApi, start_candidate: StartCandidate
) -> None:
    """A candidate is live even if all its attempts fail."""
    elector = await start_candidate()
    await happened(elector.elected)
    other = await start_candidate()
    await happened(other.is_standby)
    await elector.close()
    await api.go_away()
    for _ in range(30):
        await advance(RETRY)
        assert other.alive
    await api.come_back()


async def test_a_candidate_that_makes_no_attempts_is_not_alive(
    api: KubernetesApi, start_candidate: StartCandidate
) -> None:
    """The liveness probe fails if the elector is stuck."""
    elector = await start_standby(api, start_candidate)
    stuck = asyncio.get_running_loop()
    assert isinstance(stuck, MovableLoop)
    stuck._advance(60)  # no task has run since
    assert not elector.alive


async def test_a_defect_ends_the_term(api: KubernetesApi) -> None:
    """An unexpected response ends the leadership. The operator never continues without a Lease."""
    api.traffic.fail(READS, status=200, body='{"spec": [1]}', times=None)
    kube, stopped = await KubeClient.connect(), asyncio.Event()

    async def stop() -> None:
        stopped.set()

    elector = LeaderElector(Settings(lease_namespace=LEASE[0]), kube)
    elector.start(stop)
    await happened(stopped)
    await elector.close()
    await kube.close()
    assert isinstance(elector.failure, AttributeError)
