"""Which changes of the status cause a write."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch import errors
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.status.transitions import needs_write, write_reason
from tests.support.builders import (
    JOB_ID,
    NOW,
    edit,
    job,
    request,
    running_job,
    settle,
    watch_body,
)

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.errors import AzureError

HEARTBEAT = timedelta(minutes=5)
SOON = NOW + timedelta(minutes=1)
TASK = {"taskId": "Transfer data from vault", "status": "InProgress", "progressPercentage": 40}


def _restore(**overrides: Any) -> Job:
    info = {"tasksList": [TASK], "progressPercentage": 40, "propertyBag": {"a": "1"}, "dynamicErrorMessage": "x"}
    return running_job(**{"operation": "Restore", "extendedInfo": info, **overrides})


def _info(**fields: Any) -> Job:
    info = {"tasksList": [TASK], "progressPercentage": 40, "propertyBag": {"a": "1"}, "dynamicErrorMessage": "x"}
    return _restore(extendedInfo={**info, **fields})


def _needs(
    before: dict[str, Any], observation: Job | AzureError, after: timedelta = SOON - NOW, consecutive_failures: int = 0
) -> bool:
    status = settle(before, observation, NOW + after, consecutive_failures=consecutive_failures)["status"]
    return needs_write(before["status"], status, heartbeat=HEARTBEAT)


def _running() -> dict[str, Any]:
    return settle(watch_body(), _restore(), NOW)


@pytest.mark.parametrize("observation", [_restore(), job(), errors.Throttled("x"), errors.PollDeferred("x")], ids=repr)
def test_first_write(observation: Job | AzureError) -> None:
    """The first status is always written."""
    assert _needs(watch_body(), observation)


@pytest.mark.parametrize(
    "observation",
    [
        _restore(),
        _restore(duration="01:00:00"),
        _info(progressPercentage=44.9),
        _info(tasksList=[{**TASK, "progressPercentage": 44}]),
        _info(tasksList=[{**TASK, "duration": "PT9S"}]),
        _info(propertyBag={"a": "2"}),
        _info(estimatedRemainingDuration="PT1M"),
        errors.PollDeferred("x"),
    ],
    ids=["same", "duration", "progress", "task's progress", "task's duration", "property", "estimate", "not asked"],
)
def test_not_worth_a_write(observation: Job | AzureError) -> None:
    """Durations, estimates, properties, small progress and deferred polls cause no write."""
    assert not _needs(_running(), observation)


@pytest.mark.parametrize(
    "observation",
    [
        job(),
        _restore(status="Cancelling"),
        _restore(status="Paused"),
        _restore(actionsInfo=[]),
        _restore(errorDetails=[{"errorCode": 5}]),
        _info(progressPercentage=45),
        _info(progressPercentage=39),
        _info(tasksList=[]),
        _info(tasksList=[TASK, TASK]),
        _info(tasksList=[{**TASK, "status": "Completed"}]),
        _info(tasksList=[{**TASK, "progressPercentage": 45}]),
        _info(tasksList=[{**TASK, "endTime": "2018-05-21T09:00:00Z"}]),
        _info(dynamicErrorMessage="y"),
        errors.Throttled("x"),
        errors.AuthorizationFailed("x"),
        errors.JobNotFound("x"),
    ],
)
def test_worth_a_write(observation: Job | AzureError) -> None:
    """Changes of phase, conditions, Azure's status, tasks and errors cause a write, as does each 5% of progress."""
    assert _needs(_running(), observation, consecutive_failures=1)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(299, False), (300, True), (3000, True), (-299, False), (-300, True)]
)
def test_heartbeat(seconds: int, expected: bool) -> None:  # noqa: FBT001
    """An unchanged status is written at the heartbeat, even if lastPollTime is in the future after a clock jump."""
    assert _needs(_running(), _restore(duration="02:00:00"), timedelta(seconds=seconds)) is expected


def test_no_heartbeat_without_a_poll() -> None:
    """Without a new poll, the heartbeat causes no write."""
    assert not _needs(_running(), errors.PollDeferred("x"), timedelta(minutes=9))


@pytest.mark.parametrize("end", [job(), job(status="Failed")], ids=["succeeded", "failed"])
def test_no_heartbeat_when_finished(end: Job) -> None:
    """The heartbeat never writes the status of a finished watch."""
    assert not _needs(settle(_running(), end, NOW), end, timedelta(days=300))


def test_no_heartbeat_while_suspended() -> None:
    """The heartbeat never writes the status of a suspended watch."""
    body = settle(edit(_running(), suspend=True), errors.PollDeferred("x"), SOON)

    assert not _needs(body, errors.PollDeferred("x"), timedelta(days=300))


@pytest.mark.parametrize(
    "fields",
    [{"pollInterval": "5m"}, {"suspend": True}, {"graceSeconds": 1}, {"jobResourceId": JOB_ID.upper()}],
    ids=repr,
)
@pytest.mark.parametrize("end", [_restore(), job()], ids=["running", "finished"])
def test_edits(end: Job, fields: dict[str, Any]) -> None:
    """Every edit to the spec causes a write, because the generation changes."""
    assert _needs(edit(settle(_running(), end, NOW), **fields), end)


@pytest.mark.parametrize("end", [_restore(), job()], ids=["running", "finished"])
def test_requests(end: Job) -> None:
    """A request causes exactly one write."""
    body = request(settle(_running(), end, NOW), "now")

    assert _needs(body, end)
    assert not _needs(settle(body, end, NOW), end)


def test_trouble_that_begins_to_count() -> None:
    """The start of counted trouble is written, so that it survives a restart. Later failures cause no write."""
    body = settle(watch_body(), errors.Throttled("x"), NOW)
    assert _needs(body, errors.AuthorizationFailed("x"), consecutive_failures=1)

    body = settle(watch_body(), errors.JobNotFound("x"), NOW, consecutive_failures=1)
    assert not _needs(body, errors.JobNotFound("other words"), consecutive_failures=2)


@pytest.mark.parametrize("name", ["phase", "target", "troubleSince", "lastHandledReconcileAt", "observedGeneration"])
def test_fields(name: str) -> None:
    """Each of these fields causes a write by itself, because a later process relies on it."""
    status = _running()["status"]

    assert needs_write(status, {**status, name: "other"}, heartbeat=HEARTBEAT)


@pytest.mark.parametrize(
    ("observation", "reason"),
    [
        (_restore(), "heartbeat"),
        (_info(progressPercentage=41), "heartbeat"),
        (_info(progressPercentage=46), "change"),
        (job(), "transition"),
        (errors.AzureUnavailable("x"), "transition"),
    ],
)
def test_purpose_of_a_write(observation: Job | AzureError, reason: str) -> None:
    """A write is for a transition (phase or reason changed), for another change, or for the heartbeat."""
    before = _running()
    status = settle(before, observation, SOON)["status"]
    assert write_reason(Watch.from_body(before), status) == reason


def test_the_first_write_is_a_transition() -> None:
    """The first write is always a transition."""
    assert write_reason(Watch.from_body(watch_body()), _running()["status"]) == "transition"


def test_odd_statuses() -> None:
    """Empty statuses can be compared."""
    assert not needs_write({}, {}, heartbeat=HEARTBEAT)
    assert needs_write({}, {"phase": "Running"}, heartbeat=HEARTBEAT)
