"""Which transitions emit an Event. ``test_transitions_writes`` tests what causes a write."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch import errors
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.status.transitions import (
    Transition,
    describe,
    events_to_replay,
    find_transition,
    find_transitions,
)
from tests.support.builders import (
    JOB_ID,
    NOW,
    OTHER_JOB_NAME,
    edit,
    job,
    request,
    running_job,
    settle,
    watch,
    watch_body,
)

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.errors import AzureError

SOON = NOW + timedelta(minutes=1)


def _running() -> dict[str, Any]:
    return settle(watch_body(), running_job(), NOW)


def _transition(before: dict[str, Any], observation: Job | AzureError, run: int = 1) -> Transition | None:
    return find_transition(
        Watch.from_body(before), settle(before, observation, SOON, consecutive_failures=run)["status"]
    )


def test_transition() -> None:
    """A change of phase or reason emits an Event with the reason and message of the status."""
    transition = _transition(_running(), job())

    assert transition is not None
    assert re.fullmatch(r"nightly\.[0-9a-f]{16}", transition.name)
    assert (transition.type, transition.reason) == ("Normal", "JobCompleted")
    assert transition.message == "Backup of uttestvmub1 completed in 20m23s."


@pytest.mark.parametrize(
    "observation",
    [
        running_job(),
        running_job(status="inprogress"),
        running_job(extendedInfo={"progressPercentage": 99}),
        errors.PollDeferred("x"),
    ],
    ids=repr,
)
def test_no_transition(observation: Job | AzureError) -> None:
    """Progress, changed letter case and a deferred poll emit no Event."""
    assert _transition(_running(), observation) is None


def test_new_target_emits_an_event() -> None:
    """A new target emits an Event, even if its phase and reason are those of the old one."""
    transition = _transition(edit(_running(), jobResourceId=JOB_ID[:-36] + OTHER_JOB_NAME), running_job())

    assert transition is not None
    assert transition.reason == "JobInProgress"


def test_restamp_emits_no_event() -> None:
    """An edit outside the target emits no Event, for running and for finished watches."""
    for body in (_running(), settle(_running(), job(), NOW)):
        assert _transition(edit(body, pollInterval="5m"), errors.PollDeferred("x")) is None


@pytest.mark.parametrize(
    ("observation", "kind"),
    [
        (running_job(), "Normal"),
        (running_job(status="Cancelling"), "Normal"),
        (job(), "Normal"),
        (errors.JobNotFound("x"), "Normal"),
        (running_job(status="Paused"), "Warning"),
        (job(status="Failed"), "Warning"),
        (job(status="Cancelled"), "Warning"),
        (job(status="CompletedWithWarnings"), "Warning"),
        (errors.VaultNotFound("x"), "Warning"),
        (errors.Throttled("x"), "Warning"),
        (errors.AzureUnavailable("x"), "Warning"),
        (errors.UnexpectedResponse("x"), "Warning"),
        (errors.JobListTooLong("x"), "Warning"),
        (errors.AuthenticationFailed("x"), "Warning"),
        (errors.AuthorizationFailed("x"), "Warning"),
        (errors.CredentialsNotFound("x"), "Warning"),
        (errors.IdentityNotAllowed("x"), "Warning"),
    ],
)
def test_types(observation: Job | AzureError, kind: str) -> None:
    """Trouble and failure emit Warning Events. Progress, success and waiting emit Normal ones."""
    transition = _transition(watch_body(), observation)

    assert transition is not None
    assert transition.type == kind


def test_suspension_emits_a_normal_event() -> None:
    """Suspension emits a Normal Event, because a user asked for it."""
    transition = _transition(edit(_running(), suspend=True), errors.PollDeferred("x"))

    assert transition is not None
    assert (transition.type, transition.reason) == ("Normal", "Suspended")


def test_accepted_warnings_are_normal() -> None:
    """Accepted warnings emit a Normal Event."""
    transition = _transition(edit(watch_body(), completedWithWarnings="Succeeded"), job(status="CompletedWithWarnings"))

    assert transition is not None
    assert transition.type == "Normal"


def test_name_is_steady() -> None:
    """The same transition always has the same Event name, whatever else has changed."""
    body = settle(_running(), job(), NOW)
    later = settle(request(edit(body, pollInterval="5m"), "now"), errors.PollDeferred("x"), SOON)
    names = {describe(Watch.from_body(each), each["status"]).name for each in (body, later, copy.deepcopy(body))}

    assert len(names) == 1
    assert _transition(_running(), job()) == describe(Watch.from_body(body), body["status"])


def test_names_apart() -> None:
    """Another object, target, start, phase or reason gives another Event name."""
    body = settle(_running(), job(), NOW)
    metadata = body["metadata"]
    others = [
        {**body, "metadata": {**metadata, "uid": "other"}},
        {**body, "status": {**body["status"], "target": "other"}},
        {**body, "status": {**body["status"], "watchStartTime": "2020-01-01T00:00:00Z"}},
        {**body, "status": {**body["status"], "phase": "Failed"}},
        {**body, "status": {**body["status"], "reason": "JobFailed"}},
    ]

    assert len({describe(Watch.from_body(each), each["status"]).name for each in [body, *others]}) == 6


def test_target_edited_away_and_back() -> None:
    """A target that is edited away and back gets a new Event name."""
    body = settle(watch_body(), job(), NOW)
    away = settle(edit(body, jobResourceId=JOB_ID[:-36] + OTHER_JOB_NAME), job(), SOON)
    back = settle(edit(away, jobResourceId=JOB_ID), job(), SOON + timedelta(minutes=1))
    names = [describe(Watch.from_body(each), each["status"]).name for each in (body, away, back)]

    assert len(set(names)) == 3


@pytest.mark.parametrize("name", ["a", "a" * 253, f"{'a' * 235}.{'b' * 17}", f"{'a' * 235}-{'b' * 17}"])
def test_names_are_valid(name: str) -> None:
    """The name of an Event is a DNS subdomain of at most 253 characters, even for the longest watch name."""
    event = describe(watch(name=name), {"phase": "Running"}).name

    assert len(event) <= 253
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", event)


@pytest.mark.parametrize(("age", "expected"), [(0, True), (3600, True), (3601, False)])
def test_worth_repeating(age: int, expected: bool) -> None:  # noqa: FBT001
    """An end within the last hour is replayed as repeated: a crashed process may not have reported it."""
    body = settle(_running(), job(), NOW)
    told = events_to_replay(Watch.from_body(body), now=NOW + timedelta(seconds=age))

    again = replace(describe(Watch.from_body(body), body["status"]), repeated=True)
    assert told == ((again,) if expected else ())


@pytest.mark.parametrize("body", [watch_body(), _running(), settle(edit(_running(), suspend=True), job(), NOW)])
def test_not_worth_repeating(body: dict[str, Any]) -> None:
    """An unfinished watch has no Event to replay."""
    assert events_to_replay(Watch.from_body(body), now=NOW) == ()


def test_end_of_another_target() -> None:
    """The end of a previous target is not replayed."""
    body = edit(settle(_running(), job(), NOW), graceSeconds=5)

    assert events_to_replay(Watch.from_body(body), now=NOW) == ()


def test_end_without_a_time() -> None:
    """An end without a completionTime is not replayed."""
    body = settle(_running(), job(), NOW)
    del body["status"]["completionTime"]

    assert events_to_replay(Watch.from_body(body), now=NOW) == ()


def test_changes_that_emit_an_event() -> None:
    """A change of the verdict and a failed delivery emit one Event each."""
    before = settle(watch_body(), running_job(), NOW)
    failed = {"notifications": [{"name": "hook", "id": "x", "state": "Failed", "message": "m"}]}
    found = find_transitions(Watch.from_body(before), {**settle(before, job(), NOW)["status"], **failed})

    assert [each.reason for each in found] == ["JobCompleted", "NotificationFailed"]
    assert find_transitions(Watch.from_body(before), before["status"]) == ()
