"""Details of a job: tasks, progress, properties, errors and truncation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.jobs.job import (
    MAX_ERRORS,
    MAX_PROPERTIES,
    MAX_RECOMMENDATIONS,
    MAX_TASKS,
    Job,
    JobError,
)
from backupjobwatch.domain.jobs.payloads import LINE, STATUS_WORD, TEXT, WORD
from backupjobwatch.domain.jobs.recovery_services import parse_job
from backupjobwatch.domain.jobs.text import ELLIPSIS
from tests.support.azure import payload
from tests.support.builders import job

if TYPE_CHECKING:
    from collections.abc import Callable

NOT_LISTS: list[Any] = [None, {}, "text", 5, True, [None, 5, "text", [], True]]


def _extended(**fields: Any) -> Job:
    return job(extendedInfo=fields)


@pytest.mark.parametrize("value", NOT_LISTS)
def test_no_tasks(value: Any) -> None:
    """Any value that is not a list of objects gives no tasks."""
    assert _extended(tasksList=value).tasks == ()


@pytest.mark.parametrize(
    ("value", "percent"),
    [
        (0, 0), (42, 42), (42.0, 42), (7.5, 7), (99.99, 99), (100, 100), (100.1, 100), (1e300, 100), (10**400, None),
        (-1, 0), (-0.5, 0), ("42", 42), ("7.5", 7), ("almost", None), ("", None), ("nan", None), ("inf", None),
        (float("nan"), None), (float("inf"), None), (True, None), (None, None), ([42], None), ({}, None),
    ],
)  # fmt: skip
def test_progress(value: Any, percent: int | None) -> None:
    """Progress is in whole percent from 0 to 100 and never rounded up: 99.99 becomes 99."""
    read = _extended(progressPercentage=value, tasksList=[{"progressPercentage": value}])

    assert (read.progress_percent, read.tasks[0].progress_percent) == (percent, percent)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("01:31:05", "1h31m5s"),
        ("PT1H31M5.9S", "1h31m5s"),
        ("-PT1M", "0s"),
        ("1.02:03:04", "26h3m4s"),
        ("about an hour", "about an hour"),
        (90, "90"),
        ("", None),
        (None, None),
        ([], None),
        ("x" * 100, "x" * (STATUS_WORD - 1) + ELLIPSIS),
    ],
)
def test_estimate(value: Any, text: str | None) -> None:
    """The estimate is written in Go's format if it is a duration. Otherwise Azure's text is kept."""
    assert _extended(estimatedRemainingDuration=value).estimated_remaining == text


def test_dynamic_error_message() -> None:
    """The message in the details is kept as one line. An empty message is dropped."""
    assert _extended(dynamicErrorMessage="VSS\r\ntimeout").dynamic_error_message == "VSS timeout"
    assert _extended(dynamicErrorMessage="").dynamic_error_message is None


def test_properties() -> None:
    """Properties keep their names. Values of other types become text, and empty values are dropped."""
    bag = {
        "Backup Size": "2332 MB",
        "Recovery point time ": "1/1",
        "n": 5,
        "b": False,
        "none": None,
        "list": [],
        "": "x",
    }

    assert _extended(propertyBag=bag).properties == {
        "Backup Size": "2332 MB",
        "Recovery point time": "1/1",
        "n": "5",
        "b": "false",
        "none": "",
        "list": "",
        "": "x",
    }


@pytest.mark.parametrize("value", [None, [], "text", 5, True, [["a", "b"]]])
def test_no_properties(value: Any) -> None:
    """A value that is not an object gives no properties."""
    assert _extended(propertyBag=value).properties == {}


def test_error() -> None:
    """An error has code, title, message and recommendations."""
    (error,) = parse_job(payload("job-iaasvm-completedwithwarnings")).errors

    assert error.code == "400600"
    assert error.title
    assert error.message
    assert len(error.recommendations) == 2


@pytest.mark.parametrize(
    ("detail", "error"),
    [
        ({"errorString": "s", "recommendations": ["r"]}, JobError(code=None, title=None, message="s", recommendations=("r",))),
        ({"errorCode": 5}, JobError(code="5", title=None, message=None, recommendations=())),
        ({"errorCode": "UserError"}, JobError(code="UserError", title=None, message=None, recommendations=())),
        ({"errorCode": 0, "errorString": "s"}, JobError(code=None, title=None, message="s", recommendations=())),
        ({"errorTitle": "t", "errorString": None}, JobError(code=None, title="t", message=None, recommendations=())),
        (
            {"errorCode": 5, "additionalDetails": "At net.tcp://a:1 or b."},
            JobError(code="5", title=None, message=None, recommendations=(), cause="At [internal address] or b."),
        ),
        ({"recommendations": "r"}, JobError(code=None, title=None, message=None, recommendations=("r",))),
        ({"recommendations": ["r", None, "", {}, 5]}, JobError(code=None, title=None, message=None, recommendations=("r", "5"))),
    ],
)  # fmt: skip
def test_errors_by_presence(detail: dict[str, Any], error: JobError) -> None:
    """Each type of job omits some fields of its errors. The other fields are kept."""
    assert job(errorDetails=[detail]).errors == (error,)


@pytest.mark.parametrize(
    "details",
    [
        *NOT_LISTS,
        [{"errorCode": 0, "errorString": None, "recommendations": None}],
        [{}, {"errorCode": None}, {"errorCode": "0"}, {"errorString": " "}, {"recommendations": [None, {}]}],
    ],
)
def test_empty_errors(details: Any) -> None:
    """Errors in which every field is null are ignored."""
    assert job(errorDetails=details).errors == ()


def test_lists_at_their_caps() -> None:
    """Lists within their limits are complete, and nothing is reported as truncated."""
    read = job(
        errorDetails=[{"errorCode": 1, "recommendations": ["r"] * MAX_RECOMMENDATIONS}] * MAX_ERRORS,
        extendedInfo={
            "tasksList": [{"taskId": "t"}] * MAX_TASKS,
            "propertyBag": {f"k{number}": "v" for number in range(MAX_PROPERTIES)},
        },
    )

    assert (len(read.tasks), len(read.properties), len(read.errors)) == (MAX_TASKS, MAX_PROPERTIES, MAX_ERRORS)
    assert read.truncated == ()


NUMBERS = [str(number) for number in range(60)]


@pytest.mark.parametrize(
    ("overrides", "part", "kept", "expected"),
    [
        (
            {"extendedInfo": {"tasksList": [{"taskId": number} for number in NUMBERS]}},
            "tasks",
            lambda read: [task.task_id for task in read.tasks],
            NUMBERS[:MAX_TASKS],
        ),
        (
            {"extendedInfo": {"propertyBag": dict.fromkeys(NUMBERS, "v")}},
            "properties",
            lambda read: [*read.properties],
            NUMBERS[:MAX_PROPERTIES],
        ),
        (
            {"errorDetails": [{"errorTitle": number} for number in NUMBERS]},
            "errors",
            lambda read: [error.title for error in read.errors],
            NUMBERS[:MAX_ERRORS],
        ),
        (
            {"errorDetails": [{"recommendations": NUMBERS}]},
            "recommendations",
            lambda read: [*read.errors[0].recommendations],
            NUMBERS[:MAX_RECOMMENDATIONS],
        ),
    ],
)
def test_lists_beyond_their_caps(
    overrides: dict[str, Any], part: str, kept: Callable[[Job], list[str]], expected: list[str]
) -> None:
    """Longer lists keep their first items, and ``truncated`` names the lists."""
    read = job(**overrides)

    assert read.truncated == (part,)
    assert kept(read) == expected


@pytest.mark.parametrize(
    ("overrides", "limit"),
    [
        ({"id": "x" * 9999}, LINE),
        ({"entityFriendlyName": "x" * 9999}, WORD),
        ({"extendedInfo": {"dynamicErrorMessage": "x" * 9999}}, TEXT),
        ({"extendedInfo": {"tasksList": [{"status": "x" * 9999}]}}, STATUS_WORD),
        ({"extendedInfo": {"propertyBag": {"k": "x" * 9999}}}, LINE),
        ({"extendedInfo": {"propertyBag": {"x" * 9999: "v"}}}, WORD),
        ({"errorDetails": [{"errorString": "x" * 9999}]}, TEXT),
        ({"errorDetails": [{"recommendations": ["x" * 9999]}]}, LINE),
    ],
)
def test_long_texts(overrides: dict[str, Any], limit: int) -> None:
    """Each text has a limit. A truncated text ends in an ellipsis, and ``truncated`` reports it."""
    read = job(**overrides)

    assert read.truncated == ("texts",)
    assert "x" * (limit - 1) + ELLIPSIS in repr(read)
    assert "x" * limit not in repr(read)


def test_secrets() -> None:
    """No field of a job keeps a signed URL or a token."""
    secret = "https://h/b?sig=SECRET eyJhbGciOiJSUzI1NiJ9.eyJTRUNSRVQ.SECRET"
    fields = (
        "jobType",
        "status",
        "operation",
        "entityFriendlyName",
        "workloadType",
        "activityId",
        "backupManagementType",
        "containerName",
        "storageAccountName",
        "mabServerName",
        "dpmServerName",
    )
    read = job(
        id=secret,
        name=secret,
        **dict.fromkeys(fields, secret),
        errorDetails=[{"errorCode": secret, "errorTitle": secret, "errorString": secret, "recommendations": [secret]}],
        extendedInfo={
            "tasksList": [{"taskId": secret, "status": secret, "taskExecutionDetails": secret}],
            "propertyBag": {secret: secret},
            "internalPropertyBag": {"restoreLocationType": secret},
            "dynamicErrorMessage": secret,
            "estimatedRemainingDuration": secret,
        },
    )

    assert "SECRET" not in repr(read)
