"""The operator with ``spec.revision``: an edit closes the gate, and only a job of the new revision opens it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.azure import IN_VAULT
from tests.support.builders import (
    JOB_NAME,
    OTHER_JOB_NAME,
    THIRD_JOB_NAME,
    at,
    job_payload,
    running_payload,
    standing,
    watch_body,
)
from tests.support.kubernetes import NAME, NAMESPACE

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

LIST = "/backupJobs$"


def put(vault: Vault, name: str, minutes: float, *, ended: bool = True) -> None:
    """Set a backup of vm1 that started this many minutes from now."""
    make = job_payload if ended else running_payload
    vault.set_job(name, make(startTime=at(minutes), entityFriendlyName="vm1"))


def apply_earlier(api: KubernetesApi, **metadata: Any) -> None:
    """Apply a watch of the latest backup of vm1 with a revision, with a creation an hour ago."""
    spec = {"latest": {"item": "vm1"}, "vault": IN_VAULT, "revision": "v1", "pollInterval": "10s"}
    api.plant(watch_body(spec, namespace=NAMESPACE, name=NAME, creationTimestamp=at(-60), **metadata))


def assert_opened_only_for(api: KubernetesApi, jobs: dict[str, str]) -> None:
    """Verify that each status with an open gate is about the revision's own job."""
    opened = {
        status["revision"]: status["job"]["name"]
        for status in api.writes()
        if "True" in {standing(status).get(gate) for gate in ("Ready", "Complete", "Succeeded")}
    }
    assert opened == jobs


async def test_a_new_revision_polls_a_named_job_again(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """A watch that names its job closes, polls that job again, and ends the same way."""
    api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload()), "revision": "v1"})
    await api.status(phase="Succeeded", revision="v1")
    with sim.hold() as hold:
        api.edit(revision="v2")
        await hold.arrived()
        status = await api.status(observedGeneration=2)
        assert (status["phase"], status["revision"]) == ("Pending", "v2")
        assert standing(status)["Ready"] == "Unknown"
        assert not {"job", "completionTime"} & status.keys()
    await api.status(phase="Succeeded", revision="v2")
    assert len(sim.requests) == 2


async def test_the_job_of_the_last_revision_never_opens_the_gate(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """With ``latest``, a job that started before the edit does not count, although it started after the creation."""
    put(vault, JOB_NAME, -30)
    apply_earlier(api)
    await api.status(phase="Succeeded", revision="v1")
    put(vault, OTHER_JOB_NAME, -1)  # another backup before the edit
    api.edit(revision="v2")
    status = await api.status(phase="Pending", reason="WaitingForJob", revision="v2")
    assert standing(status)["Ready"] == "Unknown"
    assert "jobs" not in status
    await operator.poll(sim, 3)
    assert (await api.status())["targetEditTime"] == status["targetEditTime"]
    put(vault, THIRD_JOB_NAME, 1, ended=False)
    await operator.advance_to("Running", api)
    put(vault, THIRD_JOB_NAME, 1)
    await operator.advance_to("Succeeded", api)
    assert_opened_only_for(api, {"v1": JOB_NAME, "v2": THIRD_JOB_NAME})


async def test_an_edit_while_the_operator_was_down(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator
) -> None:
    """The search starts when the operator is back. A restart does not move the start."""
    put(vault, JOB_NAME, -30)
    async with start():
        apply_earlier(api)
        await api.status(phase="Succeeded", revision="v1")
    api.edit(revision="v2")
    put(vault, OTHER_JOB_NAME, -1)
    async with start():
        before = await api.status(phase="Pending", reason="WaitingForJob", revision="v2")
    put(vault, THIRD_JOB_NAME, 1)
    async with start() as operator:
        await operator.advance_to("Succeeded", api)
    assert (await api.status())["targetEditTime"] == before["targetEditTime"]
    assert_opened_only_for(api, {"v1": JOB_NAME, "v2": THIRD_JOB_NAME})


async def test_an_edit_before_the_first_status(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """The job may belong to a revision that the operator never saw, so only a later job counts."""
    put(vault, JOB_NAME, -30)
    apply_earlier(api, generation=2)
    status = await api.status(phase="Pending", reason="WaitingForJob", revision="v1")
    assert status["targetEditTime"] >= at(-1)
    put(vault, THIRD_JOB_NAME, 1)
    await operator.advance_to("Succeeded", api)
    assert_opened_only_for(api, {"v1": THIRD_JOB_NAME})


async def test_an_edit_during_a_list(api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator) -> None:
    """A list that was requested for the last revision does not open the gate for the next one."""
    put(vault, JOB_NAME, -30)
    with sim.hold(LIST) as hold:
        apply_earlier(api)
        await hold.arrived()
        api.edit(revision="v2")
        await api.status(observedGeneration=2, phase="Pending")
    status = await api.status(phase="Pending", reason="WaitingForJob", revision="v2")
    assert "jobs" not in status
    assert_opened_only_for(api, {})


async def test_a_suspended_edit(api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator) -> None:
    """The edit to a suspended watch counts: a job between the edit and the resumption belongs to the new revision."""
    put(vault, JOB_NAME, -30)
    apply_earlier(api)
    await api.status(phase="Succeeded", revision="v1")
    api.edit(revision="v2", suspend=True)
    status = await api.status(observedGeneration=2, reason="Suspended")
    assert (status["phase"], "watchStartTime" in status) == ("Pending", False)
    put(vault, THIRD_JOB_NAME, 1)
    api.edit(suspend=False)
    await operator.advance_to("Succeeded", api)
    assert_opened_only_for(api, {"v1": JOB_NAME, "v2": THIRD_JOB_NAME})
