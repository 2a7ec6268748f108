"""Jobs that were cancelled although Azure reports another end."""

from __future__ import annotations

from typing import Any

import pytest

from backupjobwatch.domain.jobs.job import Outcome
from tests.support.builders import job

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
    """A job that Azure ends as CompletedWithWarnings is cancelled if an error code or a task says so, never a text."""
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
    """The error code of a cancelled job overrules success only: a job that runs has not ended yet."""
    assert job(status=status, errorDetails=[CANCELLED_ERROR]).outcome is outcome
    assert job(status="Completed", extendedInfo=_info("Cancelled")).outcome is Outcome.COMPLETED
