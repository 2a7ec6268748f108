"""Which notifications are due, and how their results are recorded, from the object alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backupjobwatch import errors
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.recovery_services import parse_job
from backupjobwatch.domain.polling.schedule import retry_delay
from backupjobwatch.domain.status.expiry import expiry
from backupjobwatch.domain.status.notifications import MESSAGE, notification_id
from backupjobwatch.domain.status.transitions import events_to_replay, needs_write, notification_failure_events
from backupjobwatch.domain.status.truncation import MAX_BYTES, size_of
from tests.property.oracles import check_schema
from tests.support.builders import (
    JOB_ID,
    NOW,
    OTHER_JOB_NAME,
    edit,
    job,
    request,
    running_job,
    settle,
    vast_payload,
)
from tests.unit.notifying import ALL, LATER, due_of, entry_named, notifying_body, settled_of, written


def test_due() -> None:
    """Each entry is due in its own phases only."""
    body = notifying_body(entry_named("ends"), entry_named("runs", ["Running"]), entry_named("all", ALL))
    running = settle(body, running_job(), NOW)

    assert due_of(body) == []
    assert due_of(settle(body, errors.JobNotFound("x"), NOW)) == []
    assert due_of(running) == [("runs", "Running"), ("all", "Running")]
    assert due_of(settle(running, job(), NOW)) == [("ends", "Succeeded"), ("all", "Succeeded")]
    assert due_of(settle(running, job(status="Failed"), NOW)) == [("ends", "Failed"), ("all", "Failed")]


def test_not_due() -> None:
    """Nothing is due for an outdated status, or while the object is being deleted."""
    done = settle(notifying_body(entry_named("n")), job(), NOW)

    assert due_of(done)
    assert not due_of(edit(done, pollInterval="5m"))
    assert not due_of(edit(done, jobResourceId=JOB_ID[:-36] + OTHER_JOB_NAME))
    assert not due_of({**done, "metadata": {**done["metadata"], "deletionTimestamp": "2018-05-21T10:00:00Z"}})


def test_id_is_of_uid_target_and_phase() -> None:
    """The ID is the same for each repetition, and differs for another object, target or phase."""
    done = settle(notifying_body(entry_named("n")), job(), NOW)
    watch = Watch.from_body(done)
    again = Watch.from_body(
        settle(edit(done, pollInterval="5m", notify=[entry_named("m")]), errors.PollDeferred("x"), LATER)
    )
    other = Watch.from_body({**done, "metadata": {**done["metadata"], "uid": "other"}})
    target = Watch.from_body(edit(done, graceSeconds=1))

    assert notification_id(watch, "Succeeded") == notification_id(again, "Succeeded")
    ids = [notification_id(each, "Succeeded") for each in (watch, other, target)]
    assert len({*ids, notification_id(watch, "Failed")}) == 4


@pytest.mark.parametrize("failure", [None, "The receiver responded with 500. " + "x" * 500])
def test_settled_is_not_due(failure: str | None) -> None:
    """A recorded result is not due again, and recording it changes nothing else in a final status."""
    done = settle(notifying_body(entry_named("a"), entry_named("b")), job(), NOW)
    after = written(done, *settled_of(done, "a", failure=failure))
    (entry,) = after["status"]["notifications"]

    assert due_of(after) == [("b", "Succeeded")]
    assert entry["state"] == ("Failed" if failure else "Delivered")
    assert (entry["name"], entry["phase"], entry["time"]) == ("a", "Succeeded", "2018-05-21T09:01:00Z")
    assert len(entry.get("message", "")) == (MESSAGE if failure else 0)
    assert {**after["status"], "notifications": None} == {**done["status"], "notifications": None}
    assert needs_write(done["status"], after["status"], heartbeat=timedelta(hours=1))
    assert written(after, *settled_of(done, "a", failure=failure))["status"] == after["status"]
    check_schema(after["status"])


def test_results_are_written_with_the_next_poll() -> None:
    """A result from the running phase is written with the next poll, and dropped when the final one is written."""
    running = settle(notifying_body(entry_named("n", ALL)), running_job(), NOW)
    told = settled_of(running, "n")
    polled = written(running, *told, observation=running_job())
    ended = written(running, *told, observation=job())

    assert due_of(polled) == []
    assert ended["status"]["phase"] == "Succeeded"
    assert ended["status"]["notifications"] == polled["status"]["notifications"]
    assert due_of(ended) == [("n", "Succeeded")]
    finished = written(ended, *settled_of(ended, "n"))
    assert [entry["phase"] for entry in finished["status"]["notifications"]] == ["Succeeded"]
    assert written(finished, *told)["status"] == finished["status"]


def test_of_another_target() -> None:
    """The results of a previous target are dropped. A target that is edited back is due again."""
    done = settle(notifying_body(entry_named("n")), job(), NOW)
    told = settled_of(done, "n")
    moved = edit(written(done, *told), jobResourceId=JOB_ID[:-36] + OTHER_JOB_NAME)
    other = written(moved, *told, observation=job(name=OTHER_JOB_NAME))
    back = written(edit(other, jobResourceId=JOB_ID), observation=job())

    assert "notifications" not in other["status"]
    assert due_of(other) == due_of(back) == [("n", "Succeeded")]


def test_edits() -> None:
    """A new entry of a finished watch is due. The result of a removed entry is dropped."""
    done = settle(notifying_body(entry_named("a")), job(), NOW)
    told = written(done, *settled_of(done, "a"))
    both = written(edit(told, notify=[entry_named("a"), entry_named("b")]))
    other = written(edit(told, notify=[entry_named("b")]))
    none = written(edit(told, notify=None))

    assert due_of(both) == due_of(other) == [("b", "Succeeded")]
    assert "notifications" not in other["status"]
    assert "notifications" not in none["status"]


def test_time_to_live_waits() -> None:
    """A watch does not expire while a notification is due."""
    done = settle(notifying_body(entry_named("n"), ttlSecondsAfterFinished=0), job(), NOW)

    assert expiry(Watch.from_body(done)) is None
    retried = written(done, *settled_of(done, "n", failure="x", retrying=True))
    assert expiry(Watch.from_body(retried)) is None
    assert expiry(Watch.from_body(written(done, *settled_of(done, "n", failure="x")))) == NOW


def test_full_status_has_room() -> None:
    """Eight failed entries fit into a status of maximum size, and all are kept."""
    names = [f"{number}{'n' * 62}" for number in range(8)]
    body = notifying_body(*(entry_named(name, ALL) for name in names))
    for letter in "x<é資😀":
        observation = parse_job(vast_payload(letter, status="InProgress"))
        running = settle(body, observation, NOW)
        filled = written(running, *settled_of(running, *names, failure="f" * 500), observation=observation)
        ended = settle(filled, parse_job(vast_payload(letter, status="Failed")), NOW)
        final = written(ended, *settled_of(ended, *names, failure="f" * 500))
        for each in (filled, ended, final):
            assert [entry["name"] for entry in each["status"]["notifications"]] == names
            check_schema(each["status"])
        assert due_of(filled) == due_of(final) == []
        pending_events = settle(running, parse_job(vast_payload(letter, status="Failed")), NOW)
        check_schema(written(pending_events, *settled_of(pending_events, *names, failure="f" * 500))["status"])


def test_final_status_has_room() -> None:
    """A final status of maximum size keeps all entries and stays valid."""
    names = [f"{number}{'n' * 62}" for number in range(8)]
    done = settle(notifying_body(*(entry_named(name) for name in names)), job(), NOW)
    properties = {str(number): "<" * 190 for number in range(49)}
    done["status"]["extendedInfo"] = {**done["status"].get("extendedInfo", {}), "properties": properties}
    properties["rest"] = "<" * ((MAX_BYTES - size_of(done["status"])) // 6 - 3)
    assert MAX_BYTES - 16 < size_of(done["status"]) <= MAX_BYTES

    final = written(request(done, "<" * 256), *settled_of(done, *names, failure="f" * 500))

    assert len(final["status"]["notifications"]) == 8
    check_schema(final["status"])


def test_failures_emit_one_event() -> None:
    """A failed notification emits one Event when it is written. Only a replay within the hour repeats it."""
    done = settle(notifying_body(entry_named("a"), entry_named("b")), job(), NOW)
    after = written(done, *settled_of(done, "a", failure="No."), *settled_of(done, "b"))
    (told,) = notification_failure_events(Watch.from_body(done), after["status"])

    assert (told.type, told.reason, told.message) == ("Warning", "NotificationFailed", "spec.notify[a]: No.")
    assert notification_failure_events(Watch.from_body(after), after["status"]) == ()
    repeated = events_to_replay(Watch.from_body(after), now=LATER)
    assert repeated[1:] == (told,)
    assert repeated[0].reason == "JobCompleted"
    assert events_to_replay(Watch.from_body(after), now=LATER + timedelta(hours=2)) == ()


def test_retries() -> None:
    """Ten attempts take about an hour, with growing waits. A receiver may ask for a longer wait."""
    waits = [retry_delay(attempt, "seed", None) for attempt in range(1, errors.DeliveryFailed.attempts)]

    assert waits == sorted(waits)
    assert timedelta(minutes=55) < sum(waits, timedelta()) < timedelta(minutes=70)
    refused = [retry_delay(attempt, "seed", None) for attempt in range(1, errors.DeliveryRefused.attempts)]
    assert timedelta(minutes=1) < sum(refused, timedelta()) < timedelta(minutes=2)
    assert retry_delay(1, "seed", timedelta(minutes=3)) == timedelta(minutes=3)
    assert len({retry_delay(3, str(seed), None) for seed in range(50)}) == 50


@pytest.mark.parametrize("garbage", [None, "x", [None, "x", {}], [{"name": ["n"], "id": {}}], {"name": "n"}])
def test_any_status(garbage: object) -> None:
    """Malformed results in the status are ignored, and the notification stays due."""
    done = settle(notifying_body(entry_named("n")), job(), NOW)
    done["status"]["notifications"] = garbage

    assert due_of(done) == [("n", "Succeeded")]
    assert "notifications" not in written(done)["status"]
    assert notification_failure_events(Watch.from_body(done), done["status"]) == ()
