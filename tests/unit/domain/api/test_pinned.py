"""Watches that do not name their job: they wait for it, resolve it once, and keep it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from backupjobwatch import errors
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.findings import Finding, OperationFailure, PinnedJob, Waiting
from tests.property.oracles import check_status
from tests.support.azure_errors import KINDS
from tests.support.builders import (
    JOB_NAME,
    NOW,
    OPERATION,
    OTHER_JOB_NAME,
    VAULT_REF,
    condition,
    edit,
    job,
    running_job,
    settle,
    standing,
    watch_body,
)  # fmt: skip

BY_OPERATION = {"operationId": OPERATION, "vault": VAULT_REF}
BY_LATEST = {"latest": {"item": "vm1"}, "vault": VAULT_REF}
SPECS = pytest.mark.parametrize("spec", [BY_OPERATION, BY_LATEST], ids=["operation", "latest"])
PINS = (PinnedJob(name=JOB_NAME),)
MINUTE = timedelta(minutes=1)
NO_JOB = errors.OperationWithoutJob("The operation succeeded, but Azure names no job that it started.")
WAITING = Waiting(reason="WaitingForJob", message="No Backup of vm1 has started after … yet.")
AMBIGUOUS = Waiting(reason="AmbiguousItem", message="Several containers have an item vm1.")
PROGRESSING = Waiting(reason="Progressing", message="The operation has not started a job yet.")


def step(body: dict[str, Any], finding: Finding, minutes: float, **more: Any) -> dict[str, Any]:
    after = settle(body, finding, NOW + minutes * MINUTE, **more)
    check_status(after)
    return after


def pinned(body: dict[str, Any]) -> tuple[PinnedJob, ...]:
    return Watch.from_body(body).pinned


@pytest.mark.parametrize("waiting", [WAITING, AMBIGUOUS, PROGRESSING], ids=lambda waiting: waiting.reason)
def test_waiting(waiting: Waiting) -> None:
    """Until its job exists, a watch is Pending and reachable, with the finding's reason and message."""
    status = step(watch_body(BY_LATEST), waiting, 0)["status"]

    assert (status["phase"], status["reason"], status["message"]) == ("Pending", waiting.reason, waiting.message)
    assert standing(status)["AzureReachable"] == "True"
    assert (condition(status, "Reconciling") or {})["reason"] == "Progressing"
    assert not {"troubleSince", "job", "jobs"} & status.keys()


@pytest.mark.parametrize("waiting", [WAITING, AMBIGUOUS, PROGRESSING], ids=lambda waiting: waiting.reason)
def test_waiting_is_tolerated_until_the_deadline(waiting: Waiting) -> None:
    """Waiting is not trouble: only the deadline ends it, not the grace period."""
    body = watch_body({**BY_LATEST, "graceSeconds": 60, "activeDeadlineSeconds": 3600})
    for minute in range(60):
        body = step(body, waiting, minute, consecutive_failures=minute)
        assert body["status"]["phase"] == "Pending"
    body = step(body, waiting, 60, consecutive_failures=60)

    assert (body["status"]["phase"], body["status"]["reason"]) == ("Failed", "DeadlineExceeded")
    assert waiting.message in body["status"]["message"]


def test_without_job_until_grace() -> None:
    """An operation without a job is tolerated for the grace period. Then the watch fails and never succeeds."""
    body = watch_body(BY_OPERATION)
    for minute in range(10):
        body = step(body, NO_JOB, minute, consecutive_failures=minute + 1)
        assert (body["status"]["phase"], body["status"]["reason"]) == ("Pending", "OperationWithoutJob")
        assert body["status"]["troubleSince"] == "2018-05-21T09:00:00Z"
        assert standing(body["status"])["AzureReachable"] == "True"
    status = step(body, NO_JOB, 10, consecutive_failures=11)["status"]

    assert (status["phase"], status["reason"]) == ("Failed", "OperationWithoutJob")
    assert standing(status)["Ready"] == "False"


def test_a_late_job_ends_the_trouble() -> None:
    """An operation that names its job within the grace period ends the trouble."""
    body = step(step(watch_body(BY_OPERATION), NO_JOB, 0, consecutive_failures=1), running_job(), 9, pinned=PINS)

    assert body["status"]["phase"] == "Running"
    assert "troubleSince" not in body["status"]


def test_operation_failed() -> None:
    """A failed operation fails the watch at once, with Azure's message."""
    failure = OperationFailure(message="The operation ended as Canceled. UserErrorX: Somebody stopped it.")
    status = step(watch_body(BY_OPERATION), failure, 0)["status"]

    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "OperationFailed", failure.message)
    assert standing(status)["Stalled"] == "True"
    assert "job" not in status


@SPECS
def test_pinned(spec: dict[str, Any]) -> None:
    """A resolved job is pinned: the status lists it with what was observed of it."""
    body = step(watch_body(spec), running_job(), 0, pinned=PINS)

    assert body["status"]["jobs"] == [
        {"name": JOB_NAME, "status": "InProgress", "operation": "Backup", "entityFriendlyName": "uttestvmub1"}
    ]
    assert pinned(body) == PINS


TROUBLE = [kind("Trouble.") for kind in KINDS]


@SPECS
@pytest.mark.parametrize("trouble", TROUBLE, ids=lambda error: type(error).__name__)
def test_pinned_before_seen(spec: dict[str, Any], trouble: errors.AzureError) -> None:
    """A job is pinned even if it could not be read, so the operator does not resolve it again."""
    body = step(watch_body(spec), trouble, 0, pinned=PINS)

    assert body["status"]["jobs"] == [{"name": JOB_NAME}]
    assert pinned(body) == PINS
    assert not Watch.from_body(body).seen


@SPECS
@pytest.mark.parametrize("trouble", TROUBLE, ids=lambda error: type(error).__name__)
def test_kept_through_trouble(spec: dict[str, Any], trouble: errors.AzureError) -> None:
    """Trouble never changes the pinned jobs, whether or not the call passes them (it does not after a restart)."""
    body = step(watch_body(spec), running_job(), 0, pinned=PINS)
    for pins in ((), PINS):
        assert step(body, trouble, 1, pinned=pins)["status"]["jobs"] == body["status"]["jobs"]


@SPECS
def test_kept_through_suspension(spec: dict[str, Any]) -> None:
    """A watch keeps its job when it is suspended and resumed."""
    body = step(watch_body(spec), running_job(), 0, pinned=PINS)
    body = step(edit(body, suspend=True), errors.PollDeferred("x"), 1)
    body = step(edit(body, suspend=False), errors.PollDeferred("x"), 2)

    assert pinned(body) == PINS


@SPECS
def test_kept_at_the_end(spec: dict[str, Any]) -> None:
    """A finished watch still names its job, even after an edit outside the target."""
    body = step(step(watch_body(spec), running_job(), 0, pinned=PINS), job(), 1, pinned=PINS)
    body = step(edit(body, pollInterval="5m"), errors.PollDeferred("x"), 2)

    assert body["status"]["phase"] == "Succeeded"
    assert body["status"]["jobs"][0]["status"] == "Completed"


@pytest.mark.parametrize(
    "fields",
    [
        {"operationId": OTHER_JOB_NAME},
        {"operationId": None, "latest": {"item": "vm1"}},
        {"vault": {**VAULT_REF, "name": "other"}},
        {"graceSeconds": 5},
        {"identity": {"secretName": "mine"}},
    ],
)
def test_cleared_by_another_target(fields: dict[str, Any]) -> None:
    """Editing the target drops the pinned jobs, in the next status too."""
    before = step(watch_body(BY_OPERATION), running_job(), 0, pinned=PINS)
    edited = edit(before, **fields)
    after = step(edited, PROGRESSING, 1)

    assert pinned(edited) == ()
    assert not {"job", "jobs", "jobsTotal"} & after["status"].keys()


def test_error_codes_are_kept() -> None:
    """The error code of a job that could not be started is in the status, so it survives a restart."""
    pins = (PinnedJob(name=JOB_NAME), PinnedJob(name=OTHER_JOB_NAME, error_code="UserErrorX"))
    body = step(watch_body(BY_OPERATION), errors.Throttled("Wait."), 0, pinned=pins)

    assert pinned(body) == pins


@pytest.mark.parametrize("status", [{}, {"jobs": None}, {"jobs": []}, {"jobs": [{"name": JOB_NAME}], "jobsTotal": 2}])
def test_nothing_pinned(status: dict[str, Any]) -> None:
    """A status with no jobs, or with an incomplete list, pins none."""
    body = watch_body(BY_OPERATION)
    body["status"] = {"target": Watch.from_body(body).target, **status}

    assert pinned(body) == ()
