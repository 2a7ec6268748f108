"""Observations: what the operator keeps of results, failures and lists, and which of them are changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from backupjobwatch import errors
from backupjobwatch.domain.jobs.findings import PinnedJob, Waiting
from backupjobwatch.domain.polling.observations import (
    MIN_CONSECUTIVE_FAILURES,
    NEVER,
    JobList,
    Observation,
    Result,
    differs,
    has_changed,
    observe,
)
from tests.support.builders import NOW, job, list_entry, running_job

WAITING = Waiting(reason="Progressing", message="m")
RUNNING_ENTRY = replace(running_job(), partial=True, tasks=())
NOT_THERE, NOT_ALLOWED, DOWN = errors.JobNotFound("x"), errors.AuthorizationFailed("x"), errors.AzureUnavailable("x")


def seen(*results: Result, first: float = 1.0) -> Observation:
    """Return the observation after *results*, one per second."""
    observation = None
    for number, result in enumerate(results):
        sent = first + number
        observation = observe(observation, result, sent=sent, time=NOW + timedelta(seconds=sent))
    assert observation is not None
    return observation


def refusal(answer: int | None) -> errors.AzureError:
    error = errors.AuthenticationFailed("x")
    error.response_number = answer
    return error


@pytest.mark.parametrize(
    "answer", [job(), JobList(()), (PinnedJob(name="x"),), WAITING], ids=lambda each: type(each).__name__
)
def test_answer(answer: Any) -> None:
    """A result replaces the last one and resets all failure counts."""
    observation = seen(NOT_THERE, NOT_THERE, answer)

    assert (observation.result, observation.answer, observation.error) == (answer, answer, None)
    assert (observation.sent, observation.time) == (3, NOW + timedelta(seconds=3))
    assert (observation.failures, observation.failures_until_seen, observation.unanswered) == ((), (), 0)


def test_failure() -> None:
    """A failure keeps the last result and is recorded as the outcome of the attempt."""
    observation = seen(running_job(), DOWN)

    assert (observation.job, observation.error, observation.result) == (running_job(), DOWN, DOWN)
    assert (observation.sent, observation.detail_sent) == (2, 1)


@pytest.mark.parametrize(
    ("results", "always", "until_seen"),
    [
        ([NOT_THERE] * 2, 2, 2),
        ([NOT_ALLOWED] * 2, 0, 2),
        ([NOT_ALLOWED, NOT_THERE], 1, 2),
        ([NOT_THERE, NOT_ALLOWED], 0, 2),
        ([NOT_THERE, DOWN], 0, 0),
        ([NOT_THERE, DOWN, NOT_THERE], 1, 1),
        ([NOT_THERE, running_job(), NOT_THERE], 1, 1),
        ([NOT_THERE] * 9, MIN_CONSECUTIVE_FAILURES, MIN_CONSECUTIVE_FAILURES),
        ([refusal(None)] * 3, 0, 3),
        ([refusal(1), refusal(2), refusal(3)], 0, 3),
        ([refusal(1), refusal(1), refusal(1)], 0, 1),
        ([refusal(1), DOWN, refusal(1)], 0, 1),
    ],
)
def test_failures_in_a_row(results: list[Result], always: int, until_seen: int) -> None:
    """Each kind of error has its own count. Attempts that share one Entra response count as one failure."""
    observation = seen(*results)

    assert observation.failures_since(NEVER, seen=True) == always
    assert observation.failures_since(NEVER, seen=False) == until_seen


def test_failures_since() -> None:
    """A watch counts only failures of requests that were sent after it required the query."""
    observation = seen(*[NOT_THERE] * 3)

    assert [observation.failures_since(since, seen=True) for since in (0, 1, 2, 3, 4)] == [3, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("results", "count"),
    [
        ([DOWN] * 5, 5),
        ([errors.Throttled("x"), DOWN], 2),
        ([DOWN, NOT_THERE], 0),
        ([DOWN, job()], 0),
        ([refusal(1)] * 3, 1),
    ],
)
def test_unanswered(results: list[Result], count: int) -> None:
    """Consecutive unanswered attempts are counted for the backoff. A 404 counts as an answer."""
    assert seen(*results).unanswered == count


def test_traceback() -> None:
    """Tracebacks are dropped, because they would keep the frames of the request alive."""
    with pytest.raises(errors.JobNotFound) as caught:
        raise errors.JobNotFound("x")
    assert caught.value.__traceback__ is not None

    error = seen(caught.value).error
    assert error is not None
    assert error.__traceback__ is None


def test_entry_of_unchanged_job() -> None:
    """A list entry without a change keeps the detail and updates the duration."""
    entry = replace(RUNNING_ENTRY, duration=timedelta(minutes=9))
    observation = seen(running_job(), entry)

    assert observation.job == replace(running_job(), duration=timedelta(minutes=9))
    assert (observation.sent, observation.detail_sent, observation.ended_since) == (2, 1, None)


@pytest.mark.parametrize(
    "before", [[], [running_job(status="Cancelling")], [RUNNING_ENTRY]], ids=["new", "changed", "no detail"]
)
def test_entry(before: list[Result]) -> None:
    """Any other entry replaces what is known about the job."""
    observation = seen(*before, RUNNING_ENTRY)

    assert observation.job == RUNNING_ENTRY
    assert observation.detail_sent == (1 if before and not before[0].partial else NEVER)  # type: ignore[union-attr]
    assert not observation.is_final


def test_ended_entry() -> None:
    """A job that a list shows as ended has the time when that was first seen, until a GET shows the end."""
    entry = list_entry(status="Failed")

    assert seen(running_job(), entry, entry, DOWN, entry).ended_since == 2
    assert seen(running_job(), entry, RUNNING_ENTRY).ended_since is None
    assert seen(running_job(), entry, job(status="Failed")).ended_since is None


@pytest.mark.parametrize(
    ("results", "is_final"),
    [
        ([job()], True),
        ([job(), DOWN], True),
        ([running_job()], False),
        ([list_entry()], False),
        ([WAITING], False),
        ([DOWN], False),
    ],
)
def test_final(results: list[Result], is_final: bool) -> None:  # noqa: FBT001
    """A job that has ended is final, once its detail is known."""
    assert seen(*results).is_final is is_final


def test_kinds_without_a_job() -> None:
    """Results of operations and lists contain no job."""
    assert seen(WAITING).job is None
    assert seen(WAITING).detail_sent == NEVER


@pytest.mark.parametrize(
    ("change", "is_different"),
    [({}, False), ({"duration": "01:00:00"}, False), ({"status": "Cancelling"}, True), ({"operation": "Restore"}, True),
     ({"endTime": "2018-05-21T08:57:00Z"}, True)],
)  # fmt: skip
def test_differs(change: dict[str, Any], is_different: bool) -> None:  # noqa: FBT001
    """A job has changed if its status, end or operation differs."""
    assert differs(running_job(), running_job(**change)) is is_different


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], running_job(), True),
        ([running_job()], running_job(), False),
        ([running_job()], running_job(duration="01:00:00"), False),
        ([running_job()], running_job(status="Cancelling"), True),
        ([running_job()], job(), True),
        ([running_job()], DOWN, True),
        ([DOWN], DOWN, True),
        ([running_job(), DOWN], running_job(), True),
        ([WAITING], WAITING, False),
        ([WAITING], (PinnedJob(name="x"),), True),
        ([JobList(())], JobList((job(),)), True),
    ],
)
def test_changed_observation(before: list[Result], after: Result, expected: bool) -> None:  # noqa: FBT001
    """An observation is a change if it adds something to the last one. Errors always are."""
    previous = seen(*before) if before else None

    assert has_changed(previous, observe(previous, after, sent=9, time=NOW + timedelta(seconds=9))) is expected


def test_change_after_the_clock_was_set_back() -> None:
    """If the wall clock was set back, the same result counts as a change, because the status has a future time."""
    previous = seen(running_job())

    assert has_changed(previous, observe(previous, running_job(), sent=2, time=NOW))
