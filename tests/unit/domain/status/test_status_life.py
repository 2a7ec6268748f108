"""The life of a status: edits, suspension, requests, and the end after which it is frozen."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch import errors
from backupjobwatch.domain.api.snapshot import Watch
from tests.support.builders import (
    JOB_ID,
    NOW,
    OTHER_JOB_NAME,
    condition,
    edit,
    job,
    request,
    running_job,
    settle,
    standing,
    watch_body,
)

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.errors import AzureError

LATER = NOW + timedelta(hours=1)
OTHER_JOB = JOB_ID[:-36] + OTHER_JOB_NAME
ENDS = [job(), job(status="Failed"), job(status="Cancelled"), job(status="CompletedWithWarnings")]


def _running() -> dict[str, Any]:
    return settle(watch_body(), running_job(), NOW)


def _without_generation(status: dict[str, Any]) -> dict[str, Any]:
    conditions = [{**each, "observedGeneration": 0} for each in status["conditions"]]
    return {**status, "observedGeneration": 0, "conditions": conditions}


@pytest.mark.parametrize("end", ENDS, ids=[str(end.status) for end in ENDS])
@pytest.mark.parametrize(
    "observation",
    [
        running_job(),
        job(),
        job(status="Failed"),
        errors.JobNotFound("x"),
        errors.Throttled("x"),
        errors.PollDeferred("x"),
    ],
    ids=repr,
)
def test_final_status_never_changes(end: Job, observation: Job | AzureError) -> None:
    """A final status never changes again, whatever Azure reports later."""
    body = settle(_running(), end, NOW)

    assert settle(body, observation, LATER, consecutive_failures=99)["status"] == body["status"]


def test_frozen_by_deadline() -> None:
    """A job that ends after the deadline does not open the gate."""
    body = settle(_running(), running_job(), NOW + timedelta(days=3))

    assert settle(body, job(), NOW + timedelta(days=3, seconds=30))["status"] == body["status"]


@pytest.mark.parametrize("end", ENDS, ids=[str(end.status) for end in ENDS])
@pytest.mark.parametrize(
    "fields", [{"pollInterval": "5m"}, {"suspend": True}, {"suspend": True, "pollInterval": "10s"}], ids=repr
)
def test_restamp_when_finished(end: Job, fields: dict[str, Any]) -> None:
    """An edit outside the target changes only the generation in the status of a finished watch."""
    before = settle(_running(), end, NOW)
    after = settle(edit(before, **fields), errors.PollDeferred("x"), LATER)

    assert after["status"]["observedGeneration"] == 2
    assert {each["observedGeneration"] for each in after["status"]["conditions"]} == {2}
    assert _without_generation(after["status"]) == _without_generation(before["status"])


def test_restamp_while_running() -> None:
    """An edit outside the target changes only the generation in the status of a running watch, even without a poll."""
    before = _running()
    after = settle(edit(before, pollInterval="5m"), errors.PollDeferred("x"), NOW + timedelta(minutes=1))

    assert after["status"]["observedGeneration"] == 2
    assert _without_generation(after["status"]) == _without_generation(before["status"])


@pytest.mark.parametrize("end", [None, *ENDS], ids=["running", *(str(end.status) for end in ENDS)])
@pytest.mark.parametrize(
    "fields",
    [
        {"jobResourceId": OTHER_JOB},
        {"activeDeadlineSeconds": 60},
        {"graceSeconds": 0},
        {"completedWithWarnings": "Succeeded"},
    ],
    ids=repr,
)
def test_new_target(end: Job | None, fields: dict[str, Any]) -> None:
    """Editing the target starts the watch over and drops everything about the old target."""
    before = _running() if end is None else settle(_running(), end, NOW)
    after = settle(edit(before, **fields), errors.PollDeferred("Azure asked to wait."), LATER)["status"]

    assert (after["phase"], after["reason"], after["observedGeneration"]) == ("Pending", "Throttled", 2)
    assert after["target"] != before["status"]["target"]
    assert after["watchStartTime"] == "2018-05-21T10:00:00Z"
    assert not {"job", "duration", "durationSeconds", "extendedInfo", "errors", "completionTime", "troubleSince"} & set(
        after
    )


def test_new_target_knows_nothing_of_azure() -> None:
    """AzureReachable is Unknown for a new target, which may be in another subscription."""
    status = settle(edit(_running(), jobResourceId=OTHER_JOB), errors.PollDeferred("Wait."), LATER)["status"]

    assert standing(status)["AzureReachable"] == "Unknown"


def test_new_target_gets_its_own_verdict() -> None:
    """A new target gets its own verdict, by the edited spec."""
    body = settle(_running(), job(status="CompletedWithWarnings"), NOW)
    body = settle(edit(body, completedWithWarnings="Succeeded"), job(status="CompletedWithWarnings"), LATER)

    assert body["status"]["phase"] == "Succeeded"
    assert body["status"]["completionTime"] == "2018-05-21T10:00:00Z"


def test_new_target_clears_trouble() -> None:
    """The grace period of a new target starts with the target."""
    body = settle(watch_body(), errors.JobNotFound("x"), NOW, consecutive_failures=2)
    body = settle(edit(body, jobResourceId=OTHER_JOB), errors.JobNotFound("x"), LATER, consecutive_failures=3)

    assert body["status"]["phase"] == "Pending"
    assert body["status"]["troubleSince"] == "2018-05-21T10:00:00Z"


def test_letter_case_is_no_edit() -> None:
    """The same job ID in other letter case is the same target, so the verdict stays."""
    body = settle(_running(), job(), NOW)
    after = settle(edit(body, jobResourceId=JOB_ID.upper()), errors.PollDeferred("x"), LATER)

    assert (after["status"]["phase"], after["status"]["observedGeneration"]) == ("Succeeded", 2)


def test_transition_times_across_targets() -> None:
    """lastTransitionTime changes only when the condition's status changes, even across targets."""
    body = settle(edit(_running(), jobResourceId=OTHER_JOB), errors.Throttled("x"), LATER)
    times = {each["type"]: each["lastTransitionTime"][11:13] for each in body["status"]["conditions"]}

    assert times == {"Ready": "09", "Succeeded": "09", "Finished": "09", "Reconciling": "09", "AzureReachable": "10"}


def test_suspend_and_resume() -> None:
    """A suspended watch keeps its status and continues from there when it is resumed."""
    running = _running()
    suspended = settle(edit(running, suspend=True), errors.PollDeferred("x"), NOW + timedelta(minutes=1))
    status = suspended["status"]

    assert status["message"] == "The operator sends no requests to Azure until spec.suspend is false."
    for name in ("job", "duration", "extendedInfo", "watchStartTime", "lastPollTime", "phase", "target"):
        assert status[name] == running["status"][name]

    resumed = settle(
        edit(suspended, suspend=False), errors.PollDeferred("Wait.", stale=True), NOW + timedelta(minutes=2)
    )
    assert (resumed["status"]["phase"], resumed["status"]["reason"]) == ("Running", "Throttled")
    assert resumed["status"]["message"] == "Wait."
    assert resumed["status"]["job"] == running["status"]["job"]


def test_answer_while_suspended() -> None:
    """An answer that arrives after the watch was suspended does not open the gate."""
    body = settle(edit(_running(), suspend=True), job(), NOW)

    assert (body["status"]["phase"], body["status"]["job"]["status"]) == ("Running", "InProgress")


def test_suspension_breaks_a_run() -> None:
    """Suspension resets the grace period."""
    body = settle(watch_body(), errors.JobNotFound("x"), NOW, consecutive_failures=2)
    body = settle(edit(body, suspend=True), errors.PollDeferred("x"), NOW)
    assert "troubleSince" not in body["status"]

    body = settle(edit(body, suspend=False), errors.JobNotFound("x"), LATER, consecutive_failures=3)
    assert body["status"]["phase"] == "Pending"


def test_invalid_spec() -> None:
    """An invalid spec fails at once, without a request. The message says what to write."""
    status = settle(watch_body({"jobResourceId": "x"}), running_job(), NOW)["status"]

    assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec")
    assert status["message"].startswith("spec.jobResourceId must be a path of the form /subscriptions/{UUID}/")
    assert status["message"].endswith(".")
    assert not {"job", "watchStartTime", "lastPollTime"} & set(status)


@pytest.mark.parametrize("fixed", [{"pollInterval": "30s"}, {"pollInterval": "30s", "suspend": True}], ids=repr)
def test_fixed_spec(fixed: dict[str, Any]) -> None:
    """Any edit that fixes the spec starts the watch."""
    body = settle(watch_body({"jobResourceId": JOB_ID, "pollInterval": "7s"}), running_job(), NOW)
    assert body["status"]["reason"] == "InvalidSpec"

    status = settle(edit(body, **fixed), errors.JobNotFound("x"), LATER, consecutive_failures=1)["status"]
    assert status["phase"] == "Pending"
    assert "completionTime" not in status
    stalled = condition(status, "Stalled")
    assert stalled is None


def test_still_invalid() -> None:
    """Another invalid edit gets its own message."""
    body = settle(watch_body({"jobResourceId": "x"}), running_job(), NOW)
    status = settle(edit(body, jobResourceId=JOB_ID, suspend="yes"), running_job(), LATER)["status"]

    assert (status["reason"], status["message"]) == ("InvalidSpec", 'spec.suspend must be true or false, got "yes".')
    assert status["observedGeneration"] == 2


@pytest.mark.parametrize(
    "observation", [running_job(), job(), errors.Throttled("x"), errors.JobNotFound("x")], ids=repr
)
def test_request_is_echoed(observation: Job | AzureError) -> None:
    """A poll acknowledges the request for it, whatever the result."""
    body = settle(request(_running(), "now"), observation, NOW, consecutive_failures=1)

    assert body["status"]["lastHandledReconcileAt"] == "now"
    assert not Watch.from_body(body).request_pending


def test_request_waits_for_the_poll() -> None:
    """While the poll is deferred, the request is pending and an older acknowledgement stays."""
    body = settle(request(_running(), "first"), running_job(), NOW)
    body = settle(request(body, "second"), errors.PollDeferred("x"), NOW)

    assert body["status"]["lastHandledReconcileAt"] == "first"
    assert Watch.from_body(body).request_pending


@pytest.mark.parametrize(
    "spec", [{"jobResourceId": JOB_ID, "suspend": True}, {"jobResourceId": "x"}], ids=["suspended", "invalid"]
)
def test_request_without_a_poll(spec: dict[str, Any]) -> None:
    """A watch that sends no requests acknowledges at once, because no poll will follow."""
    body = settle(request(watch_body(spec), "now"), errors.PollDeferred("x"), NOW)

    assert body["status"]["lastHandledReconcileAt"] == "now"


def test_request_when_finished() -> None:
    """A finished watch acknowledges a request, and nothing else changes."""
    before = settle(_running(), job(), NOW)
    after = settle(request(before, "now"), errors.PollDeferred("x"), LATER)

    assert after["status"] == {**before["status"], "lastHandledReconcileAt": "now"}


def test_removed_request() -> None:
    """The acknowledgement stays when the annotation is removed or the target changes."""
    body = settle(request(_running(), "now"), running_job(), NOW)
    del body["metadata"]["annotations"]

    assert settle(body, running_job(), NOW)["status"]["lastHandledReconcileAt"] == "now"
    assert settle(edit(body, graceSeconds=5), running_job(), NOW)["status"]["lastHandledReconcileAt"] == "now"


@pytest.mark.parametrize("before", [None, "first"])
def test_empty_request(before: str | None) -> None:
    """An empty request is acknowledged too. Otherwise it would stay pending forever."""
    body = _running() if before is None else settle(request(_running(), before), running_job(), NOW)
    body = settle(request(body, ""), running_job(), NOW)

    assert body["status"]["lastHandledReconcileAt"] == ""
    assert not Watch.from_body(body).request_pending


def test_request_at_the_deadline() -> None:
    """If the deadline ends the watch without a poll, the request is acknowledged, because no poll will follow."""
    body = settle(request(_running(), "now"), errors.PollDeferred("x"), NOW + timedelta(days=3))

    assert body["status"]["reason"] == "DeadlineExceeded"
    assert body["status"]["lastHandledReconcileAt"] == "now"
