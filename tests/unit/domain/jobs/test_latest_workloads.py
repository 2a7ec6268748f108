"""Finding the first job of a database. Azure reports its host and backup type only when the job ends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.jobs.findings import PinnedJob, Waiting
from backupjobwatch.domain.jobs.latest import find_latest, needs_history, with_history
from backupjobwatch.domain.jobs.latest_job import LatestJob
from backupjobwatch.domain.jobs.resource_ids import VaultId
from tests.support.builders import ABSENT, RESOURCE_GROUP, SUBSCRIPTION, VAULT, job

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job

AFTER = datetime(2026, 3, 4, 1, 0, 0, tzinfo=UTC)
VAULT_ID = VaultId(subscription_id=SUBSCRIPTION, resource_group=RESOURCE_GROUP, name=VAULT)
ONE, TWO, THREE, FOUR = (f"b0b00001-5e1f-4000-8000-00000000000{number}" for number in (1, 2, 3, 4))


def latest(**fields: Any) -> LatestJob:
    defaults = {"item": "msdb", "operation": "Backup", "container": None, "started_after": AFTER}
    return LatestJob(vault=VAULT_ID, **{**defaults, **fields})


def database(name: str, start: str, end: str | None, item: str, operation: str, **fields: Any) -> Job:
    """Return a workload job that started on 4 March or on the given day."""
    times = {
        field: f"2026-{time if '-' in time else f'03-04T{time}'}:00Z"
        for field, time in (("startTime", start), ("endTime", end))
        if time is not None
    }
    about = {"jobType": "AzureWorkloadJob", "backupManagementType": "AzureWorkload", "containerName": ABSENT}
    status = "InProgress" if end is None else "Completed"
    shown = {"entityFriendlyName": item, "operation": operation, "status": status, "endTime": ABSENT}
    return job(**{"name": name, **about, **shown, **times, **fields})


def running(name: str, start: str, item: str = "msdb", operation: str = "Backup") -> Job:
    return database(name, start, None, item, operation)


def ended(name: str, start: str, end: str, item: str = "msdb [sql-1]", operation: str = "Backup (Full)") -> Job:
    return database(name, start, end, item, operation)


def find(*jobs: Job, **fields: Any) -> str:
    """Return the name of the job that is found, or the reason for waiting."""
    found = find_latest(jobs, latest(**fields), created=AFTER)
    return found.name if isinstance(found, PinnedJob) else found.reason


WEEKS_AGO = ended(FOUR, "02-15T02:00", "02-15T02:10")
OTHER_HOST = ended(THREE, "02-12T02:00", "02-12T02:10", "msdb [sql-2]")
LOG = ended(THREE, "02-12T02:00", "02-12T02:10", operation="Backup (Log)")
NO_HOST = ended(THREE, "02-12T02:00", "02-12T02:10", "msdb", "ConfigureBackup")
NO_HOST_FULL = ended(THREE, "02-13T02:00", "02-13T02:10", "msdb")

UNTYPED = database(ONE, "02:00", None, "msdb", "Backup", jobType="AzureWorkloadJobV2", backupManagementType=ABSENT)

ANY_CONTAINER = [
    ("ended", [ended(ONE, "02:00", "02:10")], ONE),
    ("ended, item in another letter case", [ended(ONE, "02:00", "02:10", "MSDB [sql-1]")], ONE),
    ("running, no history", [running(ONE, "02:00")], "WaitingForJob"),
    ("running, of no management type", [UNTYPED], "WaitingForJob"),
    ("running, one host in the history", [running(ONE, "02:00"), WEEKS_AGO], ONE),
    ("running, two hosts in the history", [running(ONE, "02:00"), WEEKS_AGO, OTHER_HOST], "AmbiguousItem"),
    ("running, an ended job without a host", [running(ONE, "02:00"), WEEKS_AGO, NO_HOST], "WaitingForJob"),
    ("running, log backups in the history", [running(ONE, "02:00"), WEEKS_AGO, LOG], "WaitingForJob"),
    ("two running", [running(ONE, "02:00"), running(TWO, "02:01"), WEEKS_AGO], "WaitingForJob"),
    ("ended while another ran", [ended(ONE, "02:00", "02:10"), running(TWO, "02:05")], "WaitingForJob"),
    ("ended before another ran", [ended(ONE, "02:00", "02:10"), running(TWO, "02:15")], ONE),
    ("an earlier one runs", [ended(ONE, "02:05", "02:10"), running(TWO, "02:00")], "WaitingForJob"),
    ("two ended on two hosts", [ended(ONE, "02:00", "02:10"), ended(TWO, "02:05", "02:15", "msdb [h2]")], "AmbiguousItem"),
    ("ended, two hosts in the history", [ended(ONE, "02:00", "02:10"), OTHER_HOST], "AmbiguousItem"),
    ("a restore elsewhere", [ended(ONE, "02:00", "02:10"), ended(TWO, "02:00", "02:10", "msdb [h2]", "Restore (Full)")], "AmbiguousItem"),
    ("ended without a host", [ended(ONE, "02:00", "02:10", "msdb", "Backup (Full)")], ONE),
    ("ended, an ended job without a host in the history", [ended(ONE, "02:00", "02:10"), NO_HOST_FULL], ONE),
    ("ended, a later job without a host", [ended(ONE, "02:00", "02:10"), ended(TWO, "03:00", "03:10", "msdb")], ONE),
    ("ended, a job without a host meanwhile", [ended(ONE, "02:00", "02:10"), ended(TWO, "02:05", "02:15", "msdb")], "AmbiguousItem"),
    ("ended without a host, one host in the history", [ended(ONE, "02:00", "02:10", "msdb"), WEEKS_AGO], "AmbiguousItem"),
    ("ended at once without a host", [ended(ONE, "02:00", "02:00", "msdb"), WEEKS_AGO], "AmbiguousItem"),
    ("ended without a host, then with one", [ended(ONE, "02:00", "02:10", "msdb"), ended(TWO, "03:00", "03:10")], "AmbiguousItem"),
    ("only history, one without a host", [WEEKS_AGO, NO_HOST_FULL], "WaitingForJob"),
    ("running, a full backup without a host", [running(ONE, "02:00"), WEEKS_AGO, NO_HOST_FULL], "WaitingForJob"),
    ("two hosts and a job without", [ended(ONE, "02:00", "02:10"), OTHER_HOST, NO_HOST_FULL], "AmbiguousItem"),
    ("running with a host and a type", [running(ONE, "02:00", "msdb [sql-1]", "Backup (Full)")], ONE),
    ("running with a host", [running(ONE, "02:00", "msdb [sql-1]")], "WaitingForJob"),
    ("running with a host, with a history", [running(ONE, "02:00", "msdb [sql-1]"), WEEKS_AGO], ONE),
    ("another database", [ended(ONE, "02:00", "02:10", "msdb2 [sql-1]"), running(TWO, "02:00", "msdb2")], "WaitingForJob"),
    ("a host of another database", [ended(ONE, "02:00", "02:10"), ended(TWO, "02:00", "02:10", "model [sql-2]")], ONE),
    ("a log backup", [ended(ONE, "02:00", "02:10", operation="Backup (Log)")], "WaitingForJob"),
    ("a full backup after a log backup", [LOG, ended(ONE, "02:00", "02:10", operation="Backup (Log)"), ended(TWO, "03:00", "03:10")], TWO),
    ("too early", [running(ONE, "00:30"), WEEKS_AGO], "WaitingForJob"),
]  # fmt: skip


@pytest.mark.parametrize(("jobs", "found"), [row[1:] for row in ANY_CONTAINER], ids=[row[0] for row in ANY_CONTAINER])
def test_any_container(jobs: list[Job], found: str) -> None:
    """Without a container the job resolves only if no job of another host can match."""
    assert find(*jobs) == found
    assert find(*reversed(jobs)) == found


def test_only_containers_are_choices() -> None:
    """The message names only values that spec.latest.container can select."""
    without = find_latest([ended(ONE, "02:00", "02:10", "msdb"), WEEKS_AGO], latest(), created=AFTER)

    assert isinstance(without, Waiting)
    assert without.message.endswith("Set spec.latest.container to one of: sql-1.")


ONE_CONTAINER = [
    ("running", [running(ONE, "02:00"), WEEKS_AGO], "WaitingForJob"),
    ("ended", [ended(ONE, "02:00", "02:10")], ONE),
    ("ended, another host in the history", [ended(ONE, "02:00", "02:10"), OTHER_HOST], ONE),
    ("ended on another host", [ended(ONE, "02:00", "02:10", "msdb [sql-2]")], "WaitingForJob"),
    ("both", [ended(ONE, "02:00", "02:10", "msdb [sql-2]"), ended(TWO, "02:05", "02:15")], TWO),
    ("an earlier one runs", [running(ONE, "02:00"), ended(TWO, "02:05", "02:10")], TWO),
    ("ended without a host", [ended(ONE, "02:00", "02:10", "msdb", "Backup (Full)")], "WaitingForJob"),
    ("running with a host", [running(ONE, "02:00", "msdb [SQL-1]")], "WaitingForJob"),
    ("running with a host and a type", [running(ONE, "02:00", "msdb [SQL-1]", "Backup (Full)")], ONE),
]


@pytest.mark.parametrize(("jobs", "found"), [row[1:] for row in ONE_CONTAINER], ids=[row[0] for row in ONE_CONTAINER])
def test_one_container(jobs: list[Job], found: str) -> None:
    """The host is the container. A running job resolves when it ends."""
    assert find(*jobs, container="sql-1") == found
    assert find(*reversed(jobs), container="SQL-1") == found


def test_the_name_in_a_list() -> None:
    """The name of an ended job in a list identifies item and host."""
    jobs = (ended(ONE, "02:00", "02:10", "msdb [sql-2]"), ended(TWO, "02:05", "02:15"))

    assert find(*jobs, item="msdb [SQL-1]") == TWO
    assert find(*jobs, item="msdb [sql-1]", container="sql-1") == TWO
    assert find(jobs[0], item="msdb [sql-1]") == "WaitingForJob"


@pytest.mark.parametrize(
    ("operation", "jobs", "found"),
    [
        ("Backup (Log)", [running(ONE, "02:00"), WEEKS_AGO], "WaitingForJob"),
        ("Backup (Log)", [ended(ONE, "02:00", "02:10"), ended(TWO, "02:20", "02:21", operation="Backup (Log)")], TWO),
        ("Backup (Full)", [running(ONE, "02:00"), WEEKS_AGO], "WaitingForJob"),
        ("Restore", [running(ONE, "02:00", operation="Restore"), WEEKS_AGO], ONE),
        ("Restore", [running(ONE, "02:00", "msdb [sql-1]", "Restore")], ONE),
        ("Restore", [ended(ONE, "02:00", "02:10", operation="Restore (Invalid)")], ONE),
        ("Restore (Full)", [running(ONE, "02:00", "msdb [sql-1]", "Restore")], "WaitingForJob"),
    ],
)
def test_operations(operation: str, jobs: list[Job], found: str) -> None:
    """If Azure reports the backup type only at the end, the watch waits for the end."""
    assert find(*jobs, operation=operation) == found


def test_an_earlier_restore_with_a_container() -> None:
    """Two restores of a database may run at the same time, so the watch waits for the earlier one."""
    jobs = (running(ONE, "02:00", operation="Restore"), ended(TWO, "02:05", "02:10", operation="Restore (Full)"))

    assert find(*jobs, operation="Restore", container="sql-1") == "WaitingForJob"


def test_a_running_job_is_no_empty_list() -> None:
    """A list counts as searched only if none of its jobs can be the one in the spec."""
    for jobs, searched in (
        ([], True),
        ([LOG], True),
        ([running(ONE, "02:00")], False),
        ([WEEKS_AGO, OTHER_HOST], False),
    ):
        found = find_latest(jobs, latest(), created=AFTER)
        assert isinstance(found, Waiting)
        assert found.searched is searched


@pytest.mark.parametrize(
    ("jobs", "fields", "needed"),
    [
        ([running(ONE, "02:00")], {}, True),
        ([ended(ONE, "02:00", "02:10")], {}, True),
        ([ended(ONE, "02:00", "02:10")], {"container": "sql-1"}, False),
        ([ended(ONE, "00:30", "02:10")], {}, False),
        ([ended(ONE, "02:00", "02:10", operation="Restore (Full)")], {}, False),
        ([job(name=ONE, entityFriendlyName="msdb", startTime="2026-03-04T02:00:00Z")], {}, False),
        ([], {}, False),
    ],
)
def test_history(jobs: list[Job], fields: dict[str, Any], needed: bool) -> None:  # noqa: FBT001
    """Older jobs are needed if a database job is found and the spec names no host."""
    assert needs_history(jobs, latest(**fields), created=AFTER) is needed


def test_with_history() -> None:
    """If both lists have a job, the entry of the first list is used, because it is newer."""
    fresh, stale = ended(ONE, "02:00", "02:10"), running(ONE.upper(), "02:00")

    assert with_history([fresh], [stale, WEEKS_AGO]) == [fresh, WEEKS_AGO]
