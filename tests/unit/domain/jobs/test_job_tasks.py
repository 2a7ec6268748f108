"""Tasks of Recovery Services jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backupjobwatch.domain.jobs.job import Job, Task
from backupjobwatch.domain.jobs.recovery_services import parse_job
from tests.support.azure import payload
from tests.support.builders import job


def _extended(**fields: Any) -> Job:
    return job(extendedInfo=fields)


def test_task() -> None:
    """A task is parsed with its times, duration and progress."""
    (task,) = parse_job(payload("job-iaasvm-restore-inprogress-progress")).tasks

    assert task == Task(
        task_id="Transfer data from vault",
        status="InProgress",
        start_time=datetime(2026, 3, 4, 1, 0, 13, 100000, tzinfo=UTC),
        end_time=None,
        duration=timedelta(),
        progress_percent=42,
        execution_details="10.42 GBs / 24.8 GBs Transferred",
    )


@pytest.mark.parametrize(
    "task",
    [
        {},
        {"taskId": None, "status": None, "startTime": None, "endTime": None, "duration": None, "progressPercentage": None},
        {"taskId": [], "status": {}, "startTime": 5, "endTime": True, "duration": [], "progressPercentage": {}},
        {"startTime": "0001-01-01T00:00:00", "endTime": "2001-01-01T00:00:00Z", "duration": "soon"},
    ],
)  # fmt: skip
def test_task_with_invalid_fields(task: dict[str, Any]) -> None:
    """A task with invalid fields is still listed."""
    assert _extended(tasksList=[task]).tasks == (
        Task(task_id=None, status=None, start_time=None, end_time=None, duration=None, progress_percent=None),
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("63.5 GBs / 127 GBs Transferred", "63.5 GBs / 127 GBs Transferred"),
        ("", None),
        (None, None),
        ([], None),
        (7, "7"),
    ],
)
def test_execution_details(value: Any, text: str | None) -> None:
    """A task's details keep Azure's text."""
    (task,) = _extended(tasksList=[{"taskExecutionDetails": value}]).tasks

    assert task.execution_details == text
