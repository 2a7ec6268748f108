"""A job's own fields. Tasks, properties and errors are tested in ``test_job_details``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backupjobwatch.domain.jobs.job import Job, Outcome
from backupjobwatch.domain.jobs.recovery_services import parse_job
from tests.support.azure import payload, payload_names
from tests.support.builders import ABSENT, JOB_ID, JOB_NAME, job, job_payload, running_job

WRONG_TYPES: list[Any] = [
    None,
    [],
    {},
    [[]],
    {"a": {}},
    ["Completed"],
    5,
    -1.5,
    True,
    "",
    " ",
    "\u0000",
    float("nan"),
    10**300,
]
FIELDS = [
    "jobType", "status", "operation", "entityFriendlyName", "backupManagementType", "workloadType", "activityId",
    "startTime", "endTime", "duration", "actionsInfo", "isUserTriggered", "extendedInfo", "errorDetails",
]  # fmt: skip


def test_page_example() -> None:
    """Every field of the example in Microsoft's documentation is parsed."""
    assert job() == Job(
        resource_id=JOB_ID,
        name=JOB_NAME,
        job_type="AzureIaaSVMJob",
        status="Completed",
        operation="Backup",
        backup_management_type="AzureIaasVM",
        workload_type=None,
        entity_friendly_name="uttestvmub1",
        activity_id="7df8e874-1d66-4f81-8e91-da2fe054811d",
        start_time=datetime(2018, 5, 21, 8, 35, 40, 948896, tzinfo=UTC),
        end_time=datetime(2018, 5, 21, 8, 56, 4, 38566, tzinfo=UTC),
        duration=timedelta(minutes=20, seconds=23, microseconds=89670),
        cancellable=True,
        user_triggered=None,
        progress_percent=None,
        estimated_remaining=None,
        dynamic_error_message=None,
        tasks=job().tasks,
        properties={"VM Name": "uttestvmub1", "Backup Size": "2332 MB"},
        errors=(),
        truncated=(),
    )
    assert [job().vault, *((task.task_id, task.status, task.duration) for task in job().tasks)] == [
        "abdemovault", ("Take Snapshot", "Completed", timedelta()), ("Transfer data to vault", "Completed", timedelta()),
    ]  # fmt: skip


@pytest.mark.parametrize("name", payload_names("job-") + payload_names("crr-job-"))
def test_every_payload(name: str) -> None:
    """Azure's text is kept unchanged for every type of job."""
    answer = payload(name)
    read, said = parse_job(answer), answer["properties"]

    assert (read.resource_id, read.name) == (answer["id"], answer["name"])
    assert read.vault == "rsv-harbour"
    assert read.job_type == said["jobType"]
    assert read.status == said["status"]
    assert read.operation == said["operation"]
    assert read.entity_friendly_name == said["entityFriendlyName"]
    assert read.backup_management_type == said["backupManagementType"]
    assert read.workload_type == said.get("workloadType")
    assert read.user_triggered == said.get("isUserTriggered")
    assert (read.duration is None) is ("duration" not in said)
    assert len(read.tasks) == len((said["extendedInfo"] or {}).get("tasksList") or ())
    assert read.truncated == ()


@pytest.mark.parametrize(
    "job_type",
    [
        "AzureIaaSVMJob", "AzureIaaSVMJobV2", "AzureWorkloadJob", "AzureStorageJob", "MabJob", "DpmJob", "VaultJob",
        "AzureWorkloadJobV2", "azureiaasvmjob", "Job", "SomethingNew", "", None, 7, ABSENT,
    ],
)  # fmt: skip
def test_fields_by_presence(job_type: Any) -> None:
    """Fields are read if they are present, whatever the type of the job."""
    read = job(jobType=job_type, errorDetails=[{"errorCode": 5, "errorTitle": "t", "errorString": "s"}])
    expected = job(errorDetails=[{"errorCode": 5, "errorTitle": "t", "errorString": "s"}])

    assert read.outcome is Outcome.COMPLETED
    assert (read.duration, read.tasks, read.properties) == (expected.duration, expected.tasks, expected.properties)
    assert (read.errors, read.cancellable) == (expected.errors, True)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [ABSENT, *WRONG_TYPES], ids=repr)
def test_any_field_of_any_type(field: str, value: Any) -> None:
    """A field that is missing, null or of a wrong type does not affect other fields."""
    read = job(**{field: value})

    assert (read.resource_id, read.name) == (JOB_ID, JOB_NAME)
    assert read.activity_id == "7df8e874-1d66-4f81-8e91-da2fe054811d" or field == "activityId"
    assert read.outcome is (Outcome.UNKNOWN if field == "status" else Outcome.COMPLETED)


@pytest.mark.parametrize("properties", [ABSENT, *WRONG_TYPES], ids=repr)
def test_no_properties(properties: Any) -> None:
    """A response without properties is parsed as a job without data."""
    answer = {"id": JOB_ID, "name": JOB_NAME, "properties": properties}
    read = parse_job({name: value for name, value in answer.items() if value is not ABSENT})

    assert (read.resource_id, read.name, read.status, read.outcome) == (JOB_ID, JOB_NAME, None, Outcome.UNKNOWN)
    assert read.title == "Job"


def test_empty_answer() -> None:
    """An empty object is parsed as a job without data or name."""
    read = parse_job({})

    assert (read.resource_id, read.name, read.vault, read.outcome) == (None, None, None, Outcome.UNKNOWN)


@pytest.mark.parametrize(
    ("resource_id", "name", "expected"),
    [
        (JOB_ID, JOB_NAME, (JOB_NAME, "abdemovault")),
        (JOB_ID, ABSENT, (JOB_NAME, "abdemovault")),
        (JOB_ID, "", (JOB_NAME, "abdemovault")),
        (f"{JOB_ID}/", None, (JOB_NAME, "abdemovault")),
        (JOB_ID.upper(), "x", ("x", "ABDEMOVAULT")),
        ("/s/x/backupVaults/bv/backupJobs/j", ABSENT, ("j", "bv")),
        ("/s/x/vaults//backupJobs/j", ABSENT, ("j", None)),
        ("/s/x/vaults", ABSENT, ("vaults", None)),
        (f"/{'j' * 400}", ABSENT, (f"{'j' * 255}…", None)),
        ("/", ABSENT, (None, None)),
        (ABSENT, ABSENT, (None, None)),
        (None, 12, ("12", None)),
        (["/s"], ["j"], (None, None)),
    ],
)
def test_names(resource_id: Any, name: Any, expected: tuple[str | None, str | None]) -> None:
    """If the names of job and vault are missing, they come from the resource ID, in any letter case."""
    read = job(id=resource_id, name=name)

    assert (read.name, read.vault) == expected


OUTCOMES = [
    # status, outcome, ended
    ("InProgress", Outcome.IN_PROGRESS, False),
    ("Cancelling", Outcome.CANCELLING, False),
    ("Completed", Outcome.COMPLETED, True),
    ("CompletedWithWarnings", Outcome.COMPLETED_WITH_WARNINGS, True),
    ("Failed", Outcome.FAILED, True),
    ("Cancelled", Outcome.CANCELLED, True),
    ("completed", Outcome.COMPLETED, True),
    ("COMPLETED", Outcome.COMPLETED, True),
    (" Completed\r\n", Outcome.COMPLETED, True),
    ("Started", Outcome.IN_PROGRESS, False),
    ("started", Outcome.IN_PROGRESS, False),
    ("Canceling", Outcome.CANCELLING, False),
    ("CANCELING", Outcome.CANCELLING, False),
    ("Canceled", Outcome.CANCELLED, True),
    ("canceled", Outcome.CANCELLED, True),
    ("Success", Outcome.COMPLETED, True),
    ("SUCCESS", Outcome.COMPLETED, True),
    ("SuccessWithWarning", Outcome.COMPLETED_WITH_WARNINGS, True),
    ("successWithWarning", Outcome.COMPLETED_WITH_WARNINGS, True),
    ("Succeeded", Outcome.UNKNOWN, False),
    ("SuccessWithErrors", Outcome.UNKNOWN, False),
    ("Successful", Outcome.UNKNOWN, False),
    ("NotStarted", Outcome.UNKNOWN, False),
    ("CompletedWithErrors", Outcome.UNKNOWN, False),
    ("NotCompleted", Outcome.UNKNOWN, False),
    ("Invalid", Outcome.UNKNOWN, False),
    ("Expired", Outcome.UNKNOWN, False),
    ("Paused", Outcome.UNKNOWN, False),
    ("", Outcome.UNKNOWN, False),
    (None, Outcome.UNKNOWN, False),
    (ABSENT, Outcome.UNKNOWN, False),
    (True, Outcome.UNKNOWN, False),
    (2, Outcome.UNKNOWN, False),
]


@pytest.mark.parametrize(("status", "outcome", "ended"), OUTCOMES)
def test_outcomes(status: Any, outcome: Outcome, ended: bool) -> None:  # noqa: FBT001
    """Four statuses end a job, in each spelling and letter case. No other status does."""
    read = job(status=status)

    assert (read.outcome, read.ended) == (outcome, ended)


def test_every_outcome() -> None:
    """The table above covers every outcome."""
    assert {row[1] for row in OUTCOMES} == set(Outcome)


def test_end_without_end() -> None:
    """An end time does not end a job. Only its status does."""
    assert not job(status="InProgress").ended


@pytest.mark.parametrize("sentinel", ["0001-01-01T00:00:00", "0001-01-01T00:00:00Z", "2001-01-01T00:00:00Z"])
def test_no_time(sentinel: str) -> None:
    """Azure's placeholder for "no time" is ignored, and no duration is computed from it."""
    read = job(startTime=sentinel, endTime=sentinel, duration=ABSENT)

    assert (read.start_time, read.end_time, read.duration) == (None, None, None)


@pytest.mark.parametrize(
    ("actions", "cancellable"),
    [
        ([1], True),
        (["Cancellable"], True),
        (["cancellable"], True),
        ([0, 1, 2], True),
        (["Retriable", "Cancellable"], True),
        ([0], False),
        ([2], False),
        (["Invalid"], False),
        (["Retriable"], False),
        ([], False),
        ([None, {}, [], 1.5, "1"], False),
        (ABSENT, None),
        (None, None),
        ("Cancellable", None),
        (1, None),
        ({"1": 1}, None),
    ],
)
def test_actions(actions: Any, cancellable: bool | None) -> None:  # noqa: FBT001
    """Supported actions are numbers in responses and names in the specification. Without them nothing is known."""
    assert running_job(actionsInfo=actions).cancellable is cancellable


@pytest.mark.parametrize(("value", "expected"), [(True, True), (False, False), ("true", None), (1, None), (None, None)])
def test_user_triggered(value: Any, expected: bool | None) -> None:  # noqa: FBT001
    """Only true and false show whether a user started the job."""
    assert job(isUserTriggered=value).user_triggered is expected


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (7, "7"),
        (1.5, "1.5"),
        (True, "true"),
        (10**300, None),
        (-(10**300), None),
        (float("inf"), "inf"),
        (" a\nb ", "a b"),
    ],
)
def test_words(value: Any, word: str | None) -> None:
    """Numbers and booleans become text where text is expected. Structures and non-finite numbers are dropped."""
    assert job(operation=value).operation == word


@pytest.mark.parametrize(
    ("operation", "item", "title"),
    [
        ("Restore", "vm1", "Restore of vm1"),
        ("Backup (Full)", "ordersdb [vm-sql-01]", "Backup (Full) of ordersdb [vm-sql-01]"),
        (None, "vm1", "Job of vm1"),
        ("Backup", None, "Backup"),
        (None, None, "Job"),
    ],
)
def test_title(operation: str | None, item: str | None, title: str) -> None:
    """The title of a job has its operation and its item."""
    assert job(operation=operation, entityFriendlyName=item).title == title


def test_hashable() -> None:
    """Jobs are values: equal responses give equal jobs with the same hash."""
    assert hash(parse_job(job_payload())) == hash(parse_job(job_payload()))
    assert parse_job(job_payload()) != parse_job(job_payload(status="Failed"))
