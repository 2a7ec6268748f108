"""One required query: when it is due, fresh or final."""

from __future__ import annotations

from typing import Any

import pytest

from backupjobwatch.domain.polling.demand import Demand, NextPage, Read, RunningJobs, kind_of
from backupjobwatch.domain.polling.observations import NEVER, Result, observe
from backupjobwatch.domain.polling.pauses import JOB, LIST, OPERATION
from backupjobwatch.domain.polling.queries import JobWindow
from backupjobwatch.errors import AzureUnavailable
from tests.support.polling import ended, entry, job_id, operation_id, running, vault_id, wall

ID = job_id()


def demand(result: Result | None = None, sent: float = 100, **more: Any) -> Demand:
    observation = None if result is None else observe(None, result, sent=sent, time=wall(sent))
    return Demand(query=ID, interval=30, since=50, observation=observation, **more)


@pytest.mark.parametrize(
    ("read", "kind"),
    [
        (ID, JOB),
        (operation_id(), OPERATION),
        (JobWindow(vault_id(), None), LIST),
        (RunningJobs(vault_id()), LIST),
        (NextPage(vault_id()), LIST),
    ],
)
def test_kind(read: Read, kind: str) -> None:
    """Azure throttles jobs, operations and lists separately."""
    assert kind_of(read) == kind


def test_without_a_result() -> None:
    """A query without a result is due one interval after it was required."""
    given = demand()

    assert (given.sent, given.due, given.job) == (NEVER, 80, None)
    assert not given.is_final
    assert not given.lacks_only_detail


def test_due() -> None:
    """The next poll is due one interval after the last request, or when the backoff ends."""
    assert demand(running(ID)).due == 130
    assert demand(running(ID), not_before=400).due == 400


@pytest.mark.parametrize(
    ("result", "fresh_after", "is_fresh"),
    [
        (None, 0, False),
        (running(ID), 100, True),
        (running(ID), 101, False),
        (AzureUnavailable("x"), 100, True),
        (ended(ID), 101, True),
        (entry(ID, "Completed"), 101, False),
    ],
)
def test_fresh(result: Result | None, fresh_after: float, is_fresh: bool) -> None:  # noqa: FBT001
    """A result is fresh if its request was sent late enough, or if the result is final."""
    assert demand(result, fresh_after=fresh_after).is_fresh is is_fresh


@pytest.mark.parametrize(
    ("result", "lacks"),
    [
        (entry(ID, "Completed"), True),
        (entry(ID, "Failed"), False),
        (entry(ID), False),
        (ended(ID), False),
        (running(ID), False),
    ],
)
def test_lacks_only_detail(result: Result, lacks: bool) -> None:  # noqa: FBT001
    """Only a job that a list shows as completed needs nothing but its detail."""
    assert demand(result).lacks_only_detail is lacks
