"""The status contract: phase, reason and conditions for every row of the status table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch import errors
from tests.support.builders import (
    CRD_DEFAULTS,
    JOB_ID,
    NOW,
    OTHER_JOB_NAME,
    condition,
    edit,
    job,
    running_job,
    settle,
    standing,
    watch_body,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from backupjobwatch.errors import AzureError

GOING = {"Ready": "Unknown", "Succeeded": "Unknown", "Finished": "False", "Reconciling": "True"}
SUSPENDED = {"Ready": "Unknown", "Succeeded": "Unknown", "Finished": "False"}
SUCCEEDED = {"Ready": "True", "Succeeded": "True", "Finished": "True", "Complete": "True"}
FAILED = {"Ready": "False", "Succeeded": "False", "Finished": "True", "Failed": "True", "Stalled": "True"}
LATER = NOW + timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A scenario that leads to one row of the status table."""

    name: str
    path: Callable[[], dict[str, Any]]
    phase: str
    reason: str
    conditions: dict[str, str]
    reconciling: str | None = None
    reachable: str = "True"


def _fresh() -> dict[str, Any]:
    return watch_body()


def _running() -> dict[str, Any]:
    return settle(_fresh(), running_job(), NOW)


def _accepting() -> dict[str, Any]:
    return edit(_fresh(), completedWithWarnings="Succeeded")


def _lost() -> dict[str, Any]:
    body = settle(_fresh(), errors.JobNotFound("x"), NOW, consecutive_failures=1)
    return settle(body, errors.JobNotFound("x"), NOW + timedelta(hours=1), consecutive_failures=3)


def _late() -> dict[str, Any]:
    return settle(_running(), running_job(), NOW + timedelta(days=3))


def _retarget(body: dict[str, Any]) -> dict[str, Any]:
    return edit(body, jobResourceId=JOB_ID[:-36] + OTHER_JOB_NAME)


TROUBLES: list[AzureError] = [
    errors.Throttled("x"),
    errors.AzureUnavailable("x"),
    errors.UnexpectedResponse("x"),
    errors.JobListTooLong("x"),
    errors.AuthenticationFailed("x"),
    errors.AuthorizationFailed("x"),
    errors.CredentialsNotFound("x"),
    errors.IdentityNotAllowed("x"),
]

ROWS = [
    Row(
        name="the job is not visible yet",
        path=lambda: settle(_fresh(), errors.JobNotFound("x"), NOW, consecutive_failures=1),
        phase="Pending", reason="JobNotVisible", conditions=GOING, reconciling="Progressing",
    ),
    Row(
        name="the vault is not visible yet",
        path=lambda: settle(_fresh(), errors.VaultNotFound("x"), NOW, consecutive_failures=1),
        phase="Pending", reason="VaultNotFound", conditions=GOING, reconciling="Progressing",
    ),
    Row(
        name="in progress",
        path=_running,
        phase="Running", reason="JobInProgress", conditions=GOING, reconciling="Progressing",
    ),
    Row(
        name="being cancelled",
        path=lambda: settle(_fresh(), running_job(status="Cancelling"), NOW),
        phase="Running", reason="JobCancelling", conditions=GOING, reconciling="Progressing",
    ),
    Row(
        name="a status we do not know",
        path=lambda: settle(_fresh(), running_job(status="Paused"), NOW),
        phase="Running", reason="JobStatusUnknown", conditions=GOING, reconciling="Progressing",
    ),
    *(
        Row(
            name=f"{type(error).__name__}, nothing to keep",
            path=lambda error=error: settle(_fresh(), error, NOW, consecutive_failures=1),  # type: ignore[misc]
            phase="Pending", reason=error.reason, conditions=GOING, reconciling="ProgressingWithRetry", reachable="False",
        )
        for error in TROUBLES
    ),
    *(
        Row(
            name=f"{type(error).__name__}, while running",
            path=lambda error=error: settle(_running(), error, LATER, consecutive_failures=1),  # type: ignore[misc]
            phase="Running", reason=error.reason, conditions=GOING, reconciling="ProgressingWithRetry", reachable="False",
        )
        for error in TROUBLES
    ),
    Row(
        name="not there any more, within grace",
        path=lambda: settle(_running(), errors.JobNotFound("x"), LATER, consecutive_failures=1),
        phase="Running", reason="JobNotVisible", conditions=GOING, reconciling="ProgressingWithRetry",
    ),
    Row(
        name="not asked, nothing to keep",
        path=lambda: settle(_fresh(), errors.PollDeferred("x"), NOW),
        phase="Pending", reason="Throttled", conditions=GOING, reconciling="ProgressingWithRetry", reachable="Unknown",
    ),
    Row(
        name="not asked, while running",
        path=lambda: settle(_running(), errors.PollDeferred("x"), LATER),
        phase="Running", reason="JobInProgress", conditions=GOING, reconciling="Progressing",
    ),
    Row(
        name="not asked for long, while running",
        path=lambda: settle(_running(), errors.PollDeferred("x", stale=True), NOW + timedelta(hours=1)),
        phase="Running", reason="Throttled", conditions=GOING, reconciling="ProgressingWithRetry",
    ),
    Row(
        name="suspended before it began",
        path=lambda: settle(edit(_fresh(), suspend=True), errors.PollDeferred("x"), NOW),
        phase="Pending", reason="Suspended", conditions=SUSPENDED, reachable="Unknown",
    ),
    Row(
        name="suspended while running",
        path=lambda: settle(edit(_running(), suspend=True), errors.PollDeferred("x"), LATER),
        phase="Running", reason="Suspended", conditions=SUSPENDED,
    ),
    Row(
        name="completed",
        path=lambda: settle(_running(), job(), LATER),
        phase="Succeeded", reason="JobCompleted", conditions=SUCCEEDED,
    ),
    Row(
        name="completed with warnings, accepted",
        path=lambda: settle(_accepting(), job(status="CompletedWithWarnings"), LATER),
        phase="Succeeded", reason="JobCompletedWithWarnings", conditions=SUCCEEDED,
    ),
    Row(
        name="completed with warnings, not accepted",
        path=lambda: settle(_running(), job(status="CompletedWithWarnings"), LATER),
        phase="Failed", reason="JobCompletedWithWarnings", conditions=FAILED,
    ),
    Row(
        name="failed",
        path=lambda: settle(_running(), job(status="Failed"), LATER),
        phase="Failed", reason="JobFailed", conditions=FAILED,
    ),
    Row(
        name="cancelled",
        path=lambda: settle(_running(), job(status="Cancelled"), LATER),
        phase="Failed", reason="JobCancelled", conditions=FAILED,
    ),
    Row(name="deadline", path=_late, phase="Failed", reason="DeadlineExceeded", conditions=FAILED),
    Row(name="grace over", path=_lost, phase="Failed", reason="JobNotFound", conditions=FAILED),
    Row(
        name="an invalid spec",
        path=lambda: settle(watch_body({"jobName": "x"}), errors.PollDeferred("x"), NOW),
        phase="Failed", reason="InvalidSpec", conditions=FAILED, reachable="Unknown",
    ),
    Row(
        name="target changed while running",
        path=lambda: settle(_retarget(_running()), errors.JobNotFound("x"), LATER, consecutive_failures=1),
        phase="Pending", reason="JobNotVisible", conditions=GOING, reconciling="Progressing",
    ),
    Row(
        name="target changed after success",
        path=lambda: settle(_retarget(settle(_running(), job(), NOW)), errors.Throttled("x"), LATER),
        phase="Pending", reason="Throttled", conditions=GOING, reconciling="ProgressingWithRetry", reachable="False",
    ),
    Row(
        name="other fields changed while running",
        path=lambda: settle(edit(_running(), pollInterval="5m"), errors.PollDeferred("x"), LATER),
        phase="Running", reason="JobInProgress", conditions=GOING, reconciling="Progressing",
    ),
    Row(
        name="other fields changed after success",
        path=lambda: settle(edit(settle(_running(), job(), NOW), suspend=True), errors.PollDeferred("x"), LATER),
        phase="Succeeded", reason="JobCompleted", conditions=SUCCEEDED,
    ),
    Row(
        name="other fields changed after failure",
        path=lambda: settle(edit(_lost(), pollInterval="5m"), job(), LATER),
        phase="Failed", reason="JobNotFound", conditions=FAILED,
    ),
]  # fmt: skip
EACH_ROW = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])


def test_not_yet_seen() -> None:
    """The CRD's default status says only that the operator has not observed the watch."""
    assert _fresh()["status"] == {"observedGeneration": -1}


@EACH_ROW
def test_conditions(row: Row) -> None:
    """Each scenario has exactly the conditions of its row, with their status."""
    assert standing(row.path()["status"]) == {**row.conditions, "AzureReachable": row.reachable}


@EACH_ROW
def test_phase_and_reason(row: Row) -> None:
    """Phase and reason match the row, and the Ready condition repeats the status's reason and message."""
    status = row.path()["status"]
    ready = condition(status, "Ready")

    assert (status["phase"], status["reason"]) == (row.phase, row.reason)
    assert ready is not None
    assert (ready["reason"], ready["message"]) == (status["reason"], status["message"])


@EACH_ROW
def test_reconciling(row: Row) -> None:
    """The reason of Reconciling is Progressing while waiting and ProgressingWithRetry while retrying."""
    reconciling = condition(row.path()["status"], "Reconciling")

    assert (reconciling and reconciling["reason"]) == row.reconciling


@EACH_ROW
def test_generation(row: Row) -> None:
    """The status and every condition have the current generation, from the first write on."""
    body = row.path()
    generations = {
        body["status"]["observedGeneration"],
        *(c["observedGeneration"] for c in body["status"]["conditions"]),
    }

    assert generations == {body["metadata"]["generation"]}


@EACH_ROW
def test_completion_time(row: Row) -> None:
    """Only a finished watch has a completionTime."""
    status = row.path()["status"]

    assert ("completionTime" in status) is (status["phase"] in ("Succeeded", "Failed"))


@EACH_ROW
def test_nothing_empty(row: Row) -> None:
    """Unknown values are absent, never null or empty."""
    assert all(value not in (None, [], {}, "") for value in row.path()["status"].values())


@pytest.mark.parametrize("name", ["Complete", "Failed", "Reconciling", "Stalled"])
def test_present_means_true(name: str) -> None:
    """Complete, Failed, Reconciling and Stalled are either True or absent."""
    found = [condition(row.path()["status"], name) for row in ROWS]

    assert {each["status"] for each in found if each} == {"True"}
    assert None in found


def test_defaults_are_the_api_servers() -> None:
    """The scenarios use specs with the API server's defaults filled in."""
    assert CRD_DEFAULTS.items() <= _fresh()["spec"].items()
