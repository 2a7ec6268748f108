"""The node's clock jumps an hour ahead or back while the operator runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.domain.jobs.times import format_time, parse_time
from tests.support.builders import OTHER_JOB_NAME, job_payload, running_payload
from tests.support.kubernetes import NAME
from tests.support.movable_process import running_movable
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from pathlib import Path

    from demo.simulator import AzureSimulator, Vault
    from tests.support.kubernetes import KubernetesApi

HOUR = 3600.0
LATEST = "0b0b0b0b-5e1f-4000-8000-000000000001"


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["ahead", "back"])
async def test_an_hour(
    *, api: KubernetesApi, sim: AzureSimulator, vault: Vault, going: str, tmp_path: Path, jump: float
) -> None:
    """After the jump, watches still follow their jobs, a waiting watch finds its job, and TTLs expire."""

    def phase(name: str) -> object:
        return api.get(name)["status"].get("phase")

    async with (
        Receiver() as receiver,
        running_movable(sim.url, tmp_path / "log", NOTIFY_HTTP_HOSTS="127.0.0.1") as operator,
    ):
        await api.until(lambda: api.watched)
        hook = [{"name": "hook", "webhook": {"url": receiver.url}}]
        spec = {"jobResourceId": going, "pollInterval": "10s"}
        source = {"latest": {"item": "vm-later"}, "vault": vault_reference(vault)}
        api.create({**spec, "notify": hook})
        api.create({**spec, "ttlSecondsAfterFinished": 600}, "going-away")
        api.create({"pollInterval": "10s", **source}, "waiting")
        await api.status("waiting", phase="Pending", reason="WaitingForJob")
        await api.status(phase="Running")
        await api.status("going-away", phase="Running")
        before = len(sim.requests)
        await operator.set_wall_clock(jump)
        await operator.pass_until(lambda: len(sim.requests) > before + 6)
        assert [phase(name) for name in (NAME, "going-away", "waiting")] == ["Running", "Running", "Pending"]
        vault.set_job(OTHER_JOB_NAME, job_payload())
        started = format_time(datetime.now(UTC) + timedelta(seconds=5))
        vault.set_job(LATEST, running_payload(name=LATEST, entityFriendlyName="vm-later", startTime=started))
        await operator.pass_until(lambda: phase(NAME) == "Succeeded" and phase("waiting") == "Running")
        await receiver.received()
        await operator.pass_until(lambda: api.get()["status"].get("notifications"))
        completed = parse_time(api.get()["status"]["completionTime"])
        assert completed is not None
        assert abs((completed - datetime.now(UTC)).total_seconds() - jump) < HOUR / 2
        await operator.pass_until(
            lambda: not any(each["metadata"]["name"] == "going-away" for each in api.objects.find(None)), step=60
        )
    # A delivery that takes minutes of the operator's time is repeated with the same ID.
    assert len({delivery.id for delivery in receiver.deliveries}) == 1
    told = [(event["involvedObject"]["name"], event["reason"]) for event in api.events()]
    assert len(set(told)) == len(told)
    assert {(NAME, "JobCompleted"), ("going-away", "JobCompleted")} <= set(told)


async def test_heartbeats_continue_after_a_clock_was_ahead(
    *, api: KubernetesApi, sim: AzureSimulator, going: str, tmp_path: Path
) -> None:
    """The next poll replaces a lastPollTime in the future, and heartbeats continue as usual."""

    def polled() -> datetime:
        time = parse_time(api.get()["status"]["lastPollTime"])
        assert time is not None
        return time

    async with running_movable(sim.url, tmp_path / "log") as operator:
        await api.until(lambda: api.watched)
        api.create({"jobResourceId": going, "pollInterval": "10s"})
        await api.status(phase="Running")
        await operator.set_wall_clock(2 * HOUR)
        await operator.pass_until(lambda: polled() > datetime.now(UTC) + timedelta(seconds=HOUR), step=20)
        await operator.set_wall_clock(-2 * HOUR)
        written = len(api.writes())
        await operator.pass_until(lambda: len(api.writes()) > written, step=20, steps=10)
        assert polled() < datetime.now(UTC) + timedelta(seconds=HOUR)
        await operator.pass_until(lambda: len(api.writes()) > written + 1, step=20, steps=30)
    assert len(api.writes()) == written + 2


def vault_reference(vault: Vault) -> dict[str, str]:
    _, _, subscription, _, group, _, _, _, name, *_ = vault.job_id(LATEST).split("/")
    return {"subscriptionId": subscription, "resourceGroup": group, "name": name}
