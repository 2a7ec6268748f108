"""Tests of the leader election without operators: which candidate acquires the Lease, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.app import Runtime
from backupjobwatch.errors import SettingsError
from backupjobwatch.kube.leader_election import lease_namespace
from backupjobwatch.settings import Settings
from tests.functional.candidates import (
    DEADLINE,
    DURATION,
    LEASE,
    OTHER_HOLDER,
    READS,
    RETRY,
    WRITES,
    advance,
    candidates,
    happened,
    lease_reads,
    nothing,
    spec,
    start_standby,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.functional.candidates import StartCandidate
    from tests.support.kubernetes import KubernetesApi


@pytest.fixture
async def start_candidate(api: KubernetesApi) -> AsyncIterator[StartCandidate]:
    async with candidates() as start_candidate:
        yield start_candidate


async def test_the_first_candidate_creates_the_lease(api: KubernetesApi, start_candidate: StartCandidate) -> None:
    """If no Lease exists, a candidate creates and holds it, with the fields that client-go writes."""
    elector = await start_candidate()
    await happened(elector.elected)
    found = spec(api)
    assert found["holderIdentity"] == elector.identity
    assert (found["leaseDurationSeconds"], found["leaseTransitions"]) == (DURATION, 0)
    assert found["acquireTime"] == found["renewTime"]
    assert elector.leading
    assert not elector.is_standby.is_set()


async def test_one_of_two_candidates_leads(api: KubernetesApi, start_candidate: StartCandidate) -> None:
    """One of two candidates is elected. The other stays standby while the leader renews the Lease."""
    candidates = [await start_candidate(), await start_candidate()]
    await lease_reads(api, 20)
    leader, other = sorted(candidates, key=lambda each: not each.leading)
    assert (leader.leading, other.leading, other.elected.is_set()) == (True, False, False)
    assert other.is_standby.is_set()
    assert {each["holderIdentity"] for each in api.leases.history} == {leader.identity}
    assert len(api.leases.history) > 10


async def test_a_released_lease_is_taken_at_once(api: KubernetesApi, start_candidate: StartCandidate) -> None:
    """A candidate acquires a released Lease immediately and increments its leaseTransitions."""
    api.leases.put(LEASE, **{**OTHER_HOLDER, "holderIdentity": ""})
    elector = await start_candidate()
    await happened(elector.elected)
    assert spec(api)["leaseTransitions"] == 4
    assert spec(api)["acquireTime"] > OTHER_HOLDER["acquireTime"]


@pytest.mark.parametrize("year", ["1970", "2020", "2199"])
async def test_clocks_are_not_compared(api: KubernetesApi, start_candidate: StartCandidate, year: str) -> None:
    """A candidate respects the Lease for exactly its duration, however wrong the holder's clock is."""
    times = dict.fromkeys(("acquireTime", "renewTime"), f"{year}-03-04T01:00:00.000000Z")
    api.leases.put(LEASE, **{**OTHER_HOLDER, **times})
    elector = await start_candidate()
    await happened(elector.is_standby)
    await advance(DURATION - 0.5)
    assert not elector.elected.is_set()
    await advance(0.5)
    await happened(elector.elected)


async def test_any_change_counts_as_a_renewal(api: KubernetesApi, start_candidate: StartCandidate) -> None:
    """Every change of the Lease counts as a renewal, even if its renewTime goes backwards."""
    elector = await start_standby(api, start_candidate)
    for minute in range(59, 40, -1):
        api.leases.put(LEASE, **{**OTHER_HOLDER, "renewTime": f"2026-03-04T01:{minute}:00.000000Z"})
        await lease_reads(api)
    assert not elector.elected.is_set()
    await advance(DURATION)
    await happened(elector.elected)


async def test_a_crash_is_noticed_within_the_duration(api: KubernetesApi, start_candidate: StartCandidate) -> None:
    """If the holder crashes right after a renewal, a standby acquires the Lease within the lease duration."""
    elector = await start_standby(api, start_candidate)
    await lease_reads(api, 3)
    await advance(RETRY - 0.2)
    api.leases.put(LEASE, **{**OTHER_HOLDER, "renewTime": "2026-03-04T01:10:00.000000Z"})
    await lease_reads(api)
    await advance(DURATION - RETRY)
    await happened(elector.elected)


async def test_no_lease_is_taken_before_its_holder_has_stopped(
    api: KubernetesApi, start_candidate: StartCandidate
) -> None:
    """After failed reads, a standby waits the full lease duration from the first renewal that it reads."""
    elector = await start_standby(api, start_candidate)
    refusal = api.traffic.fail(READS, status=503, times=None)
    await advance(DURATION - 1)
    api.leases.put(LEASE, **{**OTHER_HOLDER, "renewTime": "2026-03-04T01:10:00.000000Z"})
    refusal.end()
    await lease_reads(api)
    await advance(DEADLINE)
    assert not elector.elected.is_set()
    await advance(DURATION - DEADLINE)
    await happened(elector.elected)


async def test_the_holders_duration_counts(api: KubernetesApi, start_candidate: StartCandidate) -> None:
    """A candidate waits for the duration in the holder's Lease, even if its own setting differs (during an update)."""
    api.leases.put(LEASE, **{**OTHER_HOLDER, "leaseDurationSeconds": 60})
    elector = await start_candidate()
    await happened(elector.is_standby)
    await advance(58)
    assert not elector.elected.is_set()
    await advance(2)
    await happened(elector.elected)
    assert spec(api)["leaseDurationSeconds"] == DURATION


@pytest.mark.parametrize("left", [{}, {"holderIdentity": None}, {"leaseTransitions": None}], ids=str)
async def test_an_empty_lease_is_taken(
    api: KubernetesApi, start_candidate: StartCandidate, left: dict[str, Any]
) -> None:
    """A candidate acquires a Lease without a holder, for example one that a user created empty."""
    api.leases.put(LEASE, **left)
    await happened((await start_candidate()).elected)


async def test_a_lease_without_a_duration_is_waited_for(api: KubernetesApi, start_candidate: StartCandidate) -> None:
    """If the Lease has no duration, a candidate waits for its own lease duration."""
    api.leases.put(LEASE, holderIdentity="somebody")
    elector = await start_candidate()
    await happened(elector.is_standby)
    await advance(DURATION - 0.5)
    assert not elector.elected.is_set()
    await advance(0.5)
    await happened(elector.elected)


@pytest.mark.parametrize("there", [False, True], ids=["made", "taken"])
async def test_an_answer_that_is_lost(api: KubernetesApi, start_candidate: StartCandidate, *, there: bool) -> None:
    """If the response to an acquisition is lost, the next read finds it. The transition counts once."""
    if there:
        api.leases.put(LEASE, **{**OTHER_HOLDER, "holderIdentity": ""})
    api.traffic.fail(WRITES, status=None, late=True)
    elector = await start_candidate()
    await lease_reads(api)
    await happened(elector.elected)
    assert spec(api)["leaseTransitions"] == (4 if there else 0)


async def test_labels_of_the_lease_are_kept(api: KubernetesApi, start_candidate: StartCandidate) -> None:
    """The operator keeps the labels and annotations of the Lease."""
    api.leases.put(LEASE, **{**OTHER_HOLDER, "holderIdentity": ""})
    api.leases._objects[LEASE]["metadata"]["annotations"] = {"example.com/theirs": "x"}
    await happened((await start_candidate()).elected)
    assert api.leases.get(LEASE)["metadata"]["annotations"] == {"example.com/theirs": "x"}


async def test_without_permission_no_candidate_leads(
    api: KubernetesApi, start_candidate: StartCandidate, caplog: pytest.LogCaptureFixture
) -> None:
    """The candidate logs the refusal once and keeps retrying."""
    refusal = api.traffic.fail(WRITES, status=403, times=None, message="cannot create resource leases")
    elector = await start_candidate()
    await lease_reads(api, 10)
    assert caplog.text.count("Failed to acquire or renew the Lease operators/backupjobwatch") == 1
    assert "cannot create resource leases" in caplog.text
    assert (elector.alive, elector.elected.is_set(), elector.is_standby.is_set()) == (True, False, False)
    refusal.end()
    await lease_reads(api)
    await happened(elector.elected)


async def test_runtime_reports_leadership(api: KubernetesApi) -> None:
    """Without leader election, the operator always leads. With it, the operator leads while it holds the Lease."""
    async with Runtime.open(Settings()) as runtime:
        assert (runtime.leading, runtime.alive) == (True, True)
    async with Runtime.open(Settings(leader_election=True, lease_namespace=LEASE[0])) as runtime:
        assert runtime.elector is not None
        assert (runtime.leading, runtime.alive) == (False, True)
        runtime.elector.start(nothing)
        await happened(runtime.elector.elected)
        assert runtime.leading
    assert not runtime.leading
    assert spec(api)["holderIdentity"] == ""


def test_the_namespace_is_the_pods_own(tmp_path: Path) -> None:
    """The namespace of the Lease defaults to that of the pod. Outside a pod, it must be set."""
    file = tmp_path / "namespace"
    with pytest.raises(SettingsError, match="BACKUPJOBWATCH_LEASE_NAMESPACE must be set outside a pod"):
        lease_namespace(Settings(), file)
    file.write_text("operators\n")
    assert lease_namespace(Settings(), file) == "operators"
    assert lease_namespace(Settings(lease_namespace="elsewhere"), file) == "elsewhere"
