"""The fields that mirror the job. See also ``test_status_table`` and ``test_status_life``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from backupjobwatch import errors
from backupjobwatch.domain.jobs.findings import Waiting
from backupjobwatch.domain.jobs.payloads import TEXT
from backupjobwatch.domain.jobs.recovery_services import parse_job
from backupjobwatch.domain.jobs.times import format_time
from backupjobwatch.domain.status.assessment import Assessment
from backupjobwatch.domain.status.next_status import next_status
from tests.support.azure import payload
from tests.support.builders import (
    ABSENT,
    JOB_ID,
    JOB_NAME,
    NOW,
    VAULT_REF,
    condition,
    job,
    running_job,
    settle,
    watch,
    watch_body,
)


def _status(**overrides: Any) -> dict[str, Any]:
    return next_status(watch(), Assessment(finding=job(**overrides)), now=NOW)


def test_job() -> None:
    """The job is mirrored with Azure's values, and its times have the format of Kubernetes."""
    assert _status()["job"] == {
        "resourceId": JOB_ID,
        "name": JOB_NAME,
        "vault": "abdemovault",
        "type": "AzureIaaSVMJob",
        "status": "Completed",
        "operation": "Backup",
        "backupManagementType": "AzureIaasVM",
        "entityFriendlyName": "uttestvmub1",
        "activityId": "7df8e874-1d66-4f81-8e91-da2fe054811d",
        "startTime": "2018-05-21T08:35:40Z",
        "endTime": "2018-05-21T08:56:04Z",
        "cancellable": False,
    }


def test_details() -> None:
    """Duration, tasks and properties are mirrored."""
    status = _status()

    assert (status["duration"], status["durationSeconds"]) == ("20m23s", 1223)
    assert status["extendedInfo"] == {
        "tasks": [
            {"taskId": "Take Snapshot", "status": "Completed", "duration": "0s"},
            {"taskId": "Transfer data to vault", "status": "Completed", "duration": "0s"},
        ],
        "properties": {"VM Name": "uttestvmub1", "Backup Size": "2332 MB"},
    }


def test_progress() -> None:
    """A restore has its total progress, and the progress and transferred data of each task."""
    status = next_status(
        watch(), Assessment(finding=parse_job(payload("job-iaasvm-restore-inprogress-progress"))), now=NOW
    )

    assert status["extendedInfo"]["progressPercent"] == 42
    assert status["extendedInfo"]["estimatedRemaining"] == "1h31m5s"
    assert status["extendedInfo"]["tasks"] == [
        {
            "taskId": "Transfer data from vault",
            "status": "InProgress",
            "startTime": "2026-03-04T01:00:13Z",
            "duration": "0s",
            "progressPercent": 42,
            "taskExecutionDetails": "10.42 GBs / 24.8 GBs Transferred",
        }
    ]


def test_errors() -> None:
    """Errors are mirrored with their recommendations. Empty errors are dropped."""
    status = next_status(watch(), Assessment(finding=parse_job(payload("job-iaasvm-failed"))), now=NOW)

    (error,) = status["errors"]
    assert set(error) == {"code", "title", "message", "recommendations"}
    assert error["title"] == "UserErrorGuestAgentStatusUnavailable"


def test_zero_values_are_reported() -> None:
    """Zero and false are kept in the status."""
    status = _status(duration="PT0S", endTime=ABSENT, isUserTriggered=False, extendedInfo={"progressPercentage": 0})

    assert (status["duration"], status["durationSeconds"]) == ("0s", 0)
    assert status["extendedInfo"]["progressPercent"] == 0
    assert status["job"]["userTriggered"] is False


def test_omitted_fields_are_absent() -> None:
    """Fields that Azure omits are absent."""
    status = next_status(
        watch(), Assessment(finding=parse_job({"id": JOB_ID, "properties": {"status": "InProgress"}})), now=NOW
    )

    assert set(status["job"]) == {"resourceId", "name", "vault", "status"}
    assert not {"duration", "durationSeconds", "extendedInfo", "errors"} & set(status)


@pytest.mark.parametrize(
    ("status", "actions", "cancellable"),
    [
        ("InProgress", [1], True),
        ("InProgress", [], False),
        ("InProgress", ABSENT, None),
        ("Completed", [1], False),
        ("Completed", ABSENT, None),
        ("Paused", ["Cancellable"], True),
    ],
)
def test_cancellable(status: str, actions: Any, cancellable: bool | None) -> None:  # noqa: FBT001
    """``cancellable`` is false for a job that has ended, even if Azure still lists the action."""
    assert _status(status=status, actionsInfo=actions)["job"].get("cancellable") is cancellable


def test_answer_replaces_answer() -> None:
    """A new answer replaces the previous one completely."""
    body = settle(watch_body(), running_job(errorDetails=[{"errorCode": 5}]), NOW)
    silent = running_job(errorDetails=ABSENT, extendedInfo=ABSENT, duration=ABSENT, startTime=ABSENT)
    status = settle(body, silent, NOW)["status"]

    assert not {"errors", "extendedInfo", "duration", "durationSeconds"} & set(status)


@pytest.mark.parametrize("error", [errors.Throttled("x"), errors.PollDeferred("x"), errors.JobNotFound("x")], ids=repr)
def test_trouble_keeps_the_mirror(error: errors.AzureError) -> None:
    """Trouble leaves the mirrored fields unchanged."""
    body = settle(watch_body(), running_job(errorDetails=[{"errorCode": 5}]), NOW)
    after = settle(body, error, NOW + timedelta(minutes=1), consecutive_failures=1)["status"]

    for name in ("job", "duration", "durationSeconds", "extendedInfo", "errors", "watchStartTime"):
        assert after[name] == body["status"][name]


def test_poll_time() -> None:
    """Each answer and each error of a sent request changes lastPollTime. A deferred poll does not."""
    body = settle(watch_body(), running_job(), NOW)
    assert body["status"]["lastPollTime"] == "2018-05-21T09:00:00Z"

    body = settle(body, errors.PollDeferred("x"), NOW + timedelta(minutes=1))
    assert body["status"]["lastPollTime"] == "2018-05-21T09:00:00Z"

    body = settle(body, errors.Throttled("x"), NOW + timedelta(minutes=2))
    assert body["status"]["lastPollTime"] == "2018-05-21T09:02:00Z"


def test_message_is_fit_to_print() -> None:
    """Messages are one line, without escape sequences and secrets, whatever their source."""
    text = "\u001b[31mNo\r\naccess to https://h/b?sig=SECRET with eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.SECRET"
    status = next_status(watch(), Assessment(finding=errors.AuthorizationFailed(text), consecutive_failures=1), now=NOW)

    assert status["message"].startswith("[31mNo access to https://h/b?[…] with [token] The watch fails if")
    assert all(each["message"].isprintable() and "SECRET" not in each["message"] for each in status["conditions"])


@pytest.mark.parametrize(
    "error", [errors.Throttled("x" * 9999), errors.PollDeferred("x" * 9999)], ids=["Throttled", "NotAsked"]
)
def test_long_message(error: errors.AzureError) -> None:
    """Messages are truncated to the maximum length in the CRD."""
    status = next_status(watch(), Assessment(finding=error, consecutive_failures=1), now=NOW)

    assert {len(each["message"]) for each in status["conditions"]} <= {TEXT, len("The watch has not finished.")}


def test_message_names_truncated_parts() -> None:
    """The message names the truncated parts of Azure's answer."""
    status = _status(extendedInfo={"tasksList": [{}] * 60, "propertyBag": {str(number): "v" for number in range(60)}})

    assert status["message"] == (
        "Backup of uttestvmub1 completed in 20m23s. "
        "These parts of Azure's response exceed the limits of the status and are truncated: properties, tasks."
    )


def test_note_of_a_cut_behind_a_long_message() -> None:
    """The message names the truncated parts even if the message itself is truncated."""
    status = _status(status="Failed", errorDetails=[{"errorString": "x" * 2000}], extendedInfo={"tasksList": [{}] * 60})

    assert "tasks" in status["message"]


def test_deferred_poll_keeps_azure_reachable() -> None:
    """A deferred poll leaves the AzureReachable condition unchanged."""
    body = settle(watch_body(), errors.AzureUnavailable("No route."), NOW)
    before = condition(body["status"], "AzureReachable")
    body = settle(body, errors.PollDeferred("x"), NOW + timedelta(minutes=1))

    assert condition(body["status"], "AzureReachable") == before
    assert before is not None
    assert (before["status"], before["reason"], before["message"]) == ("False", "AzureUnavailable", "No route.")


def test_deferred_poll_restores_azure_reachable() -> None:
    """If the AzureReachable condition was removed, a deferred poll writes it as Unknown."""
    body = settle(watch_body(), running_job(), NOW)
    body["status"]["conditions"] = [each for each in body["status"]["conditions"] if each["type"] != "AzureReachable"]
    reachable = condition(settle(body, errors.PollDeferred("Wait."), NOW)["status"], "AzureReachable")

    assert reachable is not None
    assert (reachable["status"], reachable["reason"], reachable["message"]) == ("Unknown", "NotAsked", "Wait.")


def test_snapshot_is_not_modified() -> None:
    """Computing the next status does not modify the object."""
    body = settle(watch_body(), running_job(), NOW)
    copy = settle(watch_body(), running_job(), NOW)
    settle(body, job(), NOW + timedelta(minutes=1))

    assert body == copy


def test_polled() -> None:
    """lastPollTime and searchedUntil are the time of the request. Other times are the time of the verdict."""
    sent = NOW - timedelta(seconds=7)
    body = settle(watch_body(), running_job(), NOW, polled=sent)
    assert (body["status"]["lastPollTime"], body["status"]["watchStartTime"]) == (format_time(sent), format_time(NOW))

    latest = watch_body({"latest": {"item": "vm1"}, "vault": VAULT_REF})
    waiting = Waiting(reason="WaitingForJob", message="x", searched=True)
    assert settle(latest, waiting, NOW, polled=sent)["status"]["searchedUntil"] == format_time(sent)
    assert settle(latest, waiting, NOW)["status"]["searchedUntil"] == format_time(NOW)
