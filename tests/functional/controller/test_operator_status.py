"""The operator mirrors the life of a job in the status, with few writes and requests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from demo.simulator import Fault, jobs
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, condition, job_payload, running_payload, standing
from tests.support.canary import WORD
from tests.support.scrape import Scrape

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Job, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

READS = "backupjobwatch_azure_reads_total"
OPEN = {"Ready": "True", "Succeeded": "True", "Finished": "True", "Complete": "True", "AzureReachable": "True"}
SHUT = {"Ready": "False", "Succeeded": "False", "Finished": "True", "Failed": "True", "Stalled": "True"}


async def test_mirrors_the_documented_job(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """The status shows Azure's values of the documented job, and the gate opens only when the job ends."""
    api.create({"jobResourceId": vault.add_job(jobs.DOCUMENTED), "pollInterval": "10s"})
    status = await api.status(phase="Running")
    assert status["job"]["status"] == "InProgress"
    assert standing(status)["Ready"] == "Unknown"
    sim.clock.advance(1300)
    await operator.poll(sim)
    status = await api.status(phase="Succeeded")
    assert (status["duration"], status["durationSeconds"], status["reason"]) == ("20m23s", 1223, "JobCompleted")
    assert status["extendedInfo"]["properties"] == {"VM Name": "uttestvmub1", "Backup Size": "2332 MB"}
    assert [task["status"] for task in status["extendedInfo"]["tasks"]] == ["Completed", "Completed"]
    assert standing(status) == OPEN


@pytest.mark.parametrize("job", [jobs.FAILED, jobs.CANCELLED, jobs.COMPLETED_WITH_WARNINGS], ids=lambda job: job.name)
async def test_a_job_that_did_not_succeed_keeps_the_gate_closed(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, job: Job
) -> None:
    """A job that failed, was cancelled or ended with warnings fails the watch, and the message gives the reason."""
    job_id = vault.add_job(job)
    sim.clock.advance(10_000)
    api.create({"jobResourceId": job_id})
    status = await api.status(phase="Failed")
    assert standing(status) == SHUT | {"AzureReachable": "True"}
    assert status["errors"][0]["message"] in status["message"]


async def test_each_transition_emits_one_event(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Each phase emits one Event about the object. Only failures emit warnings."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload())})
    await api.events_emitted(1)
    await operator.poll(sim, 3)
    vault.set_job(JOB_NAME, job_payload(status="Failed"))
    await operator.poll(sim)
    started, ended = await api.events_emitted(2)
    assert [(event["type"], event["reason"]) for event in (started, ended)] == [
        ("Normal", "JobInProgress"),
        ("Warning", "JobFailed"),
    ]
    assert ended["involvedObject"]["uid"] == api.get()["metadata"]["uid"]
    assert ended["message"] == (await api.status())["message"]


async def test_writes_nothing_when_nothing_changed(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Polls without a change write nothing, even though Azure's duration grows with each poll."""
    api.create({"jobResourceId": vault.add_job(jobs.UNKNOWN), "pollInterval": "10s"})
    await api.status(phase="Running")
    for _ in range(5):
        sim.clock.advance(10)
        await operator.poll(sim)
    assert len(api.writes()) == 1


async def test_the_heartbeat_refreshes_the_duration(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """The heartbeat writes the duration of a job that is otherwise unchanged."""
    job_id = vault.add_job(jobs.UNKNOWN)
    sim.clock.advance(5)
    async with start(heartbeat="1s") as operator:
        api.create({"jobResourceId": job_id, "pollInterval": "10s"})
        await api.status(phase="Running")
        sim.clock.advance(90)
        await operator.advance_until(lambda: len(api.writes()) > 1)
        assert [write["duration"] for write in api.writes()][:2] == ["5s", "1m35s"]


async def test_progress_is_written_in_steps(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """If a restore progresses one percent at a time, every fifth percent is written."""
    api.create({"jobResourceId": vault.add_job(jobs.RESTORE), "pollInterval": "10s"})
    await api.status(phase="Running")
    sim.clock.advance(20)
    for _ in range(10):
        sim.clock.advance(14.9)
        await operator.poll(sim)
    progress = [write["extendedInfo"]["progressPercent"] for write in api.writes()]
    assert progress in ([0, 5], [0, 5, 10])
    (task,) = api.writes()[-1]["extendedInfo"]["tasks"]
    assert task["taskExecutionDetails"].endswith(" GBs / 24.8 GBs Transferred")


async def test_an_ended_job_is_never_polled_again(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A finished watch causes no request to Azure and no write, not even by resyncs."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "pollInterval": "10s"})
    await api.status(phase="Succeeded")
    vault.set_job(JOB_NAME, job_payload(status="Failed"))
    listings = len(api.traffic.matching("^GET .*backupjobwatches$"))
    await operator.advance_until(lambda: len(api.traffic.matching("^GET .*backupjobwatches$")) > listings + 3)
    assert (len(sim.requests), len(api.writes())) == (1, 1)
    assert (await api.status())["phase"] == "Succeeded"


async def test_two_watches_of_one_job_share_a_request(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Watches of one job share a request, regardless of the letter case of the job ID."""
    job_id = vault.set_job(JOB_NAME, job_payload())
    with sim.hold() as hold:
        api.create({"jobResourceId": job_id}, "one")
        await hold.arrived()
        api.create({"jobResourceId": job_id.upper()}, "two")
        api.create({"jobResourceId": job_id}, "three", namespace="team-b")
        await Scrape.until(operator, lambda each: each.value(READS, answer="joined") == 2)
    for name, namespace in (("one", "team-a"), ("two", "team-a"), ("three", "team-b")):
        await api.status(name, namespace=namespace, phase="Succeeded")
    assert len(sim.requests) == 1


async def test_a_namespace_that_is_not_listed_may_not_use_the_operators_identity(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """If the namespace may not use the operator's identity, Azure gets no request. The message names the setting."""
    job_id = vault.set_job(JOB_NAME, job_payload())
    async with start(operator_identity_namespaces="team-b,team-c"):
        api.create({"jobResourceId": job_id}, "theirs", namespace="team-b")
        await api.status("theirs", namespace="team-b", phase="Succeeded")
        api.create({"jobResourceId": job_id})
        status = await api.status(reason="IdentityNotAllowed")
        assert "BACKUPJOBWATCH_OPERATOR_IDENTITY_NAMESPACES" in status["message"]
        assert "team-a" in status["message"]
        assert (standing(status)["Ready"], len(sim.requests)) == ("Unknown", 1)


async def test_a_spec_from_an_older_crd_stalls(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A spec that an older CRD accepted fails with the name of the field and without a request. An edit fixes it."""
    api.create({"jobResourceId": "nonsense", "graceSeconds": 10**9}, checked=False)
    status = await api.status(reason="InvalidSpec")
    assert status["message"].startswith("spec.jobResourceId must be a path")
    assert standing(status) == SHUT | {"AzureReachable": "Unknown"}
    assert sim.requests == ()
    api.edit(jobResourceId=vault.set_job(JOB_NAME, job_payload()), graceSeconds=1)
    await api.status(phase="Succeeded", observedGeneration=2)


async def test_a_missing_job_fails_after_the_grace_period(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """If graceSeconds is 0, three polls in a row that find no job fail the watch."""
    api.create({"jobResourceId": vault.job_id(JOB_NAME), "graceSeconds": 0, "pollInterval": "10s"})
    await api.status(phase="Pending", reason="JobNotVisible")
    await operator.poll(sim, 2)
    status = await api.status(phase="Failed", reason="JobNotFound")
    assert (standing(status)["Stalled"], len(sim.requests)) == ("True", 3)


async def test_a_late_job_is_waited_for(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A watch is Pending until Azure shows its job."""
    api.create({"jobResourceId": vault.add_job(jobs.LATE), "pollInterval": "10s"})
    status = await api.status(phase="Pending", reason="JobNotVisible")
    assert "troubleSince" in status
    sim.clock.advance(46)
    await operator.poll(sim)
    assert "troubleSince" not in await api.status(phase="Running")


async def test_the_deadline_fails_a_watch_without_responses(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """The deadline fails the watch in time, even while requests fail and back off."""
    sim.faults.add(Fault.server_error(status=503), times=None)
    api.create({"jobResourceId": vault.job_id(JOB_NAME), "activeDeadlineSeconds": 10, "pollInterval": "10s"})
    status = await api.status(reason="AzureUnavailable")
    assert condition(status, "AzureReachable")["status"] == "False"  # type: ignore[index]
    await operator.advance_to("Failed", api)
    assert (await api.status())["reason"] == "DeadlineExceeded"


async def test_an_outage_of_azure_ends_for_all_watches(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator, going: str
) -> None:
    """The phase does not change during an outage of Azure. Afterwards the operator sees the end of the job."""
    api.create({"jobResourceId": going, "pollInterval": "10s"})
    await api.status(phase="Running")
    sim.faults.add(Fault.reset(), times=None)
    asked = len(sim.requests)
    await operator.advance_until(lambda: len(sim.requests) > asked + 4)
    assert (await api.status(reason="AzureUnavailable"))["phase"] == "Running"
    sim.faults.clear()
    vault.set_job(OTHER_JOB_NAME, job_payload())
    await operator.advance_to("Succeeded", api)


async def test_throttling_pauses_a_subscription_and_keeps_phases(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A 429 keeps the phase and pauses requests for Retry-After. A watch that was never polled is not written."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "10s"})
    await api.status(phase="Running")
    sim.faults.add(Fault.throttled(retry_after=300))
    await operator.poll(sim)
    status = await api.status(phase="Running", reason="Throttled")
    assert standing(status)["Ready"] == "Unknown"
    asked = len(sim.requests)
    api.create({"jobResourceId": vault.set_job(OTHER_JOB_NAME, job_payload())}, "other")
    await operator.pass_time(20, 5)
    assert len(sim.requests) == asked
    assert "phase" not in api.get("other")["status"]
    await operator.advance_until(lambda: api.get("other")["status"].get("phase") == "Succeeded")
    await api.status(phase="Running", reason="JobInProgress")


async def test_tokens_and_signatures_are_redacted(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Tokens and signatures in Azure's responses never reach a status or an Event. Both contain the canary."""
    signed = f"https://stharbour.blob.core.windows.net/vhds/d.vhd?sv=2022-11-02&sr=b&sig={WORD}%3D"
    refusal = json.dumps({"error": {"code": "Bad", "message": f"No {signed}"}})
    echo = [Fault.answer(status=400, body=refusal, official=True), Fault.answer(status=403, body=signed)]
    for fault in (Fault.forbidden(), Fault.unauthorized(), Fault.unauthorized(), Fault.reset(), *echo):
        sim.faults.add(fault)
    error = {"errorCode": 1, "errorTitle": signed, "errorString": signed, "recommendations": [signed]}
    details = {"tasksList": [{"taskId": signed}], "propertyBag": {"Target": signed}, "dynamicErrorMessage": signed}
    job = job_payload(status="Failed", entityFriendlyName=signed, errorDetails=[error], extendedInfo=details)
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job), "pollInterval": "10s"})
    await operator.advance_to("Failed", api)
    assert len(sim.requests) == 7
    for told in (api.get()["status"], api.events(), api.writes()[:-1]):
        assert "d.vhd?[…]" in str(told)
