"""The grace period: how long "not found" and "not allowed" are tolerated."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch import errors
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import parse_spec
from backupjobwatch.domain.jobs.job import Job
from backupjobwatch.domain.polling.observations import MIN_CONSECUTIVE_FAILURES
from backupjobwatch.domain.status.assessment import Assessment
from backupjobwatch.domain.status.verdict import counts, judge
from tests.support.builders import JOB_ID, NOW, job, running_job, settle, watch, watch_body

if TYPE_CHECKING:
    from backupjobwatch.errors import AzureError

GRACE = timedelta(seconds=600)
HALF = GRACE / 2
NOT_THERE = (errors.JobNotFound, errors.VaultNotFound)
NOT_ALLOWED = (
    errors.CredentialsNotFound,
    errors.IdentityNotAllowed,
    errors.AuthenticationFailed,
    errors.AuthorizationFailed,
)
ELSE = (
    errors.Throttled,
    errors.AzureUnavailable,
    errors.UnexpectedResponse,
    errors.JobListTooLong,
    errors.PollDeferred,
)


def _run(body: dict[str, Any], kinds: list[type[AzureError] | Job], every: timedelta = HALF) -> list[dict[str, Any]]:
    """Apply observations in order, counting failures as the reconciler does, and return the statuses."""
    statuses, consecutive_failures = [], 0
    for number, kind in enumerate(kinds):
        observation = kind if isinstance(kind, Job) else kind("Trouble.")
        if not isinstance(observation, errors.PollDeferred):
            consecutive_failures = consecutive_failures + 1 if counts(Watch.from_body(body), observation) else 0
        body = settle(body, observation, NOW + number * every, consecutive_failures=consecutive_failures)
        statuses.append(body["status"])
    return statuses


def _seen() -> dict[str, Any]:
    return settle(watch_body(), running_job(), NOW)


@pytest.mark.parametrize("kind", [*NOT_THERE, *NOT_ALLOWED])
def test_over_before_seen(kind: type[AzureError]) -> None:
    """Three consecutive failures over the whole grace period fail a watch that never saw its job."""
    first, second, third = _run(watch_body(), [kind] * 3)

    assert (first["phase"], second["phase"], third["phase"]) == ("Pending", "Pending", "Failed")
    assert third["reason"] == kind("x").final_reason
    assert third["message"] == "Trouble. This lasted 10m0s, longer than spec.graceSeconds allows."
    assert (first["troubleSince"], second["troubleSince"]) == ("2018-05-21T09:00:00Z",) * 2
    assert "troubleSince" not in third


@pytest.mark.parametrize("kind", NOT_THERE)
def test_over_after_seen(kind: type[AzureError]) -> None:
    """A job that no longer exists fails the watch too, and the status keeps what was known of it."""
    statuses = _run(_seen(), [kind] * 3)

    assert [status["phase"] for status in statuses] == ["Running", "Running", "Failed"]
    assert statuses[2]["job"]["status"] == "InProgress"


@pytest.mark.parametrize("kind", NOT_ALLOWED)
def test_access_after_seen(kind: type[AzureError]) -> None:
    """Lost access may come back. After the job was seen, only the deadline ends the wait."""
    for status in _run(_seen(), [kind] * 20):
        assert status["phase"] == "Running"
        assert "troubleSince" not in status


@pytest.mark.parametrize("kind", ELSE)
@pytest.mark.parametrize("seen", [True, False])
def test_never(kind: type[AzureError], seen: bool) -> None:  # noqa: FBT001
    """Throttling and outages say nothing about the job, so they never fail a watch."""
    for status in _run(_seen() if seen else watch_body(), [kind] * 20):
        assert status["phase"] == ("Running" if seen else "Pending")
        assert "troubleSince" not in status


@pytest.mark.parametrize("consecutive_failures", range(MIN_CONSECUTIVE_FAILURES + 2))
def test_length_of_run(consecutive_failures: int) -> None:
    """Time alone is not enough: the grace period also needs three consecutive failures."""
    body = settle(watch_body(), errors.JobNotFound("x"), NOW, consecutive_failures=1)
    status = settle(body, errors.JobNotFound("x"), NOW + 10 * GRACE, consecutive_failures=consecutive_failures)[
        "status"
    ]

    assert status["phase"] == ("Failed" if consecutive_failures >= 3 else "Pending")


@pytest.mark.parametrize(("seconds", "phase"), [(599, "Pending"), (600, "Failed"), (601, "Failed")])
def test_length_of_time(seconds: int, phase: str) -> None:
    """Failures alone are not enough: the whole grace period must pass, to the second."""
    body = settle(watch_body(), errors.JobNotFound("x"), NOW, consecutive_failures=1)

    assert (
        settle(body, errors.JobNotFound("x"), NOW + timedelta(seconds=seconds), consecutive_failures=99)["status"][
            "phase"
        ]
        == phase
    )


@pytest.mark.parametrize("kind", ELSE[:-1])
def test_broken_run(kind: type[AzureError]) -> None:
    """Any other error in between resets the start time and the count."""
    not_there: type[AzureError] | Job = errors.JobNotFound
    statuses = _run(watch_body(), [not_there, not_there, kind, not_there, not_there, not_there])

    assert [status["phase"] for status in statuses] == ["Pending"] * 5 + ["Failed"]
    assert [status.get("troubleSince", "")[11:16] for status in statuses] == [
        "09:00",
        "09:00",
        "",
        "09:15",
        "09:15",
        "",
    ]


def test_broken_by_the_job() -> None:
    """Seeing the job resets the start time and the count."""
    statuses = _run(_seen(), [errors.JobNotFound, errors.JobNotFound, running_job(), errors.JobNotFound])

    assert [status["phase"] for status in statuses] == ["Running"] * 4
    assert statuses[3]["troubleSince"] == "2018-05-21T09:15:00Z"


def test_deferred_polls_reset_nothing() -> None:
    """A deferred poll resets nothing."""
    kinds: list[type[AzureError] | Job] = [
        errors.JobNotFound, errors.PollDeferred, errors.JobNotFound, errors.PollDeferred, errors.JobNotFound,
    ]  # fmt: skip
    statuses = _run(watch_body(), kinds, every=GRACE / 4)

    assert [status["phase"] for status in statuses] == ["Pending"] * 4 + ["Failed"]


def test_run_of_many_kinds() -> None:
    """Consecutive failures may be of different kinds. The last one gives the reason."""
    statuses = _run(watch_body(), [errors.AuthorizationFailed, errors.VaultNotFound, errors.JobNotFound])

    assert (statuses[2]["phase"], statuses[2]["reason"]) == ("Failed", "JobNotFound")


def test_another_process() -> None:
    """A restart keeps the start time but not the count: a new process needs three failures of its own."""
    body = settle(watch_body(), errors.JobNotFound("x"), NOW, consecutive_failures=1)
    phases = []
    for consecutive_failures in (1, 2, 3):
        body = settle(body, errors.JobNotFound("x"), NOW + GRACE, consecutive_failures=consecutive_failures)
        phases.append(body["status"]["phase"])

    assert phases == ["Pending", "Pending", "Failed"]


def test_no_grace() -> None:
    """Without a grace period, the third failure decides."""
    statuses = _run(watch_body({"jobResourceId": JOB_ID, "graceSeconds": 0}), [errors.JobNotFound] * 3, timedelta())

    assert [status["phase"] for status in statuses] == ["Pending", "Pending", "Failed"]


def test_own_outcome() -> None:
    """A job that reappears after its end has its own outcome, however long it was missing."""
    assert _run(watch_body(), [errors.JobNotFound, errors.JobNotFound, job()])[2]["phase"] == "Succeeded"


def test_grace_before_deadline() -> None:
    """If both the grace period and the deadline have passed, the reason is the error, which says more."""
    body = settle(watch_body(), errors.JobNotFound("x"), NOW, consecutive_failures=1)

    assert (
        settle(body, errors.JobNotFound("x"), NOW + timedelta(days=9), consecutive_failures=3)["status"]["reason"]
        == "JobNotFound"
    )


def test_clock_that_went_back() -> None:
    """If the start time is in the future, the grace period has not passed."""
    snapshot = watch(None, {"target": watch().target, "troubleSince": "2030-01-01T00:00:00Z"})
    verdict = judge(
        snapshot,
        parse_spec(snapshot.spec),
        Assessment(finding=errors.JobNotFound("x"), consecutive_failures=99),
        now=NOW,
    )

    assert not verdict.final


@pytest.mark.parametrize("kind", [*NOT_THERE, *NOT_ALLOWED, *ELSE])
def test_counts(kind: type[AzureError]) -> None:
    """Before the job was seen, both kinds count. After that, only "not found" counts."""
    assert counts(watch(), kind("x")) is (kind in NOT_THERE + NOT_ALLOWED)
    assert counts(Watch.from_body(_seen()), kind("x")) is (kind in NOT_THERE)


def test_a_job_is_never_a_failure() -> None:
    """An observed job never counts as a failure, whatever its status."""
    assert not counts(watch(), running_job(status="Paused"))
