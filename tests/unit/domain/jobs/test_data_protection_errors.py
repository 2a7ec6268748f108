"""Errors of Backup vault jobs, their causes, and warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.jobs.data_protection import parse_job
from backupjobwatch.domain.jobs.job import JobError, Outcome
from tests.support.builders import dp_job_payload

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job


def job(**overrides: Any) -> Job:
    return parse_job(dp_job_payload(**overrides))


def extended(**fields: Any) -> Job:
    return job(extendedInfo=fields)


def _inner(depth: int) -> dict[str, Any] | None:
    if depth == 0:
        return None
    return {"code": f"C{depth}", "additionalInfo": None, "embeddedInnerError": _inner(depth - 1)}


@pytest.mark.parametrize(
    ("inner", "cause"),
    [
        (None, None),
        ("text", None),
        ({}, None),
        ({"code": "One"}, "One"),
        ({"additionalInfo": {"DetailedNonLocalisedMessage": "It broke."}}, "It broke."),
        ({"code": "One", "additionalInfo": {"Other": "x"}}, "One"),
        ({"embeddedInnerError": {"code": "Two"}}, "Two"),
        ({"code": "One", "embeddedInnerError": {"code": "Two", "embeddedInnerError": None}}, "One < Two"),
        ({"code": "Success", "additionalInfo": {"DetailedNonLocalisedMessage": "It broke."}}, "It broke."),
        ({"code": "One", "additionalInfo": {"detailedNonLocalizedMessage": "It broke."}}, "One: It broke."),
        ({"code": "One", "detailedNonLocalizedMessage": "It broke."}, "One: It broke."),
        ({"code": "One", "innerError": {"code": "Two"}}, "One < Two"),
        ({"additionalInfo": {"DetailedNonLocalisedMessage": "from 10.0.0.4:443"}}, "from [internal address]"),
        (_inner(3), "C3 < C2 < C1"),
        (_inner(9), "C9 < C8 < C7 < C6 < C5"),
    ],
)
def test_causes(inner: Any, cause: str | None) -> None:
    """At most five causes of an error are joined in one line, the nearest first."""
    (error,) = job(errorDetails=[{"code": "X", "innerError": inner}]).errors

    assert error.cause == cause


@pytest.mark.parametrize(
    ("action", "recommendations"),
    [(["One.", "Two."], ("One.", "Two.")), ("One.", ("One.",)), (None, ()), ([None, "", {}], ()), ({}, ())],
)
def test_recommendations(action: Any, recommendations: tuple[str, ...]) -> None:
    """Recommendations come as a list of strings or as one string."""
    (error,) = job(errorDetails=[{"code": "X", "recommendedAction": action}]).errors

    assert error.recommendations == recommendations


def test_empty_errors() -> None:
    """An error without a code, message or recommendation is ignored."""
    nothing = [{}, None, "text", {"target": "x", "isRetryable": True}, {"code": "", "message": None}]

    assert job(errorDetails=nothing).errors == ()


@pytest.mark.parametrize(("written", "read"), [(True, True), (False, False), (None, None), ("true", None), (1, None)])
def test_retryable(written: Any, read: bool | None) -> None:  # noqa: FBT001
    """``retryable`` is set only if Azure sends a boolean."""
    assert job(errorDetails=[{"code": "X", "isRetryable": written}]).errors[0].retryable is read


@pytest.mark.parametrize(
    ("target", "resource", "expected"),
    [("pod-1", "ns-1", "pod-1"), (None, "ns-1", "ns-1"), ("", "ns-1", "ns-1"), (None, None, None)],
)
def test_warnings(target: str | None, resource: str | None, expected: str | None) -> None:
    """A warning is parsed as an error. Its own target takes precedence over the resource name."""
    warning = {
        "code": "W", "message": "Skipped.", "target": target, "recommendedAction": ["Look."], "isRetryable": True,
        "innerError": {"code": "Inner"},
    }  # fmt: skip
    read = extended(warningDetails=[{"resourceName": resource, "warning": warning}])

    assert read.warnings == (
        JobError(
            code="W",
            title=None,
            message="Skipped.",
            recommendations=("Look.",),
            target=expected,
            cause="Inner",
            retryable=True,
        ),
    )
    assert read.errors == ()


@pytest.mark.parametrize("warning", [None, {}, "text", {"warning": None}, {"resourceName": "x", "warning": {}}])
def test_empty_warnings(warning: Any) -> None:
    """A warning without text is ignored."""
    assert extended(warningDetails=[warning]).warnings == ()


def test_cancelled_job_with_warnings() -> None:
    """A job that ends as CompletedWithWarnings was cancelled if one of its tasks was cancelled."""
    tasks = [{"taskName": "Trigger Backup", "taskStatus": "Completed"}, {"taskName": "Copy", "taskStatus": "Cancelled"}]
    assert job(status="CompletedWithWarnings", extendedInfo={"subTasks": tasks}).outcome is Outcome.CANCELLED
    assert job(status="CompletedWithWarnings", extendedInfo={"subTasks": tasks[:1]}).outcome is not Outcome.CANCELLED
