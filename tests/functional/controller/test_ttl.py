"""The operator deletes finished watches when their TTL has expired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.controller.ttl import EVENTS_RETRY
from backupjobwatch.kube.work_queue import MAX_DELAY as RETRY
from tests.functional.notifying import EVERYBODYS_TURN
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload, running_payload
from tests.support.kubernetes import DELETIONS, EVENT_POSTS, NAME
from tests.support.movable_process import running_movable

if TYPE_CHECKING:
    from pathlib import Path

    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator


HOUR = 3600


def gone(api: KubernetesApi, name: str = NAME) -> bool:
    return name not in {body["metadata"]["name"] for body in api.objects.find(None)}


async def sentinel_deleted(api: KubernetesApi) -> None:
    """Create a watch with a TTL of 0 and wait for its deletion. By then, earlier watch events are processed."""
    job_id = api.objects.history[0].after["spec"]["jobResourceId"]
    name = f"sentinel-{api.objects.version}"
    api.create({"jobResourceId": job_id, "ttlSecondsAfterFinished": 0}, name)
    await api.until(lambda: deletions(api, name) == [200])


def deletions(api: KubernetesApi, name: str = NAME) -> list[int | None]:
    """Return the response statuses of the DELETE requests for a watch."""
    return [request.status for request in api.traffic.matching(f"{DELETIONS[:-6]}{name}$")]


async def test_an_expired_watch_is_deleted(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, tmp_path: Path
) -> None:
    """A finished watch is deleted with one request after its TTL, not earlier."""
    async with running_movable(sim.url, tmp_path / "log") as operator:
        await api.until(lambda: api.watched)
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "ttlSecondsAfterFinished": 600})
        await api.status(phase="Succeeded")
        await api.until(api.events)
        await operator.pass_time(500)
        await sentinel_deleted(api)
        assert not gone(api)
        await operator.pass_until(lambda: gone(api))
    assert deletions(api) == [200]


async def test_the_time_is_checked_again_before_the_deletion(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, tmp_path: Path
) -> None:
    """A clock that was two hours ahead when the timer was set does not delete a watch early."""
    async with running_movable(sim.url, tmp_path / "log") as operator:
        await api.until(lambda: api.watched)
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "ttlSecondsAfterFinished": 3 * HOUR})
        await api.status(phase="Succeeded")
        await operator.set_wall_clock(2 * HOUR)
        api.edit(pollInterval="5m")
        await api.status(observedGeneration=2)
        await sentinel_deleted(api)
        await operator.set_wall_clock(-2 * HOUR)
        await operator.pass_time(HOUR + 120)
        await sentinel_deleted(api)
        assert not gone(api)
        await operator.pass_until(lambda: gone(api), step=300)
    assert deletions(api) == [200]


async def test_a_clock_that_was_behind_does_not_delay_a_deletion(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, tmp_path: Path
) -> None:
    """A clock that was two hours behind when the timer was set delays a deletion by minutes, not hours."""
    async with running_movable(sim.url, tmp_path / "log") as operator:
        await api.until(lambda: api.watched)
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "ttlSecondsAfterFinished": HOUR})
        await api.status(phase="Succeeded")
        await operator.set_wall_clock(-2 * HOUR)
        api.edit(pollInterval="5m")
        await api.status(observedGeneration=2)
        await sentinel_deleted(api)
        await operator.set_wall_clock(2 * HOUR)
        await operator.pass_time(HOUR - 120)
        await sentinel_deleted(api)
        assert not gone(api)
        await operator.pass_until(lambda: gone(api), step=60, steps=15)
    assert deletions(api) == [200]


async def test_a_watch_that_runs_is_not_deleted(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """The TTL, even one of 0 seconds, starts when the job ends."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "ttlSecondsAfterFinished": 0})
    await api.status(phase="Running")
    await operator.idle()
    assert not gone(api)
    vault.set_job(JOB_NAME, job_payload(status="Failed"))
    api.annotate(reconcile_fluxcd_io__requestedAt="now")
    await api.until(lambda: gone(api))
    assert api.writes()[-1]["phase"] == "Failed"


async def test_the_ttl_continues_while_no_operator_runs(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """A new process rebuilds the timers from the objects, including edits."""
    async with start():
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
        await api.status(phase="Succeeded")
    api.edit(ttlSecondsAfterFinished=0)
    async with start():
        await api.until(lambda: gone(api))


async def test_the_event_precedes_the_deletion(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """The Event of the end is posted before the deletion, even if the TTL is 0."""
    with api.traffic.hold(EVENT_POSTS) as hold:
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "ttlSecondsAfterFinished": 0})
        await hold.arrived()
        await operator.pass_time(EVENTS_RETRY, 3)
        assert not gone(api)
    await operator.advance_until(lambda: gone(api))
    assert [event["reason"] for event in api.events()] == ["JobCompleted"]


async def test_an_event_that_is_refused_does_not_keep_it(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """A refused Event does not prevent the deletion."""
    api.traffic.fail(EVENT_POSTS, status=403)
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "ttlSecondsAfterFinished": 0})
    await operator.advance_until(lambda: gone(api))


async def test_a_failed_deletion_is_retried(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """API server errors only delay a deletion."""
    trouble = api.traffic.fail(DELETIONS, status=500, times=2)
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "ttlSecondsAfterFinished": 0})
    await api.until(lambda: trouble.used == 1)
    await operator.idle()
    assert not gone(api)
    operator.advance(RETRY)
    await api.until(lambda: trouble.used == 2)
    await operator.idle()
    operator.advance(RETRY)
    await api.until(lambda: gone(api))


@pytest.mark.parametrize("gone_for_kopf", [False, True])
async def test_a_late_event_repeats_no_deletion(
    *, api: KubernetesApi, vault: Vault, operator: Operator, gone_for_kopf: bool
) -> None:
    """A watch event that was sent before the deletion and arrives after it causes no second DELETE request."""
    if not gone_for_kopf:
        api.swallow("DELETED")
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "ttlSecondsAfterFinished": 0})
    await api.until(lambda: deletions(api) == [200])
    last = next(change.before for change in api.objects.history if change.type == "DELETED")
    assert last is not None
    for _ in range(3):
        api.streams.repeat(last)
        await sentinel_deleted(api)
        operator.advance(RETRY)
    assert deletions(api) == [200]


async def test_a_refused_deletion_is_retried_at_intervals(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """After a 409 for a watch that was not edited, the deletion is retried with backoff."""
    refusal = api.traffic.fail(f"{DELETIONS[:-6]}{NAME}$", status=409, times=None)
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "ttlSecondsAfterFinished": 0})
    await api.until(lambda: refusal.used)
    await sentinel_deleted(api)
    used = refusal.used
    assert used <= 6  # retries after 1, 2, 4, 8 and 16 s
    operator.advance(RETRY)
    await api.until(lambda: refusal.used > used)
    refusal.end()
    await operator.advance_until(lambda: gone(api))


async def test_a_deletion_whose_answer_is_lost_is_done(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """After a lost response, the HTTP library repeats the deletion once. The 404 ends it."""
    api.traffic.fail(DELETIONS, status=None, times=1, late=True)
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "ttlSecondsAfterFinished": 0})
    await api.until(lambda: gone(api))
    await operator.pass_time(RETRY)
    assert deletions(api) == [None, 404]


@pytest.mark.parametrize("edit", ["target", "ttl"])
async def test_an_edit_just_before_the_deletion_wins(
    api: KubernetesApi, vault: Vault, operator: Operator, edit: str
) -> None:
    """A watch that is edited during its deletion stays if it has a new target or no TTL."""
    vault.set_job(OTHER_JOB_NAME, running_payload())
    with api.traffic.hold(DELETIONS) as hold:
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "ttlSecondsAfterFinished": 0})
        await hold.arrived()
        if edit == "target":
            api.edit(jobResourceId=vault.job_id(OTHER_JOB_NAME))
        else:
            api.edit(ttlSecondsAfterFinished=None)
    await api.status(observedGeneration=2)
    await operator.idle()
    assert not gone(api)
    assert [request.status for request in api.traffic.matching(DELETIONS)] == [409]


async def test_a_restamp_does_not_save_a_watch(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """An edit that keeps the end causes a conflict. The operator deletes the edited watch."""
    with api.traffic.hold(DELETIONS) as hold:
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "ttlSecondsAfterFinished": 0})
        await hold.arrived()
        api.edit(pollInterval="5m")
        await api.status(observedGeneration=2)
    await api.until(lambda: gone(api))
    assert [request.status for request in api.traffic.matching(DELETIONS)] == [409, 200]


async def test_an_edit_whose_event_is_lost(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """If the event of such an edit is lost, the deletion conflicts until the resync finds the edit."""
    with api.traffic.hold(DELETIONS) as hold:
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "ttlSecondsAfterFinished": 0})
        await hold.arrived()
        api.swallow("MODIFIED")
        api.edit(pollInterval="5m")
    await operator.advance_until(lambda: gone(api))
    assert set(deletions(api)[:-1]) == {409}
    assert deletions(api)[-1] == 200
    assert len(deletions(api)) <= 8


async def test_owned_watches_are_not_deleted(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """A watch that a GitOps tool or controller would recreate is not deleted. One Event gives the reason."""
    spec = {"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "ttlSecondsAfterFinished": 0}
    api.create(spec, labels={"kustomize.toolkit.fluxcd.io/name": "apps"})
    controller = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "c", "uid": "u", "controller": True}
    api.create(spec, "owned", ownerReferences=[controller])
    await api.events_emitted(4)
    assert [event["reason"] for event in api.events()].count("TTLSkipped") == 2
    assert "a Flux Kustomization" in str(api.events())
    assert "CronJob c (controller)" in str(api.events())
    await operator.pass_time(60, 3)
    assert not gone(api)
    assert api.traffic.matching(DELETIONS) == []
    assert len(api.events()) == 4


async def test_a_watch_without_its_owner_is_deleted(api: KubernetesApi, vault: Vault, operator: Operator) -> None:
    """If the owner's mark is removed while the Event about it is being posted, the watch is still deleted."""
    spec = {"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "ttlSecondsAfterFinished": 0}
    nobodys: dict[str, Any] = {"argocd_argoproj_io__tracking-id": None}
    with api.traffic.hold(EVENT_POSTS) as hold:
        api.create(spec, annotations={"argocd.argoproj.io/tracking-id": "apps:/x"})
        await hold.reached(2)  # for the end and for the owner
        api.annotate(**nobodys)
        await operator.idle()
    await operator.advance_until(lambda: gone(api))


async def test_hundreds_end_at_once(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """A hundred watches that expire together are deleted once each."""
    job_id = vault.set_job(JOB_NAME, job_payload())
    for number in range(100):
        api.create({"jobResourceId": job_id, "ttlSecondsAfterFinished": 0}, f"w{number}")
    async with start(**EVERYBODYS_TURN):
        await api.until(lambda: sum(change.type == "DELETED" for change in api.objects.history) == 100)
    assert len(api.traffic.matching(DELETIONS)) == 100
