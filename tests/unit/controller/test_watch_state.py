"""What is remembered of a watch: whether something about it was missed, and since when Azure was not asked for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from backupjobwatch.controller.watch_state import WatchState
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.polling.schedule import RAREST
from backupjobwatch.domain.status.transitions import describe
from backupjobwatch.domain.status.verdict import STALE
from tests.support.builders import NOW, running_job, settle, watch_body

RUNNING = Watch.from_body(settle(watch_body(), running_job(), NOW))
LONG = 1e6


def state(**more: Any) -> WatchState:
    """A watch that was reconciled at 0, and has nothing left to do then."""
    given = WatchState(watch=RUNNING, since=0.0, last_reconcile=0.0, **more)
    given.take_note(RUNNING, 0.0)
    return given


def missed(
    given: WatchState, watch: Watch = RUNNING, now: float = 1.0, *, steps: bool = False, tells: bool = False
) -> bool:
    return given.missed(watch, now, steps=steps, tells=tells)


def test_what_is_overdue_was_missed() -> None:
    """A watch whose ticks do not come is looked at, but not one that waits to begin its step: that would be no faster."""
    assert (missed(state()), missed(state(), now=LONG), missed(state(), now=LONG, steps=True)) == (False, True, False)


def test_an_edit_was_missed() -> None:
    """An edit that nobody told of is looked at, whatever the watch waits for: what it would begin with is out of date."""
    edited = Watch.from_body(watch_body(generation=2))

    assert (missed(state(), edited), missed(state(), edited, steps=True)) == (True, True)


def test_what_waits_to_be_told_was_not_missed() -> None:
    """An Event that could not be posted is tried again, but for one whose turn has not come."""
    transition = describe(RUNNING, RUNNING.status)
    pending_events = state(pending_events={transition.name: transition})

    assert (missed(pending_events), missed(pending_events, tells=True)) == (True, False)


@pytest.mark.parametrize(
    ("age", "presumed"),
    [(timedelta(0), True), (RAREST, True), (RAREST + STALE - timedelta(seconds=1), True), (RAREST + STALE, False)],
)
def test_a_status_as_old_as_it_may_be(age: timedelta, presumed: bool) -> None:  # noqa: FBT001 -- a parameter
    """At first sight a status is as good as new while an earlier process may have kept it so without a write."""
    given = state()
    given.presume_asked(NOW + age)

    assert given.asked == (NOW + age if presumed else None)


def test_no_status_is_not_presumed() -> None:
    """Nothing is known of when Azure was asked for a watch that has no status."""
    given = WatchState(watch=Watch.from_body(watch_body()), since=0.0, last_reconcile=0.0)
    given.presume_asked(NOW)

    assert given.asked is None
