"""One race on a real API server. ``tests/functional/test_operator_races.py`` covers all races."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.jobs import name_of

if TYPE_CHECKING:
    from tests.support.jobs import Jobs
    from tests.support.operator_process import OperatorProcess
    from tests.support.watches import Watches


def test_finished_target_edited_during_a_poll_of_the_next(
    operator: OperatorProcess, watches: Watches, jobs: Jobs
) -> None:
    """An open gate closes when the target is edited, and stays closed during a second edit."""
    first, second, third = jobs.completed(), jobs.completed(), jobs.start()
    watches.create("w", jobResourceId=first)
    watches.until_phase("w", "Succeeded")
    with jobs.hold(second) as hold:
        watches.edit("w", jobResourceId=second)
        hold.wait_arrived()
        watches.edit("w", jobResourceId=third)
    body = watches.until_phase("w", "Running")
    assert body["status"]["job"]["name"] == name_of(third)
    assert "completionTime" not in body["status"]
    watches.prove_honest("w", completed={name_of(first)})
