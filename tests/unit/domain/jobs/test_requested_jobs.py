"""Which job belongs to a request, and which running backup can be followed."""

from __future__ import annotations

from typing import Any

import pytest

from backupjobwatch.domain.jobs.data_protection import parse_job as parse_dp_job
from backupjobwatch.domain.jobs.requested_jobs import failed_by_conflict, find_requested, find_running
from tests.support.builders import JOB_NAME, OTHER_JOB_NAME, dp_job_payload, job, list_entry, running_job
from tests.support.on_demand import REQUEST_ID, VM, disk, vm


def test_requested() -> None:
    """Only a backup of the item with the request's ID as its activity ID belongs to the request."""
    ours = list_entry(activityId=REQUEST_ID.upper(), name=OTHER_JOB_NAME)

    assert find_requested([list_entry(), ours], request_id=REQUEST_ID, item_name=VM) == OTHER_JOB_NAME
    assert find_requested([list_entry()], request_id=REQUEST_ID, item_name=VM) is None
    assert find_requested([ours], request_id=REQUEST_ID, item_name="other") is None
    assert find_requested([ours], request_id=None, item_name=VM) is None


@pytest.mark.parametrize(
    "fields", [{"operation": "Restore"}, {"name": "no-guid"}, {"name": "", "id": ""}, {"activityId": ""}]
)
def test_not_requested(fields: dict[str, Any]) -> None:
    """A restore, a job without a name and a job without an activity ID do not belong to the request."""
    jobs = [list_entry(**{"activityId": REQUEST_ID, **fields})]

    assert find_requested(jobs, request_id=REQUEST_ID, item_name=VM) is None


def test_requested_database() -> None:
    """The job of a database that has ended also names its host, and the type of backup."""
    ours = list_entry(activityId=REQUEST_ID, entityFriendlyName="master [sql-1]", operation="Backup (Full)")

    assert find_requested([ours], request_id=REQUEST_ID, item_name="master") == JOB_NAME


def test_running() -> None:
    """The oldest running backup of the item is followed."""
    later = running_job(name=OTHER_JOB_NAME, startTime="2018-05-21T08:36:00Z")

    assert find_running([later, running_job()], vm(), [vm()]) == JOB_NAME
    assert find_running([], vm(), [vm()]) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "Completed"},
        {"status": "Cancelling"},
        {"status": "Odd"},
        {"operation": "Restore"},
        {"operation": "Backup (Log)"},
        {"entityFriendlyName": "other"},
        {"startTime": ""},
        {"name": "no-guid"},
        {"name": "", "id": ""},
        {"containerName": "iaasvmcontainerv2;other;uttestvmub1"},
    ],
)
def test_not_running(fields: dict[str, Any]) -> None:
    """Nothing but a running backup of the same item and type is followed."""
    assert find_running([running_job(**fields)], vm(), [vm()]) is None


def test_running_in_a_container() -> None:
    """If two items have the name, a job without a container may belong to either."""
    items = [vm(), vm(group="b")]

    assert find_running([running_job()], vm(), items) is None
    assert find_running([running_job(containerName="iaasvmcontainerv2;RG;uttestvmub1")], vm(), items) == JOB_NAME
    assert find_running([running_job(containerName="Container;iaasvmcontainerv2;rg;uttestvmub1")], vm(), items)


def test_running_instance() -> None:
    """Jobs of a Backup vault name their instance."""
    item = disk()
    fields = {"operation": "Backup", "status": "InProgress", "backupInstanceFriendlyName": item.name}
    running = parse_dp_job(dp_job_payload(**fields, backupInstanceId=item.id))
    other = parse_dp_job(dp_job_payload(**fields, backupInstanceId=disk("other").id))

    assert find_running([running], item, [item]) == (running.name or "").lower()
    assert find_running([other], item, [item]) is None


@pytest.mark.parametrize(
    ("error", "is_conflict"),
    [
        ({"errorCode": 400249}, True),
        ({"errorCode": 1, "errorTitle": "UserErrorBackupOperationInProgress"}, True),
        ({"errorCode": 400136, "errorTitle": "Gone"}, False),
    ],
)
def test_conflict(error: dict[str, Any], is_conflict: bool) -> None:  # noqa: FBT001
    """Azure reports a running backup as an error of the new job."""
    assert failed_by_conflict(job(status="Failed", errorDetails=[error])) is is_conflict
