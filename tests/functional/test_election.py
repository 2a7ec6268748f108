"""Candidates for a Lease, without operators around them: who holds it, for how long, and what becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

import pytest

from backupjobwatch.errors import LeaseLost, SettingsError
from backupjobwatch.leader import Elector, lease_namespace
from backupjobwatch.runtime import Runtime
from backupjobwatch.settings import Settings
from backupjobwatch.store import Store
from tests.support.operator import MovableLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.support.kubernetes import KubernetesApi

    Stand = Callable[..., Awaitable[Elector]]

LEASE: Final = ("operators", "backupjobwatch")
READS: Final = "^GET .*/leases/backupjobwatch$"
WRITES: Final = "^(PUT|POST) .*/leases"
DURATION, DEADLINE, RETRY = 14, 10, 2
SOMEBODY: Final[dict[str, Any]] = {
    "holderIdentity": "somebody",
    "leaseDurationSeconds": DURATION,
    "acquireTime": "2026-03-04T01:00:00.000000Z",
    "renewTime": "2026-03-04T01:00:00.000000Z",
    "leaseTransitions": 3,
}


@pytest.fixture
async def stand(api: KubernetesApi) -> AsyncIterator[Stand]:
    """Have a candidate stand for election, in this test's event loop; each is closed at the end."""
    async with contextlib.AsyncExitStack() as stack:

        async def stand(**options: Any) -> Elector:
            store = await Store.connect()
            stack.push_async_callback(store.close)
            elector = Elector(Settings(lease_namespace=LEASE[0], **options), store)
            elector.start(_nothing)
            stack.push_async_callback(elector.close)
            return elector

        yield stand


async def _nothing() -> None:
    """Nothing has to be stopped."""


async def advance(seconds: float) -> None:
    """Let time pass, and let it be noticed."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MovableLoop)
    loop._advance(seconds)
    await asyncio.sleep(0.05)


async def happened(event: asyncio.Event) -> None:
    async with asyncio.timeout(5):
        await event.wait()


async def looks(api: KubernetesApi, times: int = 1) -> None:
    """Wait until the Lease was looked at so often more, each at its time."""
    for _ in range(times):
        before = len(api.traffic.matching(READS))
        await advance(RETRY)
        await api.until(lambda before=before: [each.status for each in api.traffic.matching(READS)[before:]])  # type: ignore[misc]
        await asyncio.sleep(0.05)


def spec(api: KubernetesApi) -> dict[str, Any]:
    found: dict[str, Any] = api.leases.get(LEASE)["spec"]
    return found


# ── taking it ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_first_makes_the_lease(api: KubernetesApi, stand: Stand) -> None:
    """Where there is no Lease, it is made, and held: its fields are those that client-go writes."""
    elector = await stand()
    await happened(elector.elected)
    found = spec(api)
    assert found["holderIdentity"] == elector.identity
    assert (found["leaseDurationSeconds"], found["leaseTransitions"]) == (DURATION, 0)
    assert found["acquireTime"] == found["renewTime"]
    assert elector.leading
    assert not elector.standing_by.is_set()


async def test_of_two_one_leads(api: KubernetesApi, stand: Stand) -> None:
    """Of two that stand at one time one is elected, and the other stands by for as long as that one renews."""
    candidates = [await stand(), await stand()]
    await looks(api, 20)
    leader, other = sorted(candidates, key=lambda each: not each.leading)
    assert (leader.leading, other.leading, other.elected.is_set()) == (True, False, False)
    assert other.standing_by.is_set()
    assert {each["holderIdentity"] for each in api.leases.history} == {leader.identity}
    assert len(api.leases.history) > 10


async def test_a_released_lease_is_taken_at_once(api: KubernetesApi, stand: Stand) -> None:
    """A Lease that nobody holds is not waited for; its transitions are counted."""
    api.leases.put(LEASE, **{**SOMEBODY, "holderIdentity": ""})
    elector = await stand()
    await happened(elector.elected)
    assert spec(api)["leaseTransitions"] == 4
    assert spec(api)["acquireTime"] > SOMEBODY["acquireTime"]


@pytest.mark.parametrize("year", ["1970", "2020", "2199"])
async def test_clocks_are_not_compared(api: KubernetesApi, stand: Stand, year: str) -> None:
    """However wrong the holder's clock, its Lease is respected for its duration, and no longer."""
    times = dict.fromkeys(("acquireTime", "renewTime"), f"{year}-03-04T01:00:00.000000Z")
    api.leases.put(LEASE, **{**SOMEBODY, **times})
    elector = await stand()
    await happened(elector.standing_by)
    await advance(DURATION - 0.5)
    assert not elector.elected.is_set()
    await advance(0.5)
    await happened(elector.elected)


async def test_a_renewal_is_seen_whatever_it_says(api: KubernetesApi, stand: Stand) -> None:
    """Every change of the Lease counts as a renewal, one with a clock that goes backwards too."""
    elector = await stand_by(api, stand)
    for minute in range(59, 40, -1):
        api.leases.put(LEASE, **{**SOMEBODY, "renewTime": f"2026-03-04T01:{minute}:00.000000Z"})
        await looks(api)
    assert not elector.elected.is_set()
    await advance(DURATION)
    await happened(elector.elected)


async def stand_by(api: KubernetesApi, stand: Stand) -> Elector:
    """Return a candidate that has seen that somebody holds the Lease."""
    api.leases.put(LEASE, **SOMEBODY)
    elector = await stand()
    await happened(elector.standing_by)
    await asyncio.sleep(0.02)
    return elector


async def test_a_crash_is_noticed_within_the_duration(api: KubernetesApi, stand: Stand) -> None:
    """A holder that dies right after a renewal: the Lease passes on not later than its duration after that."""
    elector = await stand_by(api, stand)
    await looks(api, 3)
    await advance(RETRY - 0.2)
    api.leases.put(LEASE, **{**SOMEBODY, "renewTime": "2026-03-04T01:10:00.000000Z"})
    await advance(0.2)  # it is seen 0.2 s later
    await advance(DURATION - 0.3)
    await happened(elector.elected)


async def test_no_lease_is_taken_before_its_holder_has_stopped(api: KubernetesApi, stand: Stand) -> None:
    """Looks that were held up do not have a renewal seem older than it is: the holder gets its whole deadline."""
    elector = await stand_by(api, stand)
    refusal = api.traffic.fail(READS, status=503, times=None)
    await advance(DURATION - 1)
    api.leases.put(LEASE, **{**SOMEBODY, "renewTime": "2026-03-04T01:10:00.000000Z"})
    refusal.end()
    await looks(api)
    await advance(DEADLINE)
    assert not elector.elected.is_set()
    await advance(DURATION - DEADLINE)
    await happened(elector.elected)


async def test_the_holders_duration_counts(api: KubernetesApi, stand: Stand) -> None:
    """A holder with other settings, as during an update, is waited for as long as its Lease says."""
    api.leases.put(LEASE, **{**SOMEBODY, "leaseDurationSeconds": 60})
    elector = await stand()
    await happened(elector.standing_by)
    await advance(58)
    assert not elector.elected.is_set()
    await advance(2)
    await happened(elector.elected)
    assert spec(api)["leaseDurationSeconds"] == DURATION


@pytest.mark.parametrize("left", [{}, {"holderIdentity": None}, {"leaseTransitions": None}], ids=str)
async def test_an_empty_lease_is_taken(api: KubernetesApi, stand: Stand, left: dict[str, Any]) -> None:
    """A Lease that somebody made by hand, with nothing in it, is nobody's."""
    api.leases.put(LEASE, **left)
    await happened((await stand()).elected)


async def test_a_lease_without_a_duration_is_waited_for(api: KubernetesApi, stand: Stand) -> None:
    """A holder that does not say for how long has the candidate's own duration."""
    api.leases.put(LEASE, holderIdentity="somebody")
    elector = await stand()
    await happened(elector.standing_by)
    await advance(DURATION - 0.5)
    assert not elector.elected.is_set()
    await advance(0.5)
    await happened(elector.elected)


@pytest.mark.parametrize("there", [False, True], ids=["made", "taken"])
async def test_an_answer_that_is_lost(api: KubernetesApi, stand: Stand, *, there: bool) -> None:
    """A take-over whose answer is lost is found at the next look, and counts once."""
    if there:
        api.leases.put(LEASE, **{**SOMEBODY, "holderIdentity": ""})
    api.traffic.fail(WRITES, status=None, late=True)
    elector = await stand()
    await looks(api)
    await happened(elector.elected)
    assert spec(api)["leaseTransitions"] == (4 if there else 0)


async def test_what_others_put_on_the_lease_stays(api: KubernetesApi, stand: Stand) -> None:
    """Labels and annotations of the Lease are left as they are."""
    api.leases.put(LEASE, **{**SOMEBODY, "holderIdentity": ""})
    api.leases._objects[LEASE]["metadata"]["annotations"] = {"example.com/theirs": "x"}
    await happened((await stand()).elected)
    assert api.leases.get(LEASE)["metadata"]["annotations"] == {"example.com/theirs": "x"}


async def test_without_the_right_to_it_nobody_leads(
    api: KubernetesApi, stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    """What is in the way is said once, and the candidate goes on trying."""
    refusal = api.traffic.fail(WRITES, status=403, times=None, message="cannot create resource leases")
    elector = await stand()
    await looks(api, 10)
    assert caplog.text.count("The Lease operators/backupjobwatch cannot be had") == 1
    assert "cannot create resource leases" in caplog.text
    assert (elector.alive, elector.elected.is_set(), elector.standing_by.is_set()) == (True, False, False)
    refusal.end()
    await looks(api)
    await happened(elector.elected)


# ── keeping it ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def why_lost(elector: Elector) -> str:
    """Wait until the Lease is lost; return why."""
    assert elector._task is not None
    await asyncio.wait({elector._task}, timeout=5)
    assert isinstance(elector.failure, LeaseLost)
    assert not elector.leading
    return str(elector.failure)


async def test_the_term_goes_on_for_as_long_as_it_is_renewed(api: KubernetesApi, stand: Stand) -> None:
    """Each renewal moves the renew time, and nothing else."""
    elector = await stand()
    await happened(elector.elected)
    first = spec(api)
    await looks(api, 30)
    assert elector.leading
    assert spec(api) == {**first, "renewTime": spec(api)["renewTime"]}
    assert spec(api)["renewTime"] > first["renewTime"]


@pytest.mark.parametrize("line", [READS, WRITES])
async def test_a_request_that_hangs_is_not_the_end(api: KubernetesApi, stand: Stand, line: str) -> None:
    """A request that is not answered is given up in time for another."""
    elector = await stand()
    await happened(elector.elected)
    with api.traffic.hold(line) as hold:
        await advance(RETRY)
        await hold.arrived()
        hold.let_others_pass()
        await advance(DEADLINE / 2)
        await looks(api, 5)
        assert (elector.leading, elector.failure) == (True, None)


@pytest.mark.parametrize("line", [READS, WRITES])
@pytest.mark.parametrize("how", ["hangs", "fails"])
async def test_a_term_ends_with_the_deadline(api: KubernetesApi, stand: Stand, line: str, how: str) -> None:
    """Who cannot renew leads until the deadline, from when the last renewal that worked was sent; then no more."""
    elector = await stand()
    await happened(elector.elected)
    with api.traffic.hold(line if how == "hangs" else "(?!)"):
        api.traffic.fail(line, status=500, times=None if how == "fails" else 0)
        await advance(DEADLINE - 0.5)
        assert (elector.leading, elector.failure) == (True, None)
        await advance(0.5)
        assert await why_lost(elector) == "the Lease operators/backupjobwatch was not renewed for 10 s"
    assert spec(api)["holderIdentity"] == elector.identity


async def test_a_lease_that_somebody_took_is_lost_at_once(api: KubernetesApi, stand: Stand) -> None:
    """A leader that finds another's name on the Lease stops at that, and leaves the Lease alone."""
    elector = await stand()
    await happened(elector.elected)
    api.leases.put(LEASE, **SOMEBODY)
    await looks(api)
    assert await why_lost(elector) == "the Lease operators/backupjobwatch is held by somebody now"
    await elector.close()
    assert spec(api) == SOMEBODY


@pytest.mark.parametrize("harm", ["deleted", "emptied"])
async def test_a_lease_that_goes_away_is_made_again(api: KubernetesApi, stand: Stand, harm: str) -> None:
    """Somebody deletes the Lease, or takes the name off it: who leads puts it back."""
    elector = await stand()
    await happened(elector.elected)
    if harm == "deleted":
        api.leases.delete(LEASE)
    else:
        api.leases.put(LEASE)
    await looks(api)
    await api.until(lambda: spec(api).get("holderIdentity") == elector.identity)
    assert elector.leading


async def test_a_renewal_whose_answer_is_lost(api: KubernetesApi, stand: Stand) -> None:
    """The leader goes on from what it finds, which is its own name."""
    elector = await stand()
    await happened(elector.elected)
    api.traffic.fail(WRITES, status=None, late=True)
    await looks(api, 8)
    assert elector.leading


# ── giving it back ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_leader_that_ends_releases_it(api: KubernetesApi, stand: Stand) -> None:
    """Released, the Lease is nobody's, and whoever stands by has it at the next look."""
    leader = await stand()
    await happened(leader.elected)
    other = await stand()
    await happened(other.standing_by)
    await leader.close()
    assert spec(api)["holderIdentity"] == ""
    assert not leader.leading
    await looks(api)
    await happened(other.elected)
    assert spec(api)["leaseTransitions"] == 1


async def test_who_stands_by_leaves_it_alone(api: KubernetesApi, stand: Stand) -> None:
    """A candidate that ends while it stands by does so at once, and writes nothing."""
    elector = await stand_by(api, stand)
    asked = len(api.traffic.requests)
    await elector.close()
    assert spec(api) == SOMEBODY
    assert len(api.traffic.requests) == asked


async def test_an_end_during_the_take_over(api: KubernetesApi, stand: Stand) -> None:
    """A candidate told to end while it takes the Lease gives it back."""
    with api.traffic.hold(WRITES) as hold:
        elector = await stand()
        await hold.arrived()
        closing = asyncio.create_task(elector.close())
        await asyncio.sleep(0.02)
    await closing
    assert spec(api)["holderIdentity"] == ""


async def test_an_end_without_a_lease(api: KubernetesApi, stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    """A Lease that somebody has deleted needs no release."""
    elector = await stand()
    await happened(elector.elected)
    api.leases.delete(LEASE)
    await elector.close()
    assert "could not be released" not in caplog.text


async def test_a_release_that_fails_is_said(api: KubernetesApi, stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    """A leader whose API server is gone ends all the same; its Lease runs out."""
    elector = await stand()
    await happened(elector.elected)
    api.traffic.fail(WRITES, status=500, times=None)
    await elector.close()
    assert "could not be released, and has to run out" in caplog.text


# ── being alive ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_candidate_is_alive_whatever_the_api_server_does(api: KubernetesApi, stand: Stand) -> None:
    """Attempts that fail are attempts."""
    elector = await stand()
    await happened(elector.elected)
    other = await stand()
    await happened(other.standing_by)
    await elector.close()
    await api.go_away()
    for _ in range(30):
        await advance(RETRY)
        assert other.alive
    await api.come_back()


async def test_a_candidate_that_makes_no_attempts_is_not_alive(api: KubernetesApi, stand: Stand) -> None:
    """Should the elector ever be stuck, the liveness probe tells."""
    elector = await stand_by(api, stand)
    stuck = asyncio.get_running_loop()
    assert isinstance(stuck, MovableLoop)
    stuck._advance(60)  # nothing of the loop had its turn since
    assert not elector.alive


async def test_a_defect_ends_the_term(api: KubernetesApi) -> None:
    """An answer that nobody thought of is no reason to go on without a Lease, unnoticed."""
    api.traffic.fail(READS, status=200, body='{"spec": [1]}', times=None)
    store, stopped = await Store.connect(), asyncio.Event()

    async def stop() -> None:
        stopped.set()

    elector = Elector(Settings(lease_namespace=LEASE[0]), store)
    elector.start(stop)
    await happened(stopped)
    await elector.close()
    await store.close()
    assert isinstance(elector.failure, AttributeError)


async def test_who_leads_is_told(api: KubernetesApi) -> None:
    """An operator without election leads; one with, while the Lease is its own."""
    async with Runtime.open(Settings()) as runtime:
        assert (runtime.leading, runtime.alive) == (True, True)
    async with Runtime.open(Settings(leader_election=True, lease_namespace=LEASE[0])) as runtime:
        assert runtime.elector is not None
        assert (runtime.leading, runtime.alive) == (False, True)
        runtime.elector.start(_nothing)
        await happened(runtime.elector.elected)
        assert runtime.leading
    assert not runtime.leading
    assert spec(api)["holderIdentity"] == ""


# ── where it is ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_namespace_is_the_pods_own(tmp_path: Path) -> None:
    """Where no namespace is set, it is read where Kubernetes tells a pod its own; elsewhere it has to be set."""
    file = tmp_path / "namespace"
    with pytest.raises(SettingsError, match="BACKUPJOBWATCH_LEASE_NAMESPACE: write the Lease's namespace"):
        lease_namespace(Settings(), file)
    file.write_text("operators\n")
    assert lease_namespace(Settings(), file) == "operators"
    assert lease_namespace(Settings(lease_namespace="elsewhere"), file) == "elsewhere"
