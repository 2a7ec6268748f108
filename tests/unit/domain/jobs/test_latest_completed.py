"""Finding the job of ``completedWithin``: one that completed before the start of the watch, or the next one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.jobs.findings import PinnedJob, UnsupportedItem, Waiting
from backupjobwatch.domain.jobs.latest_completed import CLOCK_SKEW, find_completed_or_next
from backupjobwatch.domain.jobs.latest_job import LatestJob
from backupjobwatch.domain.jobs.resource_ids import VaultId
from tests.support.builders import (
    ABSENT,
    CANCELLED_AFTER_SNAPSHOT,
    RESOURCE_GROUP,
    SUBSCRIPTION,
    VAULT,
    job,
    list_entry,
)

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job

START = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)
NOW = START + timedelta(minutes=10)
VAULT_ID = VaultId(subscription_id=SUBSCRIPTION, resource_group=RESOURCE_GROUP, name=VAULT)
ONE, TWO, THREE = (f"b0b00001-5e1f-4000-8000-00000000000{number}" for number in (1, 2, 3))
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
WARNED: dict[str, Any] = {"status": "CompletedWithWarnings"}
RUNNING: dict[str, Any] = {"status": "InProgress", "endTime": ABSENT}

Found = PinnedJob | Waiting | UnsupportedItem | str


def fields_of(name: str, end: float, fields: dict[str, Any], hours: float = 1) -> dict[str, Any]:
    """Return a backup of vm1 that ended *end* hours after the start of the watch, and took *hours*."""
    times = {"startTime": START + (end - hours) * HOUR, "endTime": START + end * HOUR}
    texts = {field: time.isoformat() for field, time in times.items()}
    return {"name": name, "entityFriendlyName": "vm1", "containerName": "c1", **texts, **fields}


def entry(name: str, end: float, /, hours: float = 1, **fields: Any) -> Job:
    """Return the entry of a list."""
    return list_entry(**fields_of(name, end, fields, hours))


def latest(**fields: Any) -> LatestJob:
    defaults = {"item": "vm1", "operation": "Backup", "container": None, "started_after": None}
    return LatestJob(vault=VAULT_ID, **{**defaults, "completed_within": 24 * HOUR, **fields})


def find(
    *jobs: Job,
    now: datetime = NOW,
    warnings_succeed: bool = False,
    details: dict[str, Job] | None = None,
    **fields: Any,
) -> Found:
    """Return what is found. Without *details*, each job is as its entry shows it."""
    known = {(each.name or "").lower(): each for each in jobs} if details is None else details
    return find_completed_or_next(
        jobs, latest(**fields), start=START, now=now, warnings_succeed=warnings_succeed, details=known
    )


def name_of(found: Found) -> str | None:
    return found.name if isinstance(found, PinnedJob) else None


def is_waiting(found: Found) -> bool:
    return isinstance(found, Waiting) and found.reason == "WaitingForJob" and found.searched


def test_completed_in_time() -> None:
    """A job that completed in time is found, and the note says when it ended."""
    assert find(entry(ONE, -2)) == PinnedJob(
        name=ONE,
        note="It ended at 2026-03-04T10:00:00Z, within 24h0m0s (spec.latest.completedWithin) before the watch started.",
    )


def test_no_job() -> None:
    """Without such a job the watch waits, and the message has the time that was searched."""
    assert find() == Waiting(
        reason="WaitingForJob",
        message="No Backup of vm1 completed within 24h0m0s before 2026-03-04T12:00:00Z. The watch waits for the next one.",
        searched=True,
    )


def test_bounds_of_the_time() -> None:
    """Azure's ``endTime`` decides. The earliest time counts, and nothing before it."""
    for end in (START - 24 * HOUR, START - SECOND, START):
        assert name_of(find(entry(ONE, -23, endTime=end.isoformat()))) == ONE
    assert name_of(find(entry(ONE, -23.5, hours=70))) == ONE
    early = START - 24 * HOUR - timedelta(microseconds=1)
    assert is_waiting(find(entry(ONE, -23, endTime=early.isoformat())))


@pytest.mark.parametrize(
    "fields",
    [
        {"entityFriendlyName": "vm10"},
        {"operation": "Restore"},
        {"operation": "Backup (Log)"},
        {"operation": ABSENT},
        {"status": "Failed"},
        {"status": "Cancelled"},
        {"status": "Sealed"},
        {"status": ABSENT},
        WARNED,
        {"errorDetails": [{"errorCode": 400158}]},
        {"endTime": ABSENT},
        {"endTime": "0001-01-01T00:00:00Z"},
        {"endTime": "soon"},
        {"startTime": ABSENT},
        {"name": "", "id": ""},
    ],
    ids=str,
)
def test_jobs_that_never_open_the_gate(fields: dict[str, Any]) -> None:
    """Jobs of another item or operation, without success, without an end or without a name are skipped."""
    assert is_waiting(find(entry(ONE, -2, **fields)))
    assert name_of(find(entry(ONE, -2, **fields), entry(TWO, -3))) == TWO


def test_last_of_several() -> None:
    """Of several jobs the one that ended last is found, in any order of the list."""
    jobs = (entry(TWO, -5), entry(ONE, -2), entry(THREE, -2))

    assert name_of(find(*jobs)) == name_of(find(*jobs[::-1])) == THREE


@pytest.mark.parametrize("status", ["Failed", "Cancelled", "CompletedWithWarnings"])
def test_a_newer_job_that_failed(status: str) -> None:
    """A newer job without success does not close the gate. The note names the newest of them."""
    found = find(entry(ONE, -5), entry(TWO, -3, status="Failed"), entry(THREE, -1, status=status))

    assert isinstance(found, PinnedJob)
    assert found.name == ONE
    assert found.note.endswith(
        " A newer job did not succeed: Backup of vm1, started at 2026-03-04T10:00:00Z, ended as "
        f"{status} (job {THREE})."
    )


def test_an_older_job_that_failed() -> None:
    """A job that failed before the one that completed is not mentioned."""
    assert find(entry(ONE, -5, status="Failed"), entry(TWO, -3)) == find(entry(TWO, -3))


def test_warnings_that_are_accepted() -> None:
    """With ``completedWithWarnings: Succeeded``, a job with warnings counts."""
    assert name_of(find(entry(ONE, -2, **WARNED), warnings_succeed=True)) == ONE


def test_details() -> None:
    """A job must be read with a GET first, because the list hides some cancelled jobs."""
    jobs = (entry(ONE, -5), entry(TWO, -2, **WARNED))
    cancelled = job(**fields_of(TWO, -2, dict(CANCELLED_AFTER_SNAPSHOT)))
    completed = job(**fields_of(ONE, -5, {}))

    assert find(*jobs, warnings_succeed=True, details={}) == TWO
    assert find(*jobs, warnings_succeed=True, details={TWO: cancelled}) == ONE
    found = find(*jobs, warnings_succeed=True, details={TWO: cancelled, ONE: completed})
    assert isinstance(found, PinnedJob)
    assert found.name == ONE
    assert "ended as Cancelled" in found.note


@pytest.mark.parametrize("fields", [{"endTime": "2026-03-03T10:00:00Z"}, {"operation": "Backup (Log)"}, RUNNING])
def test_details_that_differ(fields: dict[str, Any]) -> None:
    """If the GET and the list differ, the GET decides."""
    assert is_waiting(find(entry(ONE, -2, hours=100), details={ONE: job(**fields_of(ONE, -2, fields, 100))}))


def test_names_in_another_letter_case() -> None:
    """Letter case does not matter for the names of jobs, the item and the container."""
    found = find(entry(ONE.upper(), -2), item="VM1", container="C1")

    assert name_of(found) == ONE


@pytest.mark.parametrize("hours", [0.5, 71])
def test_running_at_the_start(hours: float) -> None:
    """Without a job that completed in time, one that was running at the start is followed, also after its end."""
    running = entry(ONE, 0, hours=hours, **RUNNING)

    assert name_of(find(running)) == ONE
    for status in ("Completed", "Failed"):
        ended = entry(ONE, 0.1, hours=hours + 0.1, status=status)
        assert find(ended, details={}) == find(running) == PinnedJob(name=ONE)


@pytest.mark.parametrize(
    "fields",
    [{"status": "Sealed", "endTime": "2026-03-04T11:00:00Z"}, {"endTime": ABSENT, "status": "Failed"}],
    ids=str,
)
def test_not_running_at_the_start(fields: dict[str, Any]) -> None:
    """A job that had ended at the start, or may have, is not the next one."""
    assert is_waiting(find(entry(ONE, -1, **fields)))
    assert is_waiting(find(entry(ONE, 0, status="Failed")))


def test_stuck_jobs() -> None:
    """A job that has been running for more than three days is not waited for."""
    assert is_waiting(find(entry(ONE, 0, hours=72, **RUNNING)))


def test_next_job() -> None:
    """Of the jobs that were running at the start or started after it, the first one is followed."""
    running, later = entry(TWO, 0, **RUNNING), entry(ONE, 0.2, hours=0.1)

    assert name_of(find(later, running)) == name_of(find(running, later)) == TWO
    assert name_of(find(later)) == ONE


def test_a_completed_job_is_preferred() -> None:
    """A job that completed in time opens the gate, whatever runs or failed later."""
    running, failed = entry(TWO, 0, **RUNNING), entry(THREE, 0.1, status="Failed")

    assert name_of(find(entry(ONE, -2), running, failed)) == ONE
    assert find(entry(ONE, -2), running) == find(entry(ONE, -2))


@pytest.mark.parametrize(
    ("ahead", "is_found"), [(CLOCK_SKEW, True), (CLOCK_SKEW + SECOND, False), (timedelta(days=400), False)]
)
def test_ends_in_the_future(ahead: timedelta, is_found: bool) -> None:  # noqa: FBT001
    """An end in the future shows a wrong clock, so it says nothing about when an ended job ended."""
    found = find(entry(ONE, -1, endTime=(NOW + ahead).isoformat()))

    assert (name_of(found) == ONE) is is_found
    running = entry(ONE, -1, status="InProgress", endTime=(NOW + ahead).isoformat())
    assert name_of(find(running)) == ONE


def test_a_start_in_the_future() -> None:
    """If the API server's clock is ahead, an end in the future does not count either."""
    now = START - HOUR

    assert is_waiting(find(entry(ONE, -0.5), now=now))
    assert name_of(find(entry(ONE, -1), now=now)) == ONE


def test_the_verdict_does_not_change_with_time() -> None:
    """Later polls find the same job."""
    jobs = (entry(ONE, -23.9), entry(TWO, 0.1, hours=0.2))
    for hours in (0, 1, 24, 2400):
        assert name_of(find(*jobs, now=NOW + hours * HOUR)) == ONE


def test_containers() -> None:
    """A job of another container never counts. Without a container in the spec, several are ambiguous."""
    other = entry(TWO, -1, containerName="c2")

    assert name_of(find(entry(ONE, -2), other, container="c1")) == ONE
    assert is_waiting(find(other, container="c1"))
    ambiguous = find(entry(ONE, -2), other)
    assert isinstance(ambiguous, Waiting)
    assert ambiguous.reason == "AmbiguousItem"


DATABASE: dict[str, Any] = {
    "backupManagementType": "AzureWorkload",
    "containerName": ABSENT,
    "operation": "Backup (Full)",
}


@pytest.mark.parametrize(
    "fields",
    [
        {"entityFriendlyName": "vm1 [host-1]"},
        {"entityFriendlyName": "VM1 [host-1]", "operation": "Backup (Log)"},
        {"entityFriendlyName": "vm1", **RUNNING},
        {"entityFriendlyName": "vm1", "status": "Failed"},
    ],
    ids=str,
)
def test_databases_are_refused(fields: dict[str, Any]) -> None:
    """If the item is a database, or a database has its name, the spec is refused: its backups may not be listed."""
    found = find(entry(ONE, -2), entry(TWO, -1, **{**DATABASE, **fields}))

    assert isinstance(found, UnsupportedItem)
    assert "spec.latest.completedWithin cannot be judged" in found.message


def test_databases_of_other_hosts() -> None:
    """With a container in the spec, only databases in it are refused. A running job may belong to any host."""
    ended = entry(TWO, -1, entityFriendlyName="vm1 [host-1]", **DATABASE)
    running = entry(THREE, 0, **{**DATABASE, **RUNNING})

    assert isinstance(find(ended, container="host-1"), UnsupportedItem)
    assert name_of(find(entry(ONE, -2), ended, running, container="c1")) == ONE
    assert isinstance(find(running, container="c1"), Waiting)
