"""The verdict on one observation. The grace period and the deadline have files of their own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from backupjobwatch import errors
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import parse_spec
from backupjobwatch.domain.jobs.job import Job, Outcome
from backupjobwatch.domain.status.assessment import Assessment
from backupjobwatch.domain.status.verdict import STALE, Verdict, judge
from tests.support.builders import NOW, job, running_job, settle, watch, watch_body

if TYPE_CHECKING:
    from backupjobwatch.errors import AzureError

ERROR = {
    "errorCode": 400239,
    "errorTitle": "GuestAgent",
    "errorString": "No answer.",
    "recommendations": ["Look.", "No."],
}

ENDING: Final = "The watch fails if this lasts longer than 10m0s (spec.graceSeconds)."


def _judge(observation: Job | AzureError, of: Watch | None = None, run: int = 0, **spec: Any) -> Verdict:
    snapshot = of or watch()
    return judge(
        snapshot,
        parse_spec({**snapshot.spec, **spec}),
        Assessment(finding=observation, consecutive_failures=run),
        now=NOW,
    )


@pytest.mark.parametrize(
    ("status", "phase", "reason", "message"),
    [
        ("InProgress", "Running", "JobInProgress", "Backup of uttestvmub1 is in progress."),
        ("Cancelling", "Running", "JobCancelling", "Backup of uttestvmub1 is being cancelled."),
        ("Completed", "Succeeded", "JobCompleted", "Backup of uttestvmub1 completed in 20m23s."),
        (
            "CompletedWithWarnings",
            "Failed",
            "JobCompletedWithWarnings",
            (
                "Backup of uttestvmub1 completed in 20m23s with warnings, which count as a failure. "
                " To accept warnings, set spec.completedWithWarnings to Succeeded."
            ),
        ),
        ("Failed", "Failed", "JobFailed", "Backup of uttestvmub1 failed after 20m23s."),
        ("Cancelled", "Failed", "JobCancelled", "Backup of uttestvmub1 was cancelled after 20m23s."),
        (
            "Paused",
            "Running",
            "JobStatusUnknown",
            'Backup of uttestvmub1: Azure reports the unknown status "Paused", so the operator treats the job as running.',
        ),
        (
            None,
            "Running",
            "JobStatusUnknown",
            "Backup of uttestvmub1: Azure reports no status, so the operator treats the job as running.",
        ),
    ],
)
def test_job(status: str | None, phase: str, reason: str, message: str) -> None:
    """Each Azure status has a verdict with a message."""
    assert _judge(job(status=status)) == Verdict(phase=phase, reason=reason, message=message)


def test_every_outcome_has_a_verdict() -> None:
    """Every outcome has a verdict, and only the verdict on a job that ended is final."""
    for outcome in Outcome:
        read = job(status=outcome.value)
        assert _judge(read).final is read.ended


def test_warnings_accepted() -> None:
    """If the spec accepts warnings, the watch succeeds and the message has the warnings."""
    verdict = _judge(job(status="CompletedWithWarnings", errorDetails=[ERROR]), completedWithWarnings="Succeeded")

    assert (verdict.phase, verdict.reason) == ("Succeeded", "JobCompletedWithWarnings")
    assert verdict.message == (
        "Backup of uttestvmub1 completed in 20m23s with warnings. 400239 GuestAgent: No answer. Look."
    )


def test_accepting_warnings_accepts_nothing_else() -> None:
    """Accepting warnings does not accept a failed or cancelled job."""
    for status in ("Failed", "Cancelled"):
        assert _judge(job(status=status), completedWithWarnings="Succeeded").phase == "Failed"


def test_accepted_warnings_and_a_cancelled_job() -> None:
    """A job that was cancelled after its snapshot fails, although Azure reports CompletedWithWarnings."""
    error = {"errorCode": 400158, "errorTitle": "UserErrorJobSuccessfullyCancelled", "errorString": "Job is cancelled."}
    for accepted in ("Succeeded", "Failed"):
        verdict = _judge(job(status="CompletedWithWarnings", errorDetails=[error]), completedWithWarnings=accepted)
        assert (verdict.phase, verdict.reason) == ("Failed", "JobCancelled")
        assert verdict.message == (
            "Backup of uttestvmub1 was cancelled after 20m23s. "
            "400158 UserErrorJobSuccessfullyCancelled: Job is cancelled. Azure reports CompletedWithWarnings."
        )


@pytest.mark.parametrize(
    ("dynamic", "message"),
    [
        ("VSS timeout", "400239 GuestAgent: No answer. Details: VSS timeout. Look."),
        ("Is the agent running?", "400239 GuestAgent: No answer. Details: Is the agent running? Look."),
        ("no  answer", "400239 GuestAgent: No answer. Look."),
        ("GuestAgent: No answer.", "400239 GuestAgent: No answer. Look."),
        ("", "400239 GuestAgent: No answer. Look."),
        ("x" * 900, f"400239 GuestAgent: No answer. Details: {'x' * 299}… Look."),
        ("dial net.tcp://pod1:9443/x", "400239 GuestAgent: No answer. Details: dial [internal address]. Look."),
    ],
)
def test_dynamic_message(dynamic: str, message: str) -> None:
    """The dynamic message is added if it says more than the error, and leaves room for the recommendation."""
    failed = job(status="Failed", errorDetails=[ERROR], extendedInfo={"dynamicErrorMessage": dynamic})
    assert _judge(failed).message == f"Backup of uttestvmub1 failed after 20m23s. {message}"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"errorDetails": [ERROR]}, "failed after 20m23s. 400239 GuestAgent: No answer. Look."),
        ({"errorDetails": [{"errorString": "s"}]}, "failed after 20m23s. s"),
        ({"errorDetails": [{"errorCode": 5}]}, "failed after 20m23s. 5"),
        ({"errorDetails": [{"recommendations": ["Retry."]}]}, "failed after 20m23s. Retry."),
        ({"errorDetails": [{}, {"errorTitle": "t"}, ERROR]}, "failed after 20m23s. t"),
        ({"extendedInfo": {"dynamicErrorMessage": "VSS timeout"}}, "failed after 20m23s. VSS timeout"),
        ({"duration": None, "endTime": None}, "failed."),
        ({"duration": "PT0S", "endTime": None}, "failed after 0s."),
    ],
)
def test_explanation(fields: dict[str, Any], message: str) -> None:
    """The message of a failure has Azure's first error and recommendation, or else the dynamic message."""
    assert _judge(job(status="Failed", **fields)).message == f"Backup of uttestvmub1 {message}"


TROUBLE = [
    # error, whether Reconciling has the reason ProgressingWithRetry before the job was seen
    (errors.JobNotFound("x"), False),
    (errors.VaultNotFound("x"), False),
    (errors.CredentialsNotFound("x"), True),
    (errors.IdentityNotAllowed("x"), True),
    (errors.AuthenticationFailed("x"), True),
    (errors.AuthorizationFailed("x"), True),
    (errors.Throttled("x"), True),
    (errors.AzureUnavailable("x"), True),
    (errors.UnexpectedResponse("x"), True),
    (errors.JobListTooLong("x"), True),
    (errors.PollDeferred("x"), True),
]


@pytest.mark.parametrize(("error", "retrying"), TROUBLE, ids=[type(row[0]).__name__ for row in TROUBLE])
def test_trouble_before_seen(error: AzureError, retrying: bool) -> None:  # noqa: FBT001
    """An error leaves a new watch Pending. If the grace period applies, the message says when the watch fails."""
    verdict = _judge(error, consecutive_failures=1)

    message = "x" if error.grace is errors.Grace.NEVER else f"x {ENDING}"
    assert (verdict.phase, verdict.reason, verdict.message) == ("Pending", error.reason, message)
    assert verdict.retrying is retrying


@pytest.mark.parametrize("error", [row[0] for row in TROUBLE if not isinstance(row[0], errors.PollDeferred)], ids=repr)
def test_trouble_after_seen(error: AzureError) -> None:
    """Trouble keeps the phase of a running watch, because it says nothing about the job's state."""
    body = settle(watch_body(), running_job(), NOW)
    verdict = _judge(error, Watch.from_body(body), consecutive_failures=1)

    assert (verdict.phase, verdict.reason, verdict.retrying) == ("Running", error.reason, True)


def test_deferred_poll() -> None:
    """A deferred poll keeps the last known verdict."""
    body = settle(watch_body(), running_job(), NOW - STALE + timedelta(seconds=1))
    verdict = _judge(errors.PollDeferred("Azure asked to wait."), Watch.from_body(body))

    assert verdict == Verdict(
        phase="Running", reason="JobInProgress", message="Backup of uttestvmub1 is in progress.", retrying=False
    )


def test_deferred_poll_keeps_trouble() -> None:
    """A deferred poll also keeps the trouble and its start time."""
    body = settle(
        watch_body(), errors.AuthorizationFailed("No access."), NOW - timedelta(minutes=2), consecutive_failures=1
    )
    verdict = _judge(errors.PollDeferred("Azure asked to wait."), Watch.from_body(body))

    assert verdict == Verdict(
        phase="Pending",
        reason="AuthorizationFailed",
        message=f"No access. {ENDING}",
        retrying=True,
        trouble_since=NOW - timedelta(minutes=2),
    )


def test_stale() -> None:
    """A watch that was not polled for a long time reports the reason."""
    body = settle(watch_body(), running_job(), NOW - STALE)
    verdict = _judge(errors.PollDeferred("Azure asked to wait.", stale=True), Watch.from_body(body))

    assert (verdict.phase, verdict.reason) == ("Running", "Throttled")
    assert (verdict.message, verdict.retrying) == ("Azure asked to wait.", True)


def test_not_polled_yet() -> None:
    """A new target that was not polled yet is Pending, without trouble."""
    verdict = _judge(errors.NotPolledYet())

    assert (verdict.phase, verdict.reason, verdict.retrying) == ("Pending", "Progressing", False)
