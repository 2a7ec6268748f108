"""Verdicts on list entries: only ``Completed`` is judged at once, and accepted warnings always need a GET."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import parse_spec
from backupjobwatch.domain.jobs.findings import JobSet
from backupjobwatch.domain.status.assessment import Assessment
from backupjobwatch.domain.status.verdict import judge
from tests.support.builders import (
    CANCELLED_AFTER_SNAPSHOT,
    NOW,
    OTHER_JOB_NAME,
    job,
    list_entry,
    running_job,
    settle,
    watch,
    watch_body,
)  # fmt: skip

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.status.verdict import Verdict

ERROR = {"errorCode": 400239, "errorTitle": "GuestAgent", "errorString": "No answer."}
CANCELLED_ERROR = CANCELLED_AFTER_SNAPSHOT["errorDetails"][0]
UNJUDGED = "Azure lists Backup of uttestvmub1 as {}. The operator reads the job's errors before it reports the end."


def _judge(observation: Job | JobSet, *, accept: bool = False, of: Watch | None = None, **spec: Any) -> Verdict:
    snapshot = of or watch()
    return judge(
        snapshot,
        parse_spec({**snapshot.spec, **spec}),
        Assessment(finding=observation, accept_list_entry=accept),
        now=NOW,
    )


@pytest.mark.parametrize("accept", [False, True])
@pytest.mark.parametrize("status", ["Completed", "InProgress", "Cancelling", "Paused"])
def test_same_verdict_as_a_get(status: str, *, accept: bool) -> None:
    """A list entry of a completed or running job has the same verdict as a GET."""
    entry = list_entry(status=status)

    assert _judge(entry, accept=accept) == _judge(replace(entry, partial=False))


@pytest.mark.parametrize("errors", [[], [ERROR]])
@pytest.mark.parametrize("status", ["Failed", "Cancelled", "canceled", "CompletedWithWarnings"])
@pytest.mark.parametrize("warnings", ["Failed", "Succeeded"])
def test_other_ends_wait_for_a_get(status: str, errors: list[Any], warnings: str) -> None:
    """Any other end keeps the watch Running, and the message says what the operator waits for."""
    verdict = _judge(list_entry(status=status, errorDetails=errors), completedWithWarnings=warnings)

    assert (verdict.phase, verdict.reason) == ("Running", "JobInProgress")
    assert (verdict.message, verdict.retrying) == (UNJUDGED.format(status), False)


@pytest.mark.parametrize("status", ["Completed", "CompletedWithWarnings"])
def test_cancelled_by_its_error(status: str) -> None:
    """An entry with the error of a cancelled job never succeeds, whatever its status."""
    entry = list_entry(status=status, errorDetails=[CANCELLED_ERROR])

    assert _judge(entry, completedWithWarnings="Succeeded").phase == "Running"
    verdict = _judge(entry, accept=True, completedWithWarnings="Succeeded")
    assert (verdict.phase, verdict.reason) == ("Failed", "JobCancelled")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": "Failed"}, "JobFailed"),
        ({"status": "Failed", "errorDetails": [ERROR]}, "JobFailed"),
        ({"status": "Cancelled"}, "JobCancelled"),
        ({"status": "CompletedWithWarnings", "errorDetails": [ERROR]}, "JobCompletedWithWarnings"),
    ],
)
def test_accepted(fields: dict[str, Any], reason: str) -> None:
    """An accepted entry has the same verdict and message as a GET."""
    entry = list_entry(**fields)
    verdict = _judge(entry, accept=True)

    assert (verdict.phase, verdict.reason) == ("Failed", reason)
    assert verdict == _judge(replace(entry, partial=False))


def test_warnings_without_errors() -> None:
    """An entry with warnings but no errors is never judged, because its job may have been cancelled."""
    for warnings in ("Failed", "Succeeded"):
        verdict = _judge(list_entry(status="CompletedWithWarnings"), accept=True, completedWithWarnings=warnings)
        assert (verdict.phase, verdict.message) == ("Running", UNJUDGED.format("CompletedWithWarnings"))


def test_accepted_warnings_need_a_get() -> None:
    """Accepted warnings in an entry never open the gate: only a GET has the tasks, and one may be cancelled."""
    entry = list_entry(status="CompletedWithWarnings", errorDetails=[ERROR])

    assert _judge(entry, accept=True, completedWithWarnings="Succeeded").phase == "Running"
    assert _judge(replace(entry, partial=False), completedWithWarnings="Succeeded").phase == "Succeeded"


@pytest.mark.parametrize("accept", [False, True])
def test_deadline(*, accept: bool) -> None:
    """At the deadline, an end that cannot be judged yet does not count."""
    body = settle(watch_body(), running_job(), NOW - timedelta(days=3))
    of = Watch.from_body(body)

    verdict = _judge(list_entry(status="Failed"), accept=accept, of=of)
    assert verdict.reason == ("JobFailed" if accept else "DeadlineExceeded")
    assert _judge(list_entry(status="CompletedWithWarnings"), accept=accept, of=of).reason == "DeadlineExceeded"
    assert _judge(list_entry(), accept=accept, of=of).reason == "JobCompleted"


@pytest.mark.parametrize(
    ("first", "second", "accept", "phase", "reason"),
    [
        (job(), list_entry(), False, "Succeeded", "JobCompleted"),
        (list_entry(), list_entry(), False, "Succeeded", "JobCompleted"),
        (job(), list_entry(status="Failed"), False, "Running", "JobInProgress"),
        (job(status="Failed"), list_entry(status="Failed"), False, "Running", "JobInProgress"),
        (job(status="Failed"), list_entry(), False, "Failed", "JobFailed"),
        (job(), list_entry(status="Failed"), True, "Failed", "JobFailed"),
        (list_entry(status="Failed"), list_entry(status="CompletedWithWarnings"), True, "Running", "JobInProgress"),
    ],
)
def test_set(first: Job, second: Job, phase: str, reason: str, *, accept: bool) -> None:
    """A set ends when each of its jobs can be judged, from a GET or from a list entry."""
    jobs = JobSet(jobs=(first, replace(second, name=OTHER_JOB_NAME)), not_started=())
    verdict = _judge(jobs, accept=accept)

    assert (verdict.phase, verdict.reason) == (phase, reason)
