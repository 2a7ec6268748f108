"""The status of a watch with ``spec.latest``: searchedUntil, and outcomes without a request to Azure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch import errors
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import WatchSpec
from backupjobwatch.domain.jobs.findings import OperationFailure, PinnedJob, Waiting
from backupjobwatch.domain.jobs.times import format_time
from backupjobwatch.errors import InvalidSpec
from tests.support.azure_errors import KINDS, NO_REQUEST
from tests.support.builders import (
    JOB_NAME,
    NOW,
    VAULT_REF,
    condition,
    edit,
    job,
    request,
    running_job,
    settle,
    watch_body,
)  # fmt: skip

if TYPE_CHECKING:
    from datetime import datetime

    from backupjobwatch.domain.jobs.findings import Finding

DAY = timedelta(days=1)
LATER = NOW + timedelta(minutes=1)
NOTHING = Waiting(reason="WaitingForJob", message="m", searched=True)
AMBIGUOUS = Waiting(reason="AmbiguousItem", message="m")
PINS = (PinnedJob(name=JOB_NAME),)
LONG = {"activeDeadlineSeconds": 31536000}


def body(started_after: datetime | None = None, **spec: Any) -> dict[str, Any]:
    latest = {"item": "vm1", **({"startedAfter": format_time(started_after)} if started_after else {})}
    vault = {**VAULT_REF, "kind": "BackupVault"}
    return watch_body({"latest": latest, "vault": vault, **LONG, **spec}, creationTimestamp=format_time(NOW))


def reachable(status: dict[str, Any]) -> tuple[str, str]:
    found = condition(status, "AzureReachable") or {}
    return found["status"], found["reason"]


def test_too_early_a_start_fails_at_once() -> None:
    """Without a request, lastPollTime is absent and AzureReachable is Unknown. The annotation is echoed."""
    status = settle(request(body(NOW - 14 * DAY), "one"), errors.PollDeferred("m"), NOW)["status"]

    assert (status["phase"], status["reason"], status["lastHandledReconcileAt"]) == ("Failed", "InvalidSpec", "one")
    assert "at most 13 days before this object's creation" in status["message"]
    assert reachable(status) == ("Unknown", "NotAsked")
    assert not {"lastPollTime", "watchStartTime", "searchedUntil"} & status.keys()


def test_an_edit_starts_again() -> None:
    """A later startedAfter is another target, so the watch starts over."""
    failed = settle(body(NOW - 14 * DAY), errors.PollDeferred("m"), NOW)
    latest = {"item": "vm1", "startedAfter": format_time(NOW - 12 * DAY)}
    status = settle(edit(failed, latest=latest), NOTHING, NOW)["status"]

    assert (status["phase"], status["reason"]) == ("Pending", "WaitingForJob")


def test_searched_until() -> None:
    """searchedUntil advances with each list without a match, else stays, and goes when the job is resolved."""
    first = settle(body(), NOTHING, NOW)
    assert first["status"]["searchedUntil"] == format_time(NOW)
    for finding in (errors.AzureUnavailable("m"), errors.PollDeferred("m"), AMBIGUOUS):
        assert settle(first, finding, LATER)["status"]["searchedUntil"] == format_time(NOW)
    assert settle(first, NOTHING, LATER)["status"]["searchedUntil"] == format_time(LATER)
    found = settle(first, running_job(), LATER, pinned=PINS)
    assert "searchedUntil" not in found["status"]
    assert "searchedUntil" not in settle(found, running_job(), LATER)["status"]


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([(20, NOTHING)], "InvalidSpec"),
        ([(12, NOTHING), (20, NOTHING), (30, NOTHING)], "WaitingForJob"),
        ([(12, NOTHING), (30, NOTHING)], "InvalidSpec"),
        ([(12, AMBIGUOUS), (20, AMBIGUOUS)], "InvalidSpec"),
        ([(12, NOTHING), (20, errors.AzureUnavailable("m"))], "AzureUnavailable"),
        ([(12, NOTHING), (20, errors.AzureUnavailable("m")), (30, NOTHING)], "InvalidSpec"),
    ],
)
def test_a_search_that_was_interrupted(steps: list[tuple[int, Finding]], reason: str) -> None:
    """If a job may have left the list unseen, the watch fails instead of picking a later job."""
    watched = body()
    for days, finding in steps:
        watched = settle(watched, finding, NOW + days * DAY)

    assert watched["status"]["reason"] == reason


def _without_searched_until(status: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in status.items() if name != "searchedUntil"}


@pytest.mark.parametrize(
    ("days", "waited", "reason"),
    [
        (15, NOTHING, "WaitingForJob"),
        (15, AMBIGUOUS, "InvalidSpec"),
        (15, errors.AzureUnavailable("m"), "InvalidSpec"),
        (40, NOTHING, "InvalidSpec"),
    ],
)
def test_a_status_of_an_earlier_version(days: int, waited: Finding, reason: str) -> None:
    """Without searchedUntil, a waiting watch counts as searched until lastPollTime, and the status keeps that."""
    polled = settle(settle(body(), NOTHING, NOW), waited, NOW + 12 * DAY)
    polled["status"] = _without_searched_until(polled["status"])
    now = NOW + days * DAY

    upgraded = settle(polled, errors.AzureUnavailable("m"), now)
    assert settle(polled, NOTHING, now)["status"]["reason"] == reason
    assert settle(upgraded, NOTHING, now + timedelta(minutes=1))["status"]["reason"] == reason


def test_an_uncertain_job_is_not_skipped() -> None:
    """A watch that waits for a running job to become certain counts as searched until that job's start."""
    running = Waiting(reason="WaitingForJob", message="m", first_candidate=NOW + DAY)
    first = settle(body(), running, NOW + 2 * DAY)
    later = settle(first, running, NOW + 10 * DAY)

    assert {each["status"]["searchedUntil"] for each in (first, later)} == {format_time(NOW + DAY)}
    assert settle(later, running, NOW + 12 * DAY)["status"]["reason"] == "WaitingForJob"
    assert settle(later, NOTHING, NOW + 20 * DAY)["status"]["reason"] == "InvalidSpec"


def test_a_suspended_watch_is_judged_when_resumed() -> None:
    """A suspended watch is judged only after it is resumed."""
    watched = settle(edit(settle(body(), NOTHING, NOW), suspend=True), errors.PollDeferred("m"), NOW + 20 * DAY)
    assert watched["status"]["reason"] == "Suspended"

    resumed = edit(watched, suspend=False)
    assert isinstance(Watch.from_body(resumed).spec_at(NOW + 20 * DAY), InvalidSpec)
    assert settle(resumed, NOTHING, NOW + 20 * DAY)["status"]["reason"] == "InvalidSpec"


def test_a_job_that_is_known_is_followed() -> None:
    """A list is no longer needed once the job is resolved, however long it runs."""
    watched = settle(body(), running_job(), NOW, pinned=PINS)
    assert isinstance(Watch.from_body(watched).spec_at(NOW + 100 * DAY), WatchSpec)
    assert settle(watched, job(), NOW + 100 * DAY)["status"]["reason"] == "JobCompleted"
    assert settle(body(), job(), NOW + 100 * DAY, pinned=PINS)["status"]["reason"] == "JobCompleted"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in NO_REQUEST])
def test_a_request_moves_the_poll_time(kind: type[errors.AzureError]) -> None:
    """Every kind of answer, and a request without an answer, changes lastPollTime."""
    before = settle(watch_body(), running_job(), NOW)
    status = settle(request(before, "one"), kind("m"), LATER)["status"]

    assert (status["lastPollTime"], status["lastHandledReconcileAt"]) == (format_time(LATER), "one")


@pytest.mark.parametrize("kind", NO_REQUEST)
def test_without_a_request_the_poll_time_stays(kind: type[errors.AzureError]) -> None:
    """If no request can be sent, AzureReachable says why. If it is only deferred, nothing changes."""
    is_deferred = issubclass(kind, errors.PollDeferred)
    before = settle(watch_body(), running_job(), NOW)
    status = settle(request(before, "one"), kind("m"), LATER)["status"]

    assert status["lastPollTime"] == format_time(NOW)
    assert status.get("lastHandledReconcileAt") == (None if is_deferred else "one")
    assert reachable(status) == (("True", "AzureAnswered") if is_deferred else ("False", kind.reason))
    assert "lastPollTime" not in settle(watch_body(), kind("m"), NOW)["status"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not issubclass(kind, errors.PollDeferred)])
def test_a_repeated_error_is_no_request(kind: type[errors.AzureError]) -> None:
    """An error that several attempts share moves lastPollTime only for the attempt that sent the request."""
    before = settle(watch_body(), running_job(), NOW)
    status = settle(before, kind("m").repeat(), LATER)["status"]

    assert status["lastPollTime"] == format_time(NOW)


@pytest.mark.parametrize("fields", [{"suspend": True}, {"activeDeadlineSeconds": 1}], ids=["suspended", "deadline"])
def test_azure_reachable_without_a_request(fields: dict[str, Any]) -> None:
    """Neither suspension nor the deadline of a deferred watch changes AzureReachable."""
    before = settle(watch_body({**watch_body()["spec"], **fields, "suspend": False}), running_job(), NOW)
    after = settle(edit(before, **fields), errors.PollDeferred("m"), LATER)["status"]

    assert reachable(after) == ("True", "AzureAnswered")
    assert after["lastPollTime"] == format_time(NOW)


def test_an_operation_is_not_searched_for() -> None:
    """Only a list of jobs counts as a search."""
    for finding in (Waiting(reason="Progressing", message="m"), OperationFailure(message="m")):
        assert "searchedUntil" not in settle(body(), finding, NOW)["status"]
