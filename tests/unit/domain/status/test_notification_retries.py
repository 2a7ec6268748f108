"""Status and Events of notifications whose delivery is retried."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.status.transitions import events_to_replay, needs_write, notification_failure_events
from tests.property.oracles import check_schema
from tests.support.builders import JOB_ID, NOW, OTHER_JOB_NAME, edit, job, running_job, settle
from tests.unit.notifying import ALL, LATER, due_of, entry_named, notifying_body, settled_of, states_of, written


def test_retrying_is_due() -> None:
    """A retried notification stays due until it is delivered or fails. Only its own entry changes."""
    done = settle(notifying_body(entry_named("a"), entry_named("b")), job(), NOW)
    retried = written(done, *settled_of(done, "a", failure="No Role.", retrying=True))
    (entry,) = retried["status"]["notifications"]

    assert due_of(retried) == [("a", "Succeeded"), ("b", "Succeeded")]
    assert (entry["state"], entry["message"], entry["time"]) == ("Retrying", "No Role.", "2018-05-21T09:01:00Z")
    assert {**retried["status"], "notifications": None} == {**done["status"], "notifications": None}
    assert needs_write(done["status"], retried["status"], heartbeat=timedelta(hours=1))
    check_schema(retried["status"])
    for failure, state in ((None, "Delivered"), ("Gone.", "Failed")):
        after = written(retried, *settled_of(retried, "a", failure=failure))
        assert states_of(after) == [("a", state, failure)]
        assert due_of(after) == [("b", "Succeeded")]


def test_retrying_is_written_once() -> None:
    """The same failure again, even after a restart, leaves the entry unchanged. A new message replaces it."""
    done = settle(notifying_body(entry_named("a")), job(), NOW)
    (first,) = settled_of(done, "a", failure="No Role.", retrying=True)
    retried = written(done, first)
    again = written(retried, replace(first, time=LATER + timedelta(minutes=5)))
    other = written(retried, replace(first, failure="No object."))

    assert again["status"] == retried["status"]
    assert states_of(other) == [("a", "Retrying", "No object.")]
    delivered = written(retried, *settled_of(retried, "a"))
    assert written(delivered, first)["status"] == delivered["status"]


@pytest.mark.parametrize("phases", [["Running"], ALL])
def test_retrying_ends_with_its_phase(phases: list[str]) -> None:
    """When its phase ends, a retried notification is dropped, whether or not the next phase is due."""
    running = settle(notifying_body(entry_named("a", phases)), running_job(), NOW)
    first = settled_of(running, "a", failure="No Role.", retrying=True)
    retried = written(running, *first, observation=running_job())
    late = written(running, *first, observation=job())
    ended = written(retried, observation=job())

    assert states_of(retried) == [("a", "Retrying", "No Role.")]
    assert states_of(ended) == states_of(late) == []
    assert due_of(ended) == ([("a", "Succeeded")] if "Succeeded" in phases else [])


def test_retrying_ends_with_its_entry() -> None:
    """A retry is dropped if an edit removes its entry or phase, or changes the target. Other edits keep it."""
    done = settle(notifying_body(entry_named("a")), job(), NOW)
    retried = written(done, *settled_of(done, "a", failure="No Role.", retrying=True))

    assert states_of(written(edit(retried, notify=[entry_named("a", ["Failed"])]))) == []
    assert states_of(written(edit(retried, notify=[entry_named("b")]))) == []
    assert states_of(written(edit(retried, pollInterval="5m"))) == [("a", "Retrying", "No Role.")]
    moved = edit(retried, jobResourceId=JOB_ID[:-36] + OTHER_JOB_NAME)
    assert states_of(written(moved, observation=job(name=OTHER_JOB_NAME))) == []


def test_retrying_is_an_event() -> None:
    """The first failed attempt emits an Event, and the final failure emits another. A new message emits none."""
    done = settle(notifying_body(entry_named("a"), entry_named("b")), job(), NOW)
    (first,) = settled_of(done, "a", failure="No.", retrying=True)
    retried = written(done, first, *settled_of(done, "b"))
    (told,) = notification_failure_events(Watch.from_body(done), retried["status"])

    assert (told.type, told.reason, told.message) == ("Warning", "NotificationRetrying", "spec.notify[a]: No.")
    other = written(retried, replace(first, failure="Still no."))
    assert notification_failure_events(Watch.from_body(retried), other["status"]) == ()
    assert events_to_replay(Watch.from_body(retried), now=LATER)[1:] == (told,)
    failed = written(other, *settled_of(other, "a", failure="No."))
    (given_up,) = notification_failure_events(Watch.from_body(other), failed["status"])
    assert given_up.reason == "NotificationFailed"
    assert given_up.name != told.name
