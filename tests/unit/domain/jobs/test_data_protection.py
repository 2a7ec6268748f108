"""Parsing jobs of Backup vaults."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backupjobwatch.domain.jobs.data_protection import parse_job
from backupjobwatch.domain.jobs.job import Job, JobError, Outcome, RecoveryPoint, Task
from tests.support.azure import payload, payload_names
from tests.support.builders import dp_job_payload

SINGLE = list(payload_names("dp-job-"))
LISTED: list[dict[str, Any]] = payload("dp-list-page1-nextlink")["value"]
WRONG_TYPES: list[Any] = [
    None, [], {}, [[]], {"a": {}}, ["Completed"], 5, -1.5, True, "", " ", "\u0000", float("nan"), 10**300,
]  # fmt: skip
FIELDS = sorted(payload("dp-job-aks-failed")["properties"])
EXTENDED = (
    "subTasks", "warningDetails", "additionalDetails", "dataTransferredInBytes", "sourceRecoverPoint",
    "targetRecoverPoint", "recoveryDestination", "backupInstanceState",
)  # fmt: skip


def job(**overrides: Any) -> Job:
    return parse_job(dp_job_payload(**overrides))


def extended(**fields: Any) -> Job:
    return job(extendedInfo=fields)


def test_failed() -> None:
    """Every field of a failed job is parsed."""
    given = payload("dp-job-aks-failed")
    said = given["properties"]

    assert parse_job(given) == Job(
        resource_id=given["id"],
        name=given["name"],
        job_type="Microsoft.ContainerService/managedClusters",
        status="Failed",
        operation="Backup",
        backup_management_type=None,
        workload_type=None,
        entity_friendly_name="aks-harbour/daily",
        activity_id=said["activityID"],
        start_time=datetime(2026, 3, 4, 12, 0, 4, 386757, tzinfo=UTC),
        end_time=datetime(2026, 3, 4, 12, 5, tzinfo=UTC),
        duration=timedelta(minutes=4, seconds=55, microseconds=613242),
        cancellable=False,
        user_triggered=True,
        progress_percent=None,
        estimated_remaining=None,
        dynamic_error_message=None,
        tasks=(
            Task(
                task_id="Trigger Backup",
                status="Failed",
                start_time=None,
                end_time=None,
                duration=None,
                progress_percent=None,
            ),
        ),
        properties={},
        errors=(
            JobError(
                code="UserErrorKubernetesBackupExtensionNotFoundError",
                title=None,
                message="The cluster has no backup extension.",
                recommendations=("Install the backup extension in the cluster.",),
                target=None,
                cause="ExtensionNotFound: No extension of that type was found.",
                retryable=False,
            ),
        ),
        aliases=("aks-harbour",),
        data_source_id=said["dataSourceId"],
        policy_name=said["policyName"],
        operation_category="Backup",
        container=said["backupInstanceId"].rsplit("/", 1)[-1],
        truncated=(),
    )
    assert parse_job(given).vault == "bv-harbour"


@pytest.mark.parametrize("given", [*map(payload, SINGLE), *LISTED], ids=lambda given: given["name"])
def test_every_payload(given: dict[str, Any]) -> None:
    """Azure's text is kept unchanged, nulls count as absent, and both duration formats are parsed."""
    read, said = parse_job(given), given["properties"]

    assert (read.resource_id, read.name, read.vault) == (given["id"], given["name"], "bv-harbour")
    assert (read.status, read.operation) == (said["status"], said["operation"])
    assert read.outcome is not Outcome.UNKNOWN
    assert (read.end_time is None) is (said["endTime"] is None)
    assert read.duration is not None
    assert not read.truncated


def test_restore() -> None:
    """A restore has the recovery point that it reads. Its ISO 8601 duration is parsed."""
    read = parse_job(payload("dp-job-restore-completed-iso"))

    assert read.source_recovery_point == RecoveryPoint(
        id="4be1c9d2000000000000000000000001", time=datetime(2026, 3, 3, 22, 0, 49, 572976, tzinfo=UTC)
    )
    assert read.target_recovery_point is None
    assert read.duration == timedelta(minutes=2, seconds=17, microseconds=322576)
    assert read.outcome is Outcome.COMPLETED


def test_running() -> None:
    """A running job has no end time. Explicit nulls count as absent."""
    read = parse_job(payload("dp-job-aks-inprogress"))

    assert (read.end_time, read.errors, read.warnings, read.properties) == (None, (), (), {})
    assert (read.ended, read.duration) == (False, timedelta())
    assert [(task.task_id, task.status, task.progress_percent) for task in read.tasks] == [
        ("Trigger Backup", "InProgress", None)
    ]


@pytest.mark.parametrize(
    ("written", "outcome"),
    [
        ("Inprogress", Outcome.IN_PROGRESS),
        ("Started", Outcome.IN_PROGRESS),
        ("Canceling", Outcome.CANCELLING),
        ("Canceled", Outcome.CANCELLED),
        ("Success", Outcome.COMPLETED),
        ("SuccessWithWarning", Outcome.COMPLETED_WITH_WARNINGS),
        ("COMPLETED", Outcome.COMPLETED),
        ("completedWithWarnings", Outcome.COMPLETED_WITH_WARNINGS),
        ("Paused", Outcome.UNKNOWN),
    ],
)
def test_statuses(written: str, outcome: Outcome) -> None:
    """Status values match in any letter case and known spelling. ``Paused``, which is only documented, is not final."""
    assert job(status=written).outcome is outcome


@pytest.mark.parametrize("value", WRONG_TYPES)
@pytest.mark.parametrize("field", FIELDS)
def test_wrong_types(field: str, value: Any) -> None:
    """A value of the wrong type is dropped or converted to text. The other fields are still parsed."""
    read = job(**{field: value})

    assert read.name == dp_job_payload()["name"]
    assert field == "status" or read.status == "InProgress"


@pytest.mark.parametrize("value", WRONG_TYPES)
@pytest.mark.parametrize("field", EXTENDED)
def test_wrong_types_within(field: str, value: Any) -> None:
    """A value of the wrong type within ``extendedInfo`` does not affect other fields."""
    tasks = {"subTasks": [{"taskName": "Transfer"}]}
    read = extended(**{**tasks, field: value})

    assert field == "subTasks" or [task.task_id for task in read.tasks] == ["Transfer"]


@pytest.mark.parametrize("given", [{}, {"properties": None}, {"properties": []}, {"id": None, "name": None}])
def test_nothing(given: dict[str, Any]) -> None:
    """An empty object is parsed as a job without data that has not ended."""
    read = parse_job(given)

    assert (read.name, read.resource_id, read.status, read.entity_friendly_name) == (None, None, None, None)
    assert not read.ended


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({"taskId": 2, "taskName": "Transfer", "taskStatus": "InProgress", "taskProgress": 41.9}, ("Transfer", "InProgress", 41)),
        ({"taskId": 2, "taskName": None, "taskStatus": None, "taskProgress": None}, ("2", None, None)),
        ({"taskName": "", "taskProgress": "50"}, (None, None, 50)),
        ({"taskProgress": 250}, (None, None, 100)),
        ({}, (None, None, None)),
    ],
)  # fmt: skip
def test_tasks(task: dict[str, Any], expected: tuple[object, ...]) -> None:
    """A sub-task has its name (or its number), its status and its progress in whole percent."""
    (read,) = extended(subTasks=[task, None, "text"]).tasks

    assert (read.task_id, read.status, read.progress_percent) == expected


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (None, None),
        ({}, None),
        ("text", None),
        ({"recoveryPointID": None, "recoveryPointTime": "0001-01-01T00:00:00Z"}, None),
        ({"recoveryPointID": "p1"}, RecoveryPoint(id="p1", time=None)),
        (
            {"recoveryPointTime": "2026-03-03T22:00:49Z"},
            RecoveryPoint(id=None, time=datetime(2026, 3, 3, 22, 0, 49, tzinfo=UTC)),
        ),
    ],
)
def test_recovery_points(written: Any, read: RecoveryPoint | None) -> None:
    """A recovery point has an ID, a time or both. Otherwise there is none."""
    both = extended(sourceRecoverPoint=written, targetRecoverPoint=written)

    assert (both.source_recovery_point, both.target_recovery_point) == (read, read)


@pytest.mark.parametrize(
    ("instance", "source", "name", "aliases"),
    [
        ("aks/daily", "aks", "aks/daily", ("aks",)),
        (None, "aks", "aks", ()),
        ("aks/daily", None, "aks/daily", ()),
        (None, None, None, ()),
    ],
)
def test_items(instance: str | None, source: str | None, name: str | None, aliases: tuple[str, ...]) -> None:
    """The item has the name of its backup instance. If that is missing, it has the name of its data source."""
    read = job(backupInstanceFriendlyName=instance, dataSourceName=source)

    assert (read.entity_friendly_name, read.aliases) == (name, aliases)


def test_duration_of_an_ended_job_without_one() -> None:
    """If Azure reports no duration, the duration is the time from start to end."""
    ended = {"duration": None, "startTime": "2026-03-04T12:00:00Z", "endTime": "2026-03-04T12:01:00Z"}

    assert job(**ended).duration == timedelta(minutes=1)
    assert job(**{**ended, "endTime": None}).duration is None
    assert job(**{**ended, "startTime": None}).duration is None


def test_bounds() -> None:
    """Long values are truncated, and ``truncated`` names the fields."""
    text = "x" * 5000
    error = {"code": text, "message": text, "target": text, "recommendedAction": [text] * 12,
             "innerError": {"code": text, "additionalInfo": {"DetailedNonLocalisedMessage": text}}}  # fmt: skip
    read = job(
        errorDetails=[error] * 25,
        extendedInfo={
            "subTasks": [{"taskName": text, "taskStatus": text}] * 60,
            "warningDetails": [{"resourceName": text, "warning": error}] * 25,
            "additionalDetails": {f"{number}{text}": text for number in range(60)},
            "sourceRecoverPoint": {"recoveryPointID": text},
        },
    )

    assert read.truncated == ("errors", "properties", "recommendations", "tasks", "texts", "warnings")
    assert (len(read.tasks), len(read.errors), len(read.warnings), len(read.properties)) == (50, 20, 20, 50)
    assert {len(each.cause or "") for each in (*read.errors, *read.warnings)} <= set(range(700, 1025))
