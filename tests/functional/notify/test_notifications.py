"""The operator sends notifications of phases to receivers and records the deliveries in the status."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.functional.notifying import ALL, EVERYBODYS_TURN, SETTINGS, notifications, settled, webhook
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, job_payload, running_payload, standing
from tests.support.kubernetes import EVENT_POSTS, NAME, STATUS_WRITES
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

MANY = 100


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def operator(start: StartOperator) -> AsyncIterator[Operator]:
    async with start(**SETTINGS) as operator:
        yield operator


async def test_an_end_sends_a_notification(
    api: KubernetesApi, vault: Vault, operator: Operator, receiver: Receiver
) -> None:
    """The operator writes the end and then the delivery. The notification matches the status."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "notify": [webhook(receiver.url)]})
    (entry,) = (await settled(api, "hook")).values()
    (delivery,) = receiver.deliveries
    end, told = api.writes()
    assert (delivery.id, delivery.event.get_type()) == (entry["id"], "dev.azurebackup.job.succeeded")
    assert delivery.data["message"] == end["message"]
    assert (entry["state"], entry["phase"]) == ("Delivered", "Succeeded")
    assert told == {**end, "notifications": [entry]}


async def test_each_entry_gets_the_phases_that_it_selects(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, receiver: Receiver
) -> None:
    """Each entry gets the phases that it selects, each with a unique ID and without extra polls."""
    entries = [webhook(receiver.url, "all", phases=ALL), webhook(receiver.url, "failed", phases=["Failed"])]
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "10s", "notify": entries})
    await receiver.received(1)
    assert len(sim.requests) == 1
    await operator.poll(sim)
    await settled(api, "all")
    vault.set_job(JOB_NAME, job_payload(status="Failed"))
    await operator.advance_to("Failed", api)
    await settled(api, "all", "failed")
    types = [delivery.event.get_type().rpartition(".")[2] for delivery in receiver.deliveries]
    assert types == ["running", "failed", "failed"]
    assert len({delivery.id for delivery in receiver.deliveries}) == 2


async def test_a_past_phase_is_not_retried(
    api: KubernetesApi, vault: Vault, operator: Operator, receiver: Receiver
) -> None:
    """The operator stops retrying the Running phase when the job has ended."""
    receiver.answer(500)
    entry = webhook(receiver.url, phases=ALL)
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "notify": [entry]})
    await receiver.received(1)
    vault.set_job(JOB_NAME, job_payload())
    api.annotate(reconcile_fluxcd_io__requestedAt="now")
    await settled(api, "hook")
    await operator.pass_time(60)
    types = [delivery.event.get_type().rpartition(".")[2] for delivery in receiver.deliveries]
    assert types == ["running", "succeeded"]


async def test_one_write_when_all_are_settled(
    api: KubernetesApi, vault: Vault, operator: Operator, receiver: Receiver
) -> None:
    """The operator writes all deliveries in one write, after the last one."""
    async with Receiver() as slow:
        slow.answer("hang")
        entries = [webhook(receiver.url, "fast"), webhook(slow.url, "slow")]
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "notify": entries})
        await asyncio.gather(receiver.received(1), slow.received(1))
        await operator.idle()
        assert notifications(api) == {}
        slow.release()
        await settled(api, "fast", "slow")
    assert len(api.writes()) == 2


async def test_a_dead_receiver_delays_no_gate(
    api: KubernetesApi, vault: Vault, start: StartOperator, receiver: Receiver
) -> None:
    """A dead receiver delays neither the status of its own watch nor deliveries of other namespaces."""
    job_id = vault.set_job(JOB_NAME, job_payload())
    async with Receiver() as dead, start(**SETTINGS, **EVERYBODYS_TURN):
        dead.then = "hang"
        for number in range(60):
            api.create({"jobResourceId": job_id, "notify": [webhook(dead.url)]}, f"dead{number}")
        await dead.received(4)
        api.create({"jobResourceId": job_id, "notify": [webhook(receiver.url)]}, "alive", namespace="team-b")
        await receiver.received(1)
        for number in range(60):
            assert standing(await api.status(f"dead{number}", phase="Succeeded"))["Ready"] == "True"
        assert len(dead.deliveries) < 60  # the concurrency limit holds back the rest


async def test_a_hundred_jobs_end_at_once(
    api: KubernetesApi, vault: Vault, start: StartOperator, receiver: Receiver
) -> None:
    """Each of many watches is delivered once and recorded in one write."""
    job_id = vault.set_job(JOB_NAME, job_payload())
    for number in range(MANY):
        api.create({"jobResourceId": job_id, "notify": [webhook(receiver.url)]}, f"w{number}")
    async with start(**SETTINGS, **EVERYBODYS_TURN):
        await api.until(lambda: len(noted(api)) >= MANY)
    assert len({delivery.id for delivery in receiver.deliveries}) == len(receiver.deliveries) == MANY
    assert sorted(noted(api)) == sorted(f"w{number}" for number in range(MANY))


def noted(api: KubernetesApi) -> list[str]:
    """Return the name of the watch for each status write that has notifications."""
    return [
        change.name
        for change in api.objects.history
        if change.part == "status" and "notifications" in change.after["status"]
    ]


@pytest.mark.parametrize("killed", ["before it arrived", "before it was written down"])
async def test_a_restart_repeats_an_unrecorded_delivery(
    api: KubernetesApi, vault: Vault, start: StartOperator, receiver: Receiver, killed: str
) -> None:
    """If the operator stops before it records a delivery, the next one repeats it under the same ID."""
    if killed == "before it arrived":
        receiver.answer("hang")
    entry = webhook(receiver.url)
    async with start(**SETTINGS):
        with api.traffic.hold(EVENT_POSTS) as hold:
            api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "notify": [entry]})
            await hold.arrived()
            times = 0 if killed == "before it arrived" else None
            refusal = api.traffic.fail(STATUS_WRITES, status=500, times=times)
        await receiver.received(1)
        await api.until(lambda: refusal.used or times == 0)
    refusal.end()
    assert notifications(api) == {}
    async with start(**SETTINGS):
        await settled(api, "hook")
    assert len({delivery.id for delivery in receiver.deliveries}) == 1
    assert len(receiver.deliveries) == 2


async def test_a_failed_record_of_a_delivery_is_written_later(
    api: KubernetesApi, vault: Vault, operator: Operator, receiver: Receiver
) -> None:
    """If the status write fails after a delivery, the resync writes it without a second delivery."""
    with api.traffic.hold(EVENT_POSTS) as hold:
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "notify": [webhook(receiver.url)]})
        await hold.arrived()
        refusal = api.traffic.fail(STATUS_WRITES, status=500, times=2)
    await api.until(lambda: refusal.used)
    await operator.advance_until(lambda: notifications(api))
    assert len(receiver.deliveries) == 1


@pytest.mark.parametrize("edit", ["another field", "the target"])
async def test_an_edit_during_the_note_of_it(
    api: KubernetesApi, vault: Vault, operator: Operator, receiver: Receiver, edit: str
) -> None:
    """After a conflict, the operator applies the record to the edited object, or drops it with its target."""
    receiver.answer("hang")
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "notify": [webhook(receiver.url)]})
    await receiver.received(1)
    await api.status(phase="Succeeded")
    with api.traffic.hold(STATUS_WRITES) as hold:
        receiver.release()
        await hold.arrived()
        vault.set_job(OTHER_JOB_NAME, running_payload())
        api.edit(
            **({"pollInterval": "5m"} if edit == "another field" else {"jobResourceId": vault.job_id(OTHER_JOB_NAME)})
        )
    await api.status(observedGeneration=2)
    if edit == "another field":
        await settled(api, "hook")
        assert len(api.writes()) in (2, 3)
    else:
        await api.status(phase="Running")
        assert notifications(api) == {}
    await operator.idle()
    assert len(receiver.deliveries) == 1


async def test_deletion_cancels(api: KubernetesApi, vault: Vault, operator: Operator, receiver: Receiver) -> None:
    """Deleting a watch takes effect at once and ends its retries."""
    receiver.then = 500
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "notify": [webhook(receiver.url)]})
    await receiver.received(1)
    api.delete()
    assert NAME not in str(api.objects.find(None))
    await operator.pass_time(60, 5)
    assert len(receiver.deliveries) == 1


async def test_a_new_entry_of_a_finished_watch_is_delivered(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, receiver: Receiver
) -> None:
    """An entry that is added after the end is delivered once, without a request to Azure."""
    first, second = webhook(receiver.url, "first"), webhook(receiver.url, "second")
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "notify": [first]})
    before = await settled(api, "first")
    api.edit(notify=[first, second], suspend=True)
    after = await settled(api, "first", "second")
    assert after["first"] == before["first"]
    assert (len(receiver.deliveries), len(sim.requests)) == (2, 1)


async def test_a_fixed_entry_is_delivered_at_once(
    api: KubernetesApi, vault: Vault, operator: Operator, receiver: Receiver
) -> None:
    """An entry that is edited during its retries is delivered as edited. A removed entry is not retried."""
    async with Receiver() as other:
        other.then = 404
        gone, wrong = webhook(other.url, "gone"), webhook(other.url, "hook")
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "notify": [gone, wrong]})
        await other.received(2)
        api.edit(notify=[webhook(receiver.url, "hook")])
        await settled(api, "hook")
        assert notifications(api).keys() == {"hook"}
        await operator.pass_time(60)
        assert len(other.deliveries) == 2


async def test_a_removed_entry_does_not_delay_the_others(
    api: KubernetesApi, vault: Vault, operator: Operator, receiver: Receiver
) -> None:
    """When the last pending entry is removed from the spec, the operator records the others."""
    async with Receiver() as dead:
        dead.then = 500
        told, tried = webhook(receiver.url, "told"), webhook(dead.url, "tried")
        job_id = vault.set_job(JOB_NAME, job_payload())
        api.create({"jobResourceId": job_id, "notify": [told, tried], "ttlSecondsAfterFinished": 0})
        await asyncio.gather(receiver.received(1), dead.received(1))
        api.edit(notify=[told])
        await api.until(lambda: not api.objects.find(None))
    assert [entry["name"] for entry in api.writes()[-1]["notifications"]] == ["told"]
    assert len(receiver.deliveries) == 1


async def test_a_suspended_watch_records_its_delivery(
    api: KubernetesApi, vault: Vault, operator: Operator, receiver: Receiver
) -> None:
    """If a watch is suspended during a delivery, the operator records the delivery at once."""
    receiver.answer("hang")
    entry = webhook(receiver.url, phases=ALL)
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "notify": [entry]})
    await receiver.received(1)
    api.edit(suspend=True)
    await api.status(reason="Suspended")
    receiver.release()
    await settled(api, "hook")
    status = await api.status(reason="Suspended", phase="Running")
    assert standing(status)["Finished"] == "False"


async def test_ttl_waits_for_the_last_delivery(
    api: KubernetesApi, vault: Vault, operator: Operator, receiver: Receiver
) -> None:
    """The TTL of a finished watch takes effect after the last delivery."""
    receiver.answer("hang")
    spec = {"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "notify": [webhook(receiver.url)]}
    api.create({**spec, "ttlSecondsAfterFinished": 0})
    await receiver.received(1)
    await api.status(phase="Succeeded")
    await operator.idle()
    assert api.objects.find(None)
    receiver.release()
    await api.until(lambda: not api.objects.find(None))
    assert [entry["state"] for entry in api.writes()[-1]["notifications"]] == ["Delivered"]
