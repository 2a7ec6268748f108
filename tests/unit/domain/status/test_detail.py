"""The detail of a job whose end came from a list entry completes the status without changing the verdict."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch import errors
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.findings import JobSet, PinnedJob, Waiting
from backupjobwatch.domain.jobs.recovery_services import parse_job
from backupjobwatch.domain.jobs.times import format_time
from backupjobwatch.domain.status.assessment import Assessment
from backupjobwatch.domain.status.expiry import expiry
from backupjobwatch.domain.status.next_status import next_status
from backupjobwatch.domain.status.notifications import DeliveryResult, notification_id
from backupjobwatch.domain.status.transitions import find_transition, needs_write, write_reason
from tests.property.oracles import check_status
from tests.support.builders import (
    CANCELLED_AFTER_SNAPSHOT,
    JOB_NAME,
    NOW,
    OPERATION,
    OTHER_JOB_NAME,
    VAULT_REF,
    edit,
    job,
    list_entry,
    request,
    running_job,
    settle,
    vast_payload,
    watch_body,
)

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.findings import Finding

HEARTBEAT = timedelta(minutes=5)
POLLED = NOW - timedelta(seconds=7)
LATER = NOW + timedelta(minutes=2)
ERROR = {"errorCode": 400239, "errorTitle": "GuestAgent", "errorString": "No answer."}
FROZEN = ("phase", "reason", "message", "conditions", "completionTime", "watchStartTime", "target", "notifications")
CANCELLED_ERROR = CANCELLED_AFTER_SNAPSHOT["errorDetails"]
HOOK = {"name": "hook", "webhook": {"url": "https://example.com/x"}}


def _listed(body: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Return a watch that finished from a list entry."""
    after = settle(body or watch_body(), list_entry(**fields), NOW, accept_list_entry=True)
    assert after["status"]["phase"] in ("Succeeded", "Failed")
    return after


def _changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    old, new = before["status"], after["status"]
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


@pytest.mark.parametrize("status", ["Completed", "Failed", "Cancelled"])
def test_pending(status: str) -> None:
    """An end from a list entry is final at once, and the status says that the detail is missing."""
    body = _listed(status=status, errorDetails=[ERROR])
    check_status(body)

    assert body["status"]["detailPending"] is True
    assert body["status"]["completionTime"] == format_time(NOW)
    assert body["status"]["errors"] == [{"code": "400239", "title": "GuestAgent", "message": "No answer."}]
    assert Watch.from_body(body).detail_pending


@pytest.mark.parametrize(
    ("finding", "accept"),
    [
        (job(), True),
        (job(status="Failed"), True),
        (list_entry(status="Failed"), False),
        (list_entry(status="CompletedWithWarnings"), True),
        (list_entry(status="InProgress"), True),
        (errors.Throttled("x"), True),
    ],
)
def test_not_pending(finding: Finding, *, accept: bool) -> None:
    """``detailPending`` is absent, never false, after a GET and while the watch has not finished."""
    assert "detailPending" not in settle(watch_body(), finding, NOW, accept_list_entry=accept)["status"]


@pytest.mark.parametrize(
    ("finding", "pending"),
    [
        (list_entry(status="Failed", errorDetails=[ERROR]), True),
        (list_entry(status="InProgress"), False),
        (running_job(), False),
        (errors.Throttled("x"), False),
    ],
)
def test_deadline(finding: Finding, *, pending: bool) -> None:
    """After the deadline, the detail of a job that ended in a list entry is pending. A running job has none yet."""
    body = settle(watch_body(), list_entry(status="InProgress"), NOW - timedelta(days=3))
    body = settle(body, finding, NOW)

    assert body["status"]["reason"] == "DeadlineExceeded"
    assert body["status"].get("detailPending", False) is pending
    after = settle(body, job(status="Failed", errorDetails=[ERROR]), LATER)
    assert ("extendedInfo" in _changed(body, after)) is pending
    assert not Watch.from_body(after).detail_pending


@pytest.mark.parametrize("status", ["Completed", "Failed", "Cancelled", "completed"])
def test_completed_by_a_get(status: str) -> None:
    """The GET adds the tasks and errors once. The verdict and the conditions stay unchanged."""
    before = _listed(status=status)
    detail = job(status=status, errorDetails=[ERROR], duration="00:20:24", name=JOB_NAME.upper())
    after = settle(before, detail, LATER, polled=POLLED)
    check_status(after)

    changed = {"job", "duration", "durationSeconds", "extendedInfo", "errors", "lastPollTime", "detailPending"}
    assert _changed(before, after) == changed
    assert "detailPending" not in after["status"]
    assert after["status"]["lastPollTime"] == format_time(POLLED)
    assert len(after["status"]["extendedInfo"]["tasks"]) == 2
    assert after["status"]["errors"][0]["code"] == "400239"
    again = settle(after, detail, LATER + timedelta(hours=1))
    assert again["status"] == after["status"]


def test_worth_a_write() -> None:
    """The detail causes a write, even if it adds no fields, and emits no Event."""
    before = _listed()
    status = settle(before, job(extendedInfo={}), LATER)["status"]

    assert needs_write(before["status"], status, heartbeat=HEARTBEAT)
    assert write_reason(Watch.from_body(before), status) == "change"
    assert find_transition(Watch.from_body(before), status) is None


@pytest.mark.parametrize(
    "finding",
    [
        list_entry(),
        list_entry(status="InProgress"),
        running_job(),
        job(status="Failed"),
        job(status="CompletedWithWarnings"),
        job(errorDetails=CANCELLED_ERROR),
        job(name=OTHER_JOB_NAME),
        job(name=None, id=None),
        errors.JobNotFound("x"),
        errors.Throttled("x"),
        errors.PollDeferred("x"),
        Waiting(reason="WaitingForJob", message="x"),
        JobSet(jobs=(), not_started=()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_detail(finding: Finding) -> None:
    """Other entries, other jobs, errors and contradictions change nothing: the detail stays pending."""
    before = _listed()
    after = settle(before, finding, LATER, accept_list_entry=True)

    assert after["status"] == before["status"]
    assert not needs_write(before["status"], after["status"], heartbeat=HEARTBEAT)


@pytest.mark.parametrize("entry", ["Completed", "CompletedWithWarnings"])
def test_cancelled_job(entry: str) -> None:
    """A job that its error marks as cancelled has the same end in the list and in the GET."""
    before = _listed(status=entry, errorDetails=CANCELLED_ERROR)
    assert before["status"]["reason"] == "JobCancelled"

    completed = settle(before, job(status=entry, errorDetails=CANCELLED_ERROR), LATER)
    assert not Watch.from_body(completed).detail_pending
    assert Watch.from_body(settle(before, job(status=entry), LATER)).detail_pending


@pytest.mark.parametrize("errors_left", [[], CANCELLED_ERROR])
def test_cancelled_job_at_the_deadline(errors_left: list[Any]) -> None:
    """After the deadline, the entry's error shows that the job was cancelled. The reason does not."""
    body = settle(watch_body(), running_job(), NOW - timedelta(days=3))
    body = settle(body, list_entry(status="CompletedWithWarnings", errorDetails=errors_left), NOW)
    after = settle(body, job(**CANCELLED_AFTER_SNAPSHOT), LATER)

    assert body["status"]["reason"] == "DeadlineExceeded"
    assert Watch.from_body(after).detail_pending is not bool(errors_left)


def test_edited_and_requested() -> None:
    """An edit, a request and a delivery are acknowledged in the same write."""
    before = _listed(edit(watch_body(), notify=[HOOK]))
    watch = Watch.from_body(request(edit(before, pollInterval="5m"), "now"))
    delivery = DeliveryResult(
        name="hook", id=notification_id(watch, "Succeeded"), phase="Succeeded", time=LATER, failure=None
    )
    status = next_status(watch, Assessment(finding=job()), now=LATER, deliveries=[delivery])

    assert (status["observedGeneration"], status["lastHandledReconcileAt"]) == (3, "now")
    assert {each["observedGeneration"] for each in status["conditions"]} == {3}
    assert [each["state"] for each in status["notifications"]] == ["Delivered"]
    assert "detailPending" not in status


def test_edited_target() -> None:
    """A new target starts without ``detailPending``."""
    body = edit(_listed(), graceSeconds=5)

    assert not Watch.from_body(body).detail_pending
    assert "detailPending" not in settle(body, running_job(), LATER)["status"]


def test_time_to_live_does_not_wait() -> None:
    """A pending detail does not delay the expiry."""
    before = _listed(edit(watch_body(), ttlSecondsAfterFinished=60))

    assert expiry(Watch.from_body(before)) == NOW + timedelta(seconds=60)


def _set(*jobs: Any) -> JobSet:
    return JobSet(jobs=jobs, not_started=())


def _in_set(body: dict[str, Any], finding: Finding, **fields: Any) -> dict[str, Any]:
    pinned = [PinnedJob(name=name) for name in (OTHER_JOB_NAME, JOB_NAME)]
    after = settle(body, finding, LATER, pinned=pinned, accept_list_entry=True, **fields)
    check_status(after)
    return after


def test_set() -> None:
    """In a set, only the detail of the deciding job counts."""
    body = watch_body({"operationId": OPERATION, "vault": VAULT_REF})
    other, failed = list_entry(name=OTHER_JOB_NAME), list_entry(status="Failed")
    before = _in_set(body, _set(other, failed))
    assert before["status"]["detailPending"] is True
    assert before["status"]["job"]["name"] == JOB_NAME

    not_deciding = _in_set(before, _set(replace(other, partial=False), failed))
    assert not_deciding["status"] == before["status"]

    detail = job(status="Failed", errorDetails=[ERROR], operation="Backup (Full)")
    for finding in (_set(other, detail), detail):
        status = _in_set(before, finding)["status"]
        assert "detailPending" not in status
        assert status["errors"][0]["code"] == "400239"
        assert [each["operation"] for each in status["jobs"]] == ["Backup", "Backup (Full)"]
        assert {name: status.get(name) for name in FROZEN} == {name: before["status"].get(name) for name in FROZEN}


def test_set_with_the_deciding_job_read() -> None:
    """If a GET read the deciding job, list entries of the other jobs leave nothing pending."""
    body = watch_body({"operationId": OPERATION, "vault": VAULT_REF})
    status = _in_set(body, _set(list_entry(name=OTHER_JOB_NAME), job(status="Failed")))["status"]

    assert status["reason"] == "JobFailed"
    assert "detailPending" not in status


def test_set_with_more_jobs_than_listed() -> None:
    """If the status does not list all jobs, the detail does not change the list."""
    body = watch_body({"operationId": OPERATION, "vault": VAULT_REF})
    before = _in_set(body, _set(list_entry(name=OTHER_JOB_NAME), list_entry(status="Failed")))
    before["status"]["jobsTotal"] = 3
    after = _in_set(before, job(status="Failed", operation="Backup (Full)"))

    assert after["status"]["jobs"] == before["status"]["jobs"]
    assert "detailPending" not in after["status"]


@pytest.mark.parametrize("letter", ["x", "<", "資", "😀"])
@pytest.mark.parametrize(
    "entry", [list_entry(status="Failed"), parse_job(vast_payload("<", status="Failed"), partial=True)]
)
def test_huge_detail(letter: str, entry: Any) -> None:
    """A detail that is too large is truncated. The frozen fields are not."""
    entry = replace(entry, name=JOB_NAME)
    before = settle(watch_body(), entry, NOW, accept_list_entry=True)
    detail = replace(parse_job(vast_payload(letter, status="Failed")), name=JOB_NAME)
    after = settle(before, detail, LATER)
    check_status(after)

    assert "detailPending" not in after["status"]
    assert {name: after["status"].get(name) for name in FROZEN} == {name: before["status"].get(name) for name in FROZEN}
    assert after["status"]["errors"][0]["title"].startswith(letter * 40)
