"""Edits and deletions while Azure is being asked: a verdict never reaches an object that it is not about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.jobs import name_of
from tests.support.watches import phase

if TYPE_CHECKING:
    from tests.support.jobs import Jobs
    from tests.support.operator_process import OperatorProcess
    from tests.support.watches import Watches


def test_target_edited_during_a_poll(operator: OperatorProcess, watches: Watches, jobs: Jobs) -> None:
    """An answer about the old target is dropped, and the new target is asked about at once."""
    old, new = jobs.completed(), jobs.start()
    with jobs.hold(old) as hold:
        watches.create("w", jobResourceId=old)
        hold.wait_arrived()
        watches.edit("w", jobResourceId=new)
    body = watches.until_phase("w", "Running")
    assert body["status"]["job"]["name"] == name_of(new)
    watches.prove_honest("w")


def test_finished_target_edited_during_a_poll_of_the_next(
    operator: OperatorProcess, watches: Watches, jobs: Jobs
) -> None:
    """A gate that was open shuts when the target is edited, and stays shut over two edits in a row."""
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


def test_other_fields_edited_during_a_poll(operator: OperatorProcess, watches: Watches, jobs: Jobs) -> None:
    """An edit of how the job is followed does not cost the answer that was under way."""
    job = jobs.completed()
    with jobs.hold(job) as hold:
        watches.create("w", jobResourceId=job)
        hold.wait_arrived()
        watches.edit("w", pollInterval="5m")
    body = watches.until_phase("w", "Succeeded")
    assert body["metadata"]["generation"] == 2
    assert len(jobs.requests(job)) == 1
    watches.prove_honest("w", completed={name_of(job)})


def test_suspended_during_a_poll(operator: OperatorProcess, watches: Watches, jobs: Jobs) -> None:
    """A poll that ends after the suspension does not open the gate; it opens when the watch is resumed."""
    job = jobs.completed()
    with jobs.hold(job) as hold:
        watches.create("w", jobResourceId=job)
        hold.wait_arrived()
        watches.edit("w", suspend=True)
    watches.until_reason("w", "Suspended")
    assert phase(watches.get("w")) == "Pending"
    watches.edit("w", suspend=False)
    watches.until_phase("w", "Succeeded")
    watches.prove_honest("w", completed={name_of(job)})


def test_made_anew_during_a_poll(operator: OperatorProcess, watches: Watches, jobs: Jobs) -> None:
    """An object that was deleted and made again under its name does not inherit the verdict of its predecessor."""
    old, new = jobs.completed(), jobs.start()
    with jobs.hold(old) as hold:
        first = watches.create("w", jobResourceId=old)
        hold.wait_arrived()
        watches.delete("w")
        second = watches.create("w", jobResourceId=new)
        watches.until_phase("w", "Running")
    jobs.wait_requests(1, old)
    watches.poll_now("w")
    body = watches.until_phase("w", "Running")
    assert first["metadata"]["uid"] != second["metadata"]["uid"] == body["metadata"]["uid"]
    assert body["status"]["job"]["name"] == name_of(new)
    watches.prove_honest("w")
    assert {event["involvedObject"]["uid"] for event in watches.events("w")} == {body["metadata"]["uid"]}


def test_made_anew_with_the_same_target_during_a_poll(operator: OperatorProcess, watches: Watches, jobs: Jobs) -> None:
    """A twin of a deleted watch gets its own verdict once, with a start of its own."""
    job = jobs.completed()
    with jobs.hold(job) as hold:
        watches.create("w", jobResourceId=job)
        hold.wait_arrived()
        watches.delete("w")
        twin = watches.create("w", jobResourceId=job)
    body = watches.until_phase("w", "Succeeded")
    assert body["metadata"]["uid"] == twin["metadata"]["uid"]
    watches.until_event("w", "JobCompleted")
    assert len(watches.events("w")) == 1
    watches.prove_honest("w", completed={name_of(job)})
