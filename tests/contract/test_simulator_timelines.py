"""Simulated jobs follow the simulator's clock, pass through Azure's statuses, and end as documented."""

import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.simulator import AzureSimulator, Job, SimulatedClock, State, Vault, formats, jobs
from tests.contract.simulator_client import Get
from tests.support import azure

PAGE: Final = """{
  "id": "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/Default-RecoveryServices-ResourceGroup-centralindia/providers/microsoft.recoveryservices/vaults/abdemovault/backupJobs/7ddead57-bcb9-4269-ac31-6a1b57588700",
  "name": "7ddead57-bcb9-4269-ac31-6a1b57588700",
  "type": "Microsoft.RecoveryServices/vaults/backupJobs",
  "properties": {
    "jobType": "AzureIaaSVMJob",
    "duration": "00:20:23.0896697",
    "actionsInfo": [
      1
    ],
    "virtualMachineVersion": "Compute",
    "extendedInfo": {
      "tasksList": [
        {
          "taskId": "Take Snapshot",
          "duration": "00:00:00",
          "status": "Completed"
        },
        {
          "taskId": "Transfer data to vault",
          "duration": "00:00:00",
          "status": "Completed"
        }
      ],
      "propertyBag": {
        "VM Name": "uttestvmub1",
        "Backup Size": "2332 MB"
      }
    },
    "entityFriendlyName": "uttestvmub1",
    "backupManagementType": "AzureIaasVM",
    "operation": "Backup",
    "status": "Completed",
    "startTime": "2018-05-21T08:35:40.9488967Z",
    "endTime": "2018-05-21T08:56:04.0385664Z",
    "activityId": "7df8e874-1d66-4f81-8e91-da2fe054811d"
  }
}"""
"""The example of Azure's documentation page."""


def test_documented_job_ends_as_documented(sim: AzureSimulator, get: Get) -> None:
    """The documented job starts InProgress, grows, and ends with the page's bytes except white space."""
    path = json.loads(PAGE)["id"]
    jobs.add_demo_jobs(sim)
    seen = []
    for seconds in (0, 100.5, 200, 922, 0.5896697, 1000):
        sim.clock.advance(seconds)
        job = get(path).json()["properties"]
        seen.append(
            (job["status"], job["duration"], "".join(task["status"][0] for task in _tasks(job)), "endTime" in job)
        )
    assert seen == [
        ("InProgress", "00:00:00", "IN", False),
        ("InProgress", "00:01:40.5000000", "IN", False),
        ("InProgress", "00:05:00.5000000", "CI", False),
        ("InProgress", "00:20:22.5000000", "CI", False),
        ("Completed", "00:20:23.0896697", "CC", True),
        ("Completed", "00:20:23.0896697", "CC", True),
    ]
    assert get(path).text == json.dumps(json.loads(PAGE), separators=(",", ":"))


def _tasks(job: dict[str, Any]) -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = job["extendedInfo"]["tasksList"]
    return tasks


def test_restore_progresses(sim: AzureSimulator, get: Get) -> None:
    """A running restore shows its progress, and a finished one has no estimate."""
    path = jobs.add_demo_jobs(sim).job_id(jobs.RESTORE.name)
    sim.clock.advance(390)
    job = get(path).json()["properties"]
    (task,) = _tasks(job)
    assert (job["status"], job["duration"], job["startTime"]) == ("InProgress", "PT6M30S", "2026-03-04T01:00:00Z")
    assert (job["extendedInfo"]["progressPercentage"], job["extendedInfo"]["estimatedRemainingDuration"]) == (
        25,
        "00:18:30",
    )
    assert (task["taskExecutionDetails"], task["endTime"]) == ("6.2 GBs / 24.8 GBs Transferred", "0001-01-01T00:00:00")
    sim.clock.advance(2000)
    job = get(path).json()["properties"]
    (task,) = _tasks(job)
    assert (job["status"], job["duration"], job["endTime"]) == ("Completed", "PT25M10.5S", "2026-03-04T01:25:10.5Z")
    assert "estimatedRemainingDuration" not in job["extendedInfo"]
    assert (task["status"], task["progressPercentage"], task["endTime"]) == ("Completed", 100, "2026-03-04T01:25:00Z")


@pytest.mark.parametrize(
    ("job", "statuses"),
    [
        (jobs.FAILED, ["InProgress", "Failed"]),
        (jobs.COMPLETED_WITH_WARNINGS, ["InProgress", "CompletedWithWarnings"]),
        (jobs.SQL_FULL_BACKUP, ["InProgress", "Completed"]),
        (jobs.CANCELLED, ["InProgress", "Cancelling", "Cancelled"]),
        (jobs.LATE, [404, "InProgress", "Completed"]),
        (jobs.UNKNOWN, ["WaitingForTape", "Completed"]),
    ],
    ids=lambda value: value.properties["entityFriendlyName"] if isinstance(value, Job) else None,
)
def test_demo_jobs_live(sim: AzureSimulator, get: Get, job: Job, statuses: list[str | int]) -> None:
    """Each demo job passes through its statuses and stays in the last one."""
    path = jobs.add_demo_jobs(sim).job_id(job.name)
    seen: list[str | int] = []
    for _ in range(160):
        answer = get(path)
        status = answer.json()["properties"]["status"] if answer.status_code == 200 else answer.status_code
        seen += [status] if seen[-1:] != [status] else []
        sim.clock.advance(15)
    assert seen == statuses


def test_a_database_gets_its_host_at_the_end(sim: AzureSimulator, get: Get) -> None:
    """Item, operation and workload type change when a database job ends, as in recorded responses."""
    path = jobs.add_demo_jobs(sim).job_id(jobs.SQL_FULL_BACKUP.name)

    def shown() -> list[str | None]:
        properties = get(path).json()["properties"]
        return [properties[name] for name in ("entityFriendlyName", "operation", "workloadType")]

    assert shown() == ["ledger", "Backup", None]
    sim.clock.advance(200)
    assert shown() == ["ledger [vm-harbour-sql]", "Backup (Full)", "SQLDataBase"]


def test_failed_job_has_error_fields(sim: AzureSimulator, get: Get) -> None:
    """A failed job has the fields of a failed payload, with the same types."""
    path = jobs.add_demo_jobs(sim).job_id(jobs.FAILED.name)
    sim.clock.advance(1000)
    job, payload = get(path).json()["properties"], azure.payload("job-iaasvm-failed")["properties"]
    assert set(job) == set(payload)
    assert [[*map(type, error.values())] for error in job["errorDetails"]] == [
        [*map(type, error.values())] for error in payload["errorDetails"]
    ]
    assert job["duration"] == payload["duration"]


def test_jobs_can_start_with_their_first_get(sim: AzureSimulator, get: Get, vault: Vault) -> None:
    """A job can start with its first GET, and tests can restart it."""
    job = Job(name="j", timeline=(State(status="InProgress"), State(status="Completed", after=60, ended=True)))
    path = vault.add_job(job, starts="when asked")
    sim.clock.advance(1000)
    assert get(path).json()["properties"]["status"] == "InProgress"
    sim.clock.advance(60)
    assert get(path).json()["properties"]["status"] == "Completed"
    vault.restart_job("j")
    assert get(path).json()["properties"]["status"] == "InProgress"


@pytest.mark.parametrize("moments", [(), (1.0,), (0.0, 2.0, 1.0)])
def test_timelines_have_increasing_times(moments: tuple[float, ...]) -> None:
    """A timeline without a start, or with decreasing times, raises an error."""
    with pytest.raises(ValueError, match="timeline of job j"):
        Job(name="j", timeline=tuple(State(status="InProgress", after=after) for after in moments))


def test_speeds_up() -> None:
    """A job follows a clock with an adjustable speed."""
    start = datetime(2026, 3, 4, tzinfo=UTC)
    clock = SimulatedClock(speed=0, start=start)
    job = Job(name="j", timeline=(State(status="InProgress"), State(status="Completed", after=20)))
    vault = Vault(azure.SUBSCRIPTION_ID, "g", "v", clock=clock)
    vault.add_job(job)

    def status() -> str:
        resource = vault.find_job("j")
        assert resource is not None
        return str(resource["properties"]["status"])

    assert status() == "InProgress"
    clock.speed = 1000
    deadline = time.monotonic() + 60
    while status() != "Completed":
        assert time.monotonic() < deadline
    clock.speed = 0
    stopped = clock.now()
    assert stopped - start >= timedelta(seconds=20)
    assert clock.now() == stopped
    with pytest.raises(ValueError, match="one way"):
        clock.advance(-1)


@given(st.integers(min_value=0, max_value=10**14))
def test_formats_are_azures(ticks: int) -> None:
    """Times and durations keep every tick, trim zeros like Azure, and always have a valid format."""
    text = formats.timestamp(ticks)
    assert formats.parse_timestamp(text) == ticks
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,6}[1-9])?Z", text)
    assert re.fullmatch(
        r"P(?=.)(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d{0,6}[1-9])?S)?)?", formats.iso8601_duration(ticks)
    )
    assert re.fullmatch(r"(\d+\.)?\d\d:\d\d:\d\d(\.\d{7})?", formats.timespan(ticks))
