"""The assessment of observations: which of them count, and when the deadline is enforced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch import errors
from backupjobwatch.domain.jobs.findings import JobSet, OperationFailure, PinnedJob
from backupjobwatch.domain.status.assessment import DEADLINE_WAIT, DETAIL_WAIT, Assessment
from tests.support.assessing import (
    BY_OPERATION,
    CLOCK,
    DOWN,
    INTERVAL,
    LATE,
    NOT_THERE,
    OPERATION_QUERY,
    OTHER,
    PINS,
    QUERY,
    WAITING,
    assessed,
    seen,
    started,
    wall,
)
from tests.support.builders import (
    JOB_ID,
    JOB_NAME,
    NOW,
    OTHER_JOB_NAME,
    job,
    list_entry,
    running_job,
    settle,
    watch_body,
)

if TYPE_CHECKING:
    from backupjobwatch.domain.polling.observations import Observation, Result
    from backupjobwatch.domain.polling.queries import Query

# ── which observations count ─────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_known() -> None:
    """Without an observation, the assessment is empty."""
    assert assessed({}) == Assessment()


def test_job() -> None:
    """The job that was seen is the observation, with the time of its request."""
    result = assessed({QUERY: seen(running_job(), sent=CLOCK - 5)})

    assert (result.finding, result.polled, result.sent) == (running_job(), wall(CLOCK - 5), CLOCK - 5)
    assert (result.consecutive_failures, result.accept_list_entry, result.enforce_deadline) == (0, True, True)


@pytest.mark.parametrize(("age", "counts"), [(60 + INTERVAL / 2, True), (61 + INTERVAL / 2, False)])
def test_result_from_before(age: float, counts: bool) -> None:  # noqa: FBT001
    """A result from before the watch required the query counts if it is at most half an interval older."""
    result = assessed({QUERY: seen(running_job(), sent=CLOCK - age)}, since=CLOCK - 60)

    assert (result.finding is not None) is counts


@pytest.mark.parametrize("result", [running_job(), DOWN, NOT_THERE, list_entry(status="Failed")], ids=repr)
def test_result_from_before_an_edit(result: Result) -> None:
    """A result that was requested before an edit to the target does not count."""
    observations: dict[Query, Observation] = {QUERY: seen(result, sent=CLOCK - 5)}

    assert assessed(observations, fresh_after=CLOCK - 4).finding is None
    assert assessed(observations, fresh_after=CLOCK - 5).finding == result


@pytest.mark.parametrize(
    "end", [job(), job(status="Failed"), list_entry()], ids=["GET", "failed", "completed in a list"]
)
def test_end_from_before_an_edit(end: Any) -> None:
    """An end that no later request can change counts regardless of its age."""
    result = assessed({QUERY: seen(end, sent=CLOCK - 500)}, fresh_after=CLOCK)

    assert (result.finding, result.polled, result.sent) == (end, wall(CLOCK - 500), CLOCK)


def test_failures() -> None:
    """Failures count from when the watch required the query. Until the job was seen, more kinds count."""
    observation = seen(errors.AuthorizationFailed("403"), NOT_THERE, NOT_THERE, sent=CLOCK)

    assert assessed({QUERY: observation}).consecutive_failures == 3
    assert assessed({QUERY: observation}, since=CLOCK - 1).consecutive_failures == 2
    body = settle(watch_body(), running_job(), NOW)
    assert assessed({QUERY: observation}, body=body).consecutive_failures == 2


def test_operation() -> None:
    """The result of an operation is the observation until it names its jobs."""
    body = watch_body(BY_OPERATION)
    for found in (WAITING, OperationFailure(message="m")):
        result = assessed({OPERATION_QUERY: seen(found, sent=CLOCK - 5)}, body=body)
        assert (result.finding, result.sent) == (found, CLOCK - 5)
    assert assessed({OPERATION_QUERY: seen(DOWN)}, body=body).finding == DOWN
    assert assessed({OPERATION_QUERY: seen(PINS)}, body=body).finding is None


def test_set() -> None:
    """Once all are known, the jobs of an operation are one observation. The oldest unfinished one sets its time."""
    body = watch_body(BY_OPERATION)
    pinned = (*PINS, PinnedJob(name="x", error_code="E"))
    some: dict[Query, Observation] = {QUERY: seen(running_job(), sent=CLOCK - 5)}
    assert assessed(some, body=body, pinned=pinned).finding is None

    result = assessed({**some, OTHER: seen(job(), sent=CLOCK - 9)}, body=body, pinned=pinned)
    assert isinstance(result.finding, JobSet)
    assert set(result.finding.jobs) == {running_job(), job()}
    assert result.finding.not_started == pinned[2:]
    assert (result.polled, result.sent) == (wall(CLOCK - 5), CLOCK - 5)  # the other job has ended


def test_set_with_trouble() -> None:
    """Trouble with one job of a set is the observation of the set."""
    observations: dict[Query, Observation] = {
        QUERY: seen(running_job()),
        OTHER: seen(running_job(), NOT_THERE, sent=CLOCK - 3),
    }
    result = assessed(observations, body=watch_body(BY_OPERATION), pinned=PINS)

    assert (result.finding, result.consecutive_failures, result.sent) == (NOT_THERE, 1, CLOCK - 3)


def test_one_job_of_an_operation() -> None:
    """An operation that started one job is assessed like a watch of that job."""
    body = watch_body(BY_OPERATION)
    assert assessed({QUERY: seen(job())}, body=body, pinned=PINS[:1]).finding == job()


def test_operation_that_started_nothing() -> None:
    """A set in which no job could be started needs no request."""
    pinned = (PinnedJob(name=JOB_NAME, error_code="E"), PinnedJob(name=OTHER_JOB_NAME, error_code="E"))
    result = assessed({}, body=watch_body(BY_OPERATION), pinned=pinned)

    assert result.finding == JobSet(jobs=(), not_started=pinned)


def test_answer_of_another_kind() -> None:
    """A result of another kind is ignored for the query of a job."""
    assert assessed({QUERY: seen(WAITING)}).finding is None


@pytest.mark.parametrize(("age", "accepts"), [(DETAIL_WAIT - 1, False), (DETAIL_WAIT, True)])
def test_end_in_a_list(age: float, accepts: bool) -> None:  # noqa: FBT001
    """The end of a job in a list entry is accepted after a five-minute wait for the GET."""
    result = assessed({QUERY: seen(list_entry(status="Failed"), sent=CLOCK - age)}, since=CLOCK - 900)

    assert result.accept_list_entry is accepts


# ── the deadline ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("result", "sent", "enforced"),
    [
        (running_job(), CLOCK - 1, False),
        (running_job(), CLOCK, True),
        (NOT_THERE, CLOCK, True),
        (errors.AuthorizationFailed("403"), CLOCK, True),
        (DOWN, CLOCK, False),
        (errors.Throttled("429"), CLOCK, False),
        (errors.UnexpectedResponse("x"), CLOCK, False),
        (list_entry(status="InProgress"), CLOCK, True),
        (list_entry(status="Failed"), CLOCK, False),
        (list_entry(status="Completed"), CLOCK, True),
        (job(), CLOCK - 50, True),
    ],
)
def test_deadline(result: Result, sent: float, enforced: bool) -> None:  # noqa: FBT001
    """The deadline is enforced by a conclusive poll that was sent after it, or by a final end."""
    observations: dict[Query, Observation] = {QUERY: seen(result, sent=sent)}
    found = assessed(observations, body=started(), now=NOW + LATE, clock=CLOCK + 5, deadline_since=CLOCK)

    assert found.enforce_deadline is enforced
    assert found.finding == result


@pytest.mark.parametrize(
    ("end", "warnings", "enforced"),
    [
        (list_entry(status="Failed"), "Failed", True),
        (list_entry(status="CompletedWithWarnings"), "Failed", False),
        (list_entry(status="CompletedWithWarnings"), "Succeeded", False),
        (list_entry(status="CompletedWithWarnings", errorDetails=[{"errorCode": 1}]), "Failed", True),
        (list_entry(status="CompletedWithWarnings", errorDetails=[{"errorCode": 1}]), "Succeeded", False),
    ],
)
def test_deadline_after_an_end_in_a_list(end: Any, warnings: str, enforced: bool) -> None:  # noqa: FBT001
    """A list entry that allows no verdict is never conclusive, however old it is: the GET may open the gate."""
    body = started({"jobResourceId": JOB_ID, "completedWithWarnings": warnings})
    observations: dict[Query, Observation] = {QUERY: seen(end, sent=CLOCK)}
    found = assessed(observations, body=body, now=NOW + LATE, clock=CLOCK + DETAIL_WAIT, deadline_since=CLOCK)

    assert found.accept_list_entry
    assert found.enforce_deadline is enforced


def test_deadline_that_has_just_passed() -> None:
    """When the operator first sees that the deadline passed, it needs a later poll to enforce it."""
    observation = seen(running_job(), sent=CLOCK - 1)
    result = assessed({QUERY: observation}, body=started(), now=NOW + LATE, deadline_since=CLOCK)

    assert not result.enforce_deadline


def test_request_after_the_deadline() -> None:
    """A poll after the deadline that is older than a requested one does not enforce the deadline."""
    observations: dict[Query, Observation] = {QUERY: seen(running_job(), sent=CLOCK + 1)}
    times = {"clock": CLOCK + 5, "deadline_since": CLOCK, "fresh_after": CLOCK + 2}
    result = assessed(observations, body=started(), now=NOW + LATE, **times)  # type: ignore[arg-type]

    assert (result.finding, result.enforce_deadline) == (None, False)


def test_deadline_of_a_set() -> None:
    """All jobs of a set need a poll after the deadline, except those with a final end."""
    body, after = started(BY_OPERATION), {"now": NOW + LATE, "clock": CLOCK + 5, "deadline_since": CLOCK}
    for other, enforced in ((running_job(), False), (job(status="Failed"), True), (list_entry(status="Failed"), False)):
        observations: dict[Query, Observation] = {QUERY: seen(running_job()), OTHER: seen(other, sent=CLOCK - 9)}
        result = assessed(observations, body=body, pinned=PINS, **after)  # type: ignore[arg-type]
        assert result.enforce_deadline is enforced


@pytest.mark.parametrize(
    ("other", "sent", "enforced"),
    [
        (running_job(), CLOCK - 1, False),
        (running_job(), CLOCK, True),
        (job(), CLOCK - 9, True),
        (DOWN, CLOCK + 1, False),
        (NOT_THERE, CLOCK + 1, True),
        (None, CLOCK, False),
    ],
)
def test_deadline_of_a_set_with_trouble(other: Result | None, sent: float, enforced: bool) -> None:  # noqa: FBT001
    """A 404 for one job of a set says nothing about the others: each needs a conclusive poll after the deadline."""
    body, after = started(BY_OPERATION), {"now": NOW + LATE, "clock": CLOCK + 5, "deadline_since": CLOCK}
    observations: dict[Query, Observation] = {QUERY: seen(NOT_THERE)}
    if other is not None:
        observations[OTHER] = seen(other, sent=sent)
    result = assessed(observations, body=body, pinned=PINS, **after)  # type: ignore[arg-type]

    assert isinstance(result.finding, errors.AzureError)
    assert result.enforce_deadline is enforced


def test_deadline_of_an_operation() -> None:
    """The result of an operation after the deadline is conclusive."""
    after = {"now": NOW + LATE, "clock": CLOCK + 5, "deadline_since": CLOCK}
    result = assessed({OPERATION_QUERY: seen(WAITING)}, body=started(BY_OPERATION), **after)  # type: ignore[arg-type]

    assert result.enforce_deadline


@pytest.mark.parametrize(
    ("observations", "expected"),
    [
        ({}, errors.PollDeferred),
        ({QUERY: seen(DOWN, sent=CLOCK - 900)}, errors.AzureUnavailable),
        ({QUERY: seen(DOWN, sent=CLOCK)}, errors.AzureUnavailable),
        ({QUERY: seen(running_job(), sent=CLOCK)}, type(running_job())),
    ],
)
def test_end_of_the_wait(observations: dict[Query, Observation], expected: type) -> None:
    """The wait for a conclusive poll ends an hour and two intervals after the deadline. The last result decides."""
    end = CLOCK + DEADLINE_WAIT.total_seconds() + 2 * INTERVAL
    waiting, over = (
        assessed(observations, body=started(), now=NOW + LATE, clock=clock, deadline_since=CLOCK, since=CLOCK - 60)
        for clock in (end - 1, end)
    )

    assert over.enforce_deadline
    assert isinstance(over.finding, expected)
    assert waiting.enforce_deadline is (expected is type(running_job()))


def test_before_the_deadline() -> None:
    """Before the deadline, and before the first write for the target, the verdict waits for no further poll."""
    observations: dict[Query, Observation] = {QUERY: seen(running_job())}

    assert assessed(observations, body=started()).enforce_deadline
    assert assessed(observations, now=NOW + LATE).enforce_deadline
