"""Jobs that were cancelled although Azure reports another end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.jobs import data_protection, recovery_services
from backupjobwatch.domain.jobs.job import MAX_ERRORS, MAX_TASKS, Outcome
from tests.support.builders import job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backupjobwatch.domain.jobs.job import Job

CANCELLED_ERROR = {
    "errorCode": 400158,
    "errorTitle": "UserErrorJobSuccessfullyCancelled",
    "errorString": "Job is cancelled.",
}
OTHER_ERROR = {"errorCode": 400600, "errorTitle": "Downgraded", "errorString": "The job is cancelled, it says here."}


def _info(*statuses: str) -> dict[str, Any]:
    return {"tasksList": [{"taskId": "Take Snapshot", "status": "Completed"}, *({"status": each} for each in statuses)]}


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"errorDetails": [CANCELLED_ERROR]}, Outcome.CANCELLED),
        ({"errorDetails": [{"errorCode": "400158"}]}, Outcome.CANCELLED),
        ({"errorDetails": [OTHER_ERROR, {"errorTitle": "usererrorjobsuccessfullycancelled"}]}, Outcome.CANCELLED),
        ({"extendedInfo": _info("Cancelled")}, Outcome.CANCELLED),
        ({"extendedInfo": _info("canceled", "Completed")}, Outcome.CANCELLED),
        ({"errorDetails": [OTHER_ERROR], "extendedInfo": _info("Failed")}, Outcome.COMPLETED_WITH_WARNINGS),
        ({"errorDetails": [{"errorString": "Job is cancelled."}]}, Outcome.COMPLETED_WITH_WARNINGS),
        ({"extendedInfo": _info("Skipped", "Cancelling")}, Outcome.COMPLETED_WITH_WARNINGS),
        ({"extendedInfo": None, "errorDetails": None}, Outcome.COMPLETED_WITH_WARNINGS),
    ],
)
def test_cancelled_job_with_another_status(fields: dict[str, Any], outcome: Outcome) -> None:
    """An error code or a task marks a CompletedWithWarnings job as cancelled. Message text never does."""
    assert job(**{"status": "CompletedWithWarnings", **fields}).outcome is outcome
    assert job(**{"status": "completedwithwarnings", **fields}).outcome is outcome


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("Completed", Outcome.CANCELLED),
        ("InProgress", Outcome.IN_PROGRESS),
        ("Cancelling", Outcome.CANCELLING),
        ("Failed", Outcome.FAILED),
        ("Cancelled", Outcome.CANCELLED),
        ("Paused", Outcome.UNKNOWN),
    ],
)
def test_cancelled_error_and_status(status: str, outcome: Outcome) -> None:
    """The error code of a cancelled job overrides only a success. A running job has not ended yet."""
    assert job(status=status, errorDetails=[CANCELLED_ERROR]).outcome is outcome
    assert job(status="Completed", extendedInfo=_info("Cancelled")).outcome is Outcome.COMPLETED


_MANY_TASKS = [{"taskId": "Copy", "taskName": "Copy", "status": "Completed", "taskStatus": "Completed"}] * MAX_TASKS
_MANY_ERRORS = [{"errorCode": 400600, "code": "Downgraded"}] * MAX_ERRORS
_CANCELLED_WORD = {"code": "UserErrorJobSuccessfullyCancelled"}


@pytest.mark.parametrize(
    ("parse", "fields"),
    [
        (recovery_services.parse_job, {"errorDetails": [*_MANY_ERRORS, CANCELLED_ERROR]}),
        (
            recovery_services.parse_job,
            {"extendedInfo": {"tasksList": [*_MANY_TASKS, {"taskId": "Transfer", "status": "Cancelled"}]}},
        ),
        (data_protection.parse_job, {"errorDetails": [*_MANY_ERRORS, _CANCELLED_WORD]}),
        (
            data_protection.parse_job,
            {"extendedInfo": {"subTasks": [*_MANY_TASKS, {"taskName": "Transfer", "taskStatus": "Cancelled"}]}},
        ),
        (
            data_protection.parse_job,
            {
                "extendedInfo": {
                    "warningDetails": [{"warning": error} for error in (*_MANY_ERRORS, _CANCELLED_WORD)],
                }
            },
        ),
    ],
)
def test_cancelled_beyond_the_limits(parse: Callable[[Mapping[str, Any]], Job], fields: dict[str, Any]) -> None:
    """A job counts as cancelled even if the error or task that says so is beyond the number that the operator keeps."""
    assert parse({"properties": {"status": "CompletedWithWarnings", **fields}}).outcome is Outcome.CANCELLED
