"""The operator when ``spec.latest`` identifies a database: Azure names its host only when the job ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo.simulator import Job, State
from tests.functional.controller.test_operator_latest import LIST
from tests.support.azure import IN_VAULT
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, THIRD_JOB_NAME, at

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

PAST = "0a0a0a0a-8e2a-4b60-9d45-61f2a8b3c70{}"
DAY = 24 * 60


def backup(
    vault: Vault,
    name: str,
    minutes: float,
    host: str,
    *,
    item: str = "msdb",
    kind: str = "Full",
    ends: float = 600.0,
    status: str = "Completed",
) -> None:
    """Add a database backup that started this many minutes from now and ends after *ends* simulated seconds."""
    vault.add_job(
        Job(
            name=name,
            start_time=at(minutes),
            properties={
                "jobType": "AzureWorkloadJob",
                "backupManagementType": "AzureWorkload",
                "entityFriendlyName": item,
                "operation": "Backup",
            },
            timeline=(
                State(status="InProgress"),
                State(
                    status=status,
                    after=ends,
                    ended=True,
                    properties={"entityFriendlyName": f"{item} [{host}]", "operation": f"Backup ({kind})"},
                ),
            ),
        )
    )


def spec(**latest: Any) -> dict[str, Any]:
    return {"latest": {"item": "msdb", "startedAfter": at(-10), **latest}, "vault": IN_VAULT, "pollInterval": "10s"}


async def test_two_servers_have_the_database(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """The job of another server never opens the gate. The watch waits, and reports both hosts when they are known."""
    backup(vault, OTHER_JOB_NAME, -5, "sql-2", ends=600)
    backup(vault, JOB_NAME, -4, "sql-1", ends=900)
    api.create(spec())
    status = await api.status(phase="Pending", reason="WaitingForJob")
    assert "names its host" in status["message"]
    assert "jobs" not in status
    assert status["searchedUntil"] < at(-4)  # no later than the start of the first job
    sim.clock.advance(700)
    await operator.poll(sim, 4)  # two lists each time
    assert "jobs" not in await api.status(phase="Pending", reason="WaitingForJob")
    sim.clock.advance(300)
    await operator.advance_until(lambda: api.get()["status"]["reason"] == "AmbiguousItem")
    status = await api.status()
    assert "sql-1, sql-2" in status["message"]
    assert "jobs" not in status


async def test_the_host_is_the_container(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """With a host as container, the job resolves when it ends. An earlier job of another server does not count."""
    backup(vault, OTHER_JOB_NAME, -5, "sql-2", ends=600)
    backup(vault, JOB_NAME, -4, "SQL-1", ends=900, status="Failed")
    api.create(spec(container="sql-1"))
    await api.status(phase="Pending", reason="WaitingForJob")
    sim.clock.advance(700)
    await operator.poll(sim, 4)
    status = await api.status(phase="Pending", reason="WaitingForJob")
    assert "jobs" not in status
    sim.clock.advance(300)
    await operator.advance_to("Failed", api)
    assert (await api.status())["job"]["name"] == JOB_NAME


async def test_several_hosts_in_the_history(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """Hosts of jobs from weeks ago make an item ambiguous until the spec names one."""
    backup(vault, PAST.format(1), -20 * DAY, "sql-1", ends=1)
    backup(vault, PAST.format(2), -15 * DAY, "sql-2", ends=1)
    sim.clock.advance(2)
    backup(vault, JOB_NAME, -4, "sql-1")
    api.create(spec())
    status = await api.status(phase="Pending", reason="AmbiguousItem")
    assert "sql-1, sql-2" in status["message"]
    assert "spec.latest.container" in status["message"]
    assert "jobs" not in status
    sim.clock.advance(700)
    api.edit(latest={**api.get()["spec"]["latest"], "container": "sql-1"})
    await operator.advance_to("Succeeded", api)
    assert (await api.status())["job"]["entityFriendlyName"] == "msdb [sql-1]"


async def test_one_host_in_the_history(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """If all ended jobs name one host, the running job resolves immediately. Its new name changes nothing later."""
    backup(vault, PAST.format(1), -20 * DAY, "saphana-1", item="systemdb", ends=1)
    sim.clock.advance(2)
    backup(vault, JOB_NAME, -4, "saphana-1", item="systemdb")
    api.create(spec(item="SYSTEMDB"))
    status = await api.status(phase="Running", reason="JobInProgress")
    assert [job["name"] for job in status["jobs"]] == [JOB_NAME]
    listed = len(sim.requests_to(LIST))
    assert {request.query["$filter"].startswith("backupManagementType eq 'AzureWorkload'") for request in
            sim.requests_to(LIST)} == {True, False}  # fmt: skip
    backup(vault, OTHER_JOB_NAME, -6, "saphana-2", item="systemdb", ends=1)
    sim.clock.advance(700)
    await operator.advance_to("Succeeded", api)
    status = await api.status()
    assert status["job"]["name"] == JOB_NAME
    assert status["job"]["entityFriendlyName"] == "systemdb [saphana-1]"
    assert len(sim.requests_to(LIST)) == listed


async def test_a_log_backup_is_not_a_backup(
    api: KubernetesApi, sim: AzureSimulator, vault: Vault, operator: Operator
) -> None:
    """The default operation skips log backups, even if Azure names the type only when the job ends."""
    backup(vault, PAST.format(1), -60, "sql-1", kind="Log", ends=1)
    sim.clock.advance(2)
    backup(vault, OTHER_JOB_NAME, -5, "sql-1", kind="Log", ends=60)
    api.create(spec())
    api.create(spec(operation="Backup (Log)"), "log")
    await api.status(phase="Pending", reason="WaitingForJob")
    sim.clock.advance(100)
    await operator.advance_to("Succeeded", api, "log")
    assert (await api.status("log"))["job"]["name"] == OTHER_JOB_NAME
    backup(vault, THIRD_JOB_NAME, -3, "sql-1", kind="Full", ends=60, status="Failed")
    await operator.poll(sim, 4)
    assert "jobs" not in await api.status(phase="Pending", reason="WaitingForJob")
    sim.clock.advance(100)
    await operator.advance_to("Failed", api)
    assert (await api.status())["job"]["name"] == THIRD_JOB_NAME
