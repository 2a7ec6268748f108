"""Verdicts at the deadline. The caller polls once more before it enforces the deadline."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch import errors
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import parse_spec
from backupjobwatch.domain.status.verdict import deadline
from tests.support.builders import JOB_ID, NOW, edit, job, running_job, settle, standing, watch, watch_body

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.errors import AzureError

DEADLINE = timedelta(hours=1)
FAILED = {"Ready": "False", "Succeeded": "False", "Finished": "True", "Failed": "True", "Stalled": "True"}


def _running(**spec: Any) -> dict[str, Any]:
    """Return a watch that saw its job running at ``NOW``, when its deadline started."""
    return settle(watch_body({"jobResourceId": JOB_ID, "activeDeadlineSeconds": 3600, **spec}), running_job(), NOW)


def test_when() -> None:
    """The deadline counts from the first write for the target. Before that, no deadline runs."""
    snapshot = Watch.from_body(_running())

    assert deadline(snapshot, parse_spec(snapshot.spec)) == NOW + DEADLINE
    assert deadline(watch(), parse_spec(watch().spec)) is None


def test_start_at_the_end_of_time() -> None:
    """A forged start in the year 9999 leaves no room for a deadline, and computing one does not fail."""
    body = _running()
    body["status"]["watchStartTime"] = "9999-12-31T23:59:59Z"

    assert settle(body, running_job(), NOW)["status"]["phase"] == "Running"


@pytest.mark.parametrize(("seconds", "phase"), [(3599, "Running"), (3600, "Failed"), (3601, "Failed")])
def test_over(seconds: int, phase: str) -> None:
    """A job that is still running at the deadline fails the watch, to the second."""
    status = settle(_running(), running_job(), NOW + timedelta(seconds=seconds))["status"]

    assert status["phase"] == phase


def test_words() -> None:
    """The message has the field, its value and the last known state. The job stays as last seen."""
    status = settle(_running(), running_job(), NOW + DEADLINE)["status"]

    assert status["reason"] == "DeadlineExceeded"
    assert status["message"] == (
        "Azure did not report the end of the job within 1h0m0s (spec.activeDeadlineSeconds). "
        "Backup of uttestvmub1 is in progress."
    )
    assert {kind: each for kind, each in standing(status).items() if kind != "AzureReachable"} == FAILED
    assert status["completionTime"] == "2018-05-21T10:00:00Z"
    assert status["job"]["status"] == "InProgress"


@pytest.mark.parametrize(
    ("status", "phase", "reason"),
    [
        ("Completed", "Succeeded", "JobCompleted"),
        ("Failed", "Failed", "JobFailed"),
        ("Cancelled", "Failed", "JobCancelled"),
        ("CompletedWithWarnings", "Failed", "JobCompletedWithWarnings"),
    ],
)
def test_own_outcome(status: str, phase: str, reason: str) -> None:
    """A job that ended keeps its own outcome, however late Azure reports it."""
    after = settle(_running(), job(status=status), NOW + timedelta(days=300))["status"]

    assert (after["phase"], after["reason"]) == (phase, reason)


@pytest.mark.parametrize(
    "observation",
    [
        running_job(status="Cancelling"),
        running_job(status="Paused"),
        errors.PollDeferred("Azure asked to wait."),
        errors.JobNotFound("x"),
        errors.AuthenticationFailed("x"),
        errors.AuthorizationFailed("x"),
        errors.CredentialsNotFound("x"),
        errors.IdentityNotAllowed("x"),
        errors.VaultNotFound("x"),
        errors.Throttled("x"),
        errors.AzureUnavailable("x"),
        errors.UnexpectedResponse("x"),
        errors.JobListTooLong("x"),
    ],
    ids=repr,
)
def test_deadline_after_any_other_result(observation: Job | AzureError) -> None:
    """Any other result of the last poll fails the watch at the deadline, even a deferred poll."""
    status = settle(_running(), observation, NOW + DEADLINE, consecutive_failures=1)["status"]

    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert status["job"]["name"]


def test_first_observation_starts_the_deadline() -> None:
    """The first observation, even an error, starts the deadline and never exceeds it."""
    observations: list[Job | AzureError] = [
        running_job(),
        errors.PollDeferred("x"),
        errors.Throttled("x"),
        errors.JobNotFound("x"),
    ]
    for observation in observations:
        body = watch_body(
            {"jobResourceId": JOB_ID, "activeDeadlineSeconds": 1}, creationTimestamp="2003-01-01T00:00:00Z"
        )
        status = settle(body, observation, NOW)["status"]

        assert status["phase"] != "Failed"
        assert status["watchStartTime"] == "2018-05-21T09:00:00Z"


def test_start_stays() -> None:
    """The watchStartTime of a target never changes."""
    body = _running()
    observations: list[Job | AzureError] = [errors.Throttled("x"), errors.PollDeferred("x"), running_job(), job()]
    for number, observation in enumerate(observations):
        body = settle(body, observation, NOW + timedelta(minutes=number))
        assert body["status"]["watchStartTime"] == "2018-05-21T09:00:00Z"


def test_suspended() -> None:
    """The deadline does not fail a suspended watch."""
    body = settle(edit(_running(), suspend=True), running_job(), NOW + timedelta(days=99))

    assert (body["status"]["phase"], body["status"]["reason"]) == ("Running", "Suspended")


@pytest.mark.parametrize(
    ("observation", "reason"), [(job(), "JobCompleted"), (running_job(), "DeadlineExceeded")], ids=["ended", "running"]
)
def test_resumed(observation: Job, reason: str) -> None:
    """The first poll after the watch is resumed decides whether the deadline fails it."""
    body = settle(edit(_running(), suspend=True), running_job(), NOW + timedelta(days=99))
    body = settle(edit(body, suspend=False), observation, NOW + timedelta(days=99))

    assert body["status"]["reason"] == reason


def test_created_suspended() -> None:
    """The deadline of a watch that was created suspended starts when it is resumed."""
    body = watch_body({"jobResourceId": JOB_ID, "activeDeadlineSeconds": 3600, "suspend": True})
    body = settle(body, running_job(), NOW)
    assert "watchStartTime" not in body["status"]

    body = settle(edit(body, suspend=False), running_job(), NOW + timedelta(days=99))
    assert body["status"]["phase"] == "Running"
    assert body["status"]["watchStartTime"] == "2018-08-28T09:00:00Z"


def test_edited() -> None:
    """A new deadline makes a new target, so its time starts over."""
    body = settle(edit(_running(), activeDeadlineSeconds=7200), running_job(), NOW + DEADLINE)

    assert body["status"]["phase"] == "Running"
    assert body["status"]["watchStartTime"] == "2018-05-21T10:00:00Z"
