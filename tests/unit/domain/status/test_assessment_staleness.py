"""When an assessment is stale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch import errors
from backupjobwatch.domain.jobs.findings import OperationFailure
from backupjobwatch.domain.status.verdict import STALE
from tests.support.assessing import (
    BY_OPERATION,
    CLOCK,
    DOWN,
    LATE,
    OPERATION_QUERY,
    OTHER,
    PINS,
    QUERY,
    WAITING,
    assessed,
    seen,
    started,
)
from tests.support.builders import (
    NOW,
    job,
    list_entry,
    running_job,
    watch_body,
)

if TYPE_CHECKING:
    from backupjobwatch.domain.polling.observations import Observation, Result
    from backupjobwatch.domain.polling.queries import Query


def is_stale(observations: dict[Query, Observation], **more: Any) -> bool:
    observation = assessed(observations, clock=CLOCK + STALE.total_seconds(), **more).finding
    assert not isinstance(observation, errors.PollDeferred) or (observation.stale and str(observation) == "Wait.")
    return isinstance(observation, errors.PollDeferred)


@pytest.mark.parametrize(("since", "stale"), [(CLOCK, True), (CLOCK + 1, False)])
def test_never_polled(since: float, stale: bool) -> None:  # noqa: FBT001
    """A watch that was not polled for ten minutes reports the reason."""
    assert is_stale({}, since=since) is stale


@pytest.mark.parametrize(
    ("result", "sent", "stale"),
    [
        (running_job(), CLOCK, True),
        (running_job(), CLOCK + 1, False),
        (list_entry(status="InProgress"), CLOCK, True),
        (job(), CLOCK, False),
        (list_entry(status="Completed"), CLOCK, False),
        (list_entry(status="Failed"), CLOCK, False),
        (DOWN, CLOCK, False),
    ],
)
def test_not_polled_for_long(result: Result, sent: float, stale: bool) -> None:  # noqa: FBT001
    """A running job that was last seen ten minutes ago is stale. An end or an error is not."""
    assert is_stale({QUERY: seen(result, sent=sent)}) is stale


def test_stale_set() -> None:
    """A set is stale if the last result of any unfinished job is stale."""
    body = watch_body(BY_OPERATION)
    fresh, old = seen(running_job(), sent=CLOCK + 300), seen(running_job(), sent=CLOCK)

    assert is_stale({QUERY: fresh, OTHER: old}, body=body, pinned=PINS)
    assert not is_stale({QUERY: fresh, OTHER: seen(job(), sent=CLOCK)}, body=body, pinned=PINS)
    assert not is_stale({QUERY: seen(job()), OTHER: seen(job())}, body=body, pinned=PINS)


def test_stale_operation() -> None:
    """A waiting operation is stale after ten minutes. A failed one is not."""
    body = watch_body(BY_OPERATION)

    assert is_stale({OPERATION_QUERY: seen(WAITING)}, body=body)
    assert not is_stale({OPERATION_QUERY: seen(OperationFailure(message="m"))}, body=body)


def test_stale_after_the_deadline() -> None:
    """A conclusive poll after the deadline is never stale. Without one, the watch waits and reports the reason."""
    more: dict[str, Any] = {"body": started(), "now": NOW + LATE}
    conclusive: dict[Query, Observation] = {QUERY: seen(running_job(), sent=CLOCK)}

    assert not is_stale(conclusive, deadline_since=CLOCK, **more)
    assert is_stale(conclusive, deadline_since=CLOCK + 1, **more)


def test_stale_after_an_edit() -> None:
    """After an edit to the target, staleness counts from the edit."""
    old: dict[Query, Observation] = {QUERY: seen(running_job(), sent=CLOCK - 400)}

    assert not is_stale(old, since=CLOCK + 1, fresh_after=CLOCK + 1)
    assert is_stale(old, since=CLOCK, fresh_after=CLOCK)
