"""Watch state: the latest snapshot, and when its requirements started."""

from __future__ import annotations

from typing import Any

import pytest

from backupjobwatch.controller.watch_state import REQUEST_INTERVAL, WatchState
from backupjobwatch.domain.api.backup_record import RecordState
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.findings import PinnedJob
from backupjobwatch.domain.polling.observations import NEVER
from tests.support.builders import (
    JOB_ID,
    JOB_NAME,
    NOW,
    OPERATION,
    OTHER_JOB_NAME,
    edit,
    job,
    request,
    running_job,
    settle,
    watch_body,
)
from tests.support.on_demand import on_demand_spec, record

RUNNING = settle(watch_body(), running_job(), NOW)
OTHER_TARGET = {"jobResourceId": JOB_ID.replace(JOB_NAME, OTHER_JOB_NAME)}


def at_version(body: dict[str, Any], version: int) -> Watch:
    return Watch.from_body({**body, "metadata": {**body["metadata"], "resourceVersion": str(version)}})


def state(body: dict[str, Any] = RUNNING) -> WatchState:
    """Return the state of a watch that was first seen at 100."""
    return WatchState(watch=at_version(body, 10), stored_at=100, since=100)


@pytest.mark.parametrize(
    ("version", "is_read", "is_stored"),
    [(11, False, True), (10, False, False), (9, False, False), (9, True, True), (10, True, True)],
)
def test_store(version: int, is_read: bool, is_stored: bool) -> None:  # noqa: FBT001 -- parameters
    """An event that is not newer is ignored. An object that was read from the API server is always stored."""
    given, watch = state(), at_version(RUNNING, version)
    given.is_outdated = True

    assert given.store(watch, 200, is_read=is_read) is is_stored
    assert (given.watch is watch) is is_stored
    assert (given.stored_at, given.is_outdated) == ((200, False) if is_stored else (100, True))


def test_new_target() -> None:
    """Editing the target restarts the watch: older results and the jobs that were found no longer count."""
    given = state()
    given.pinned, given.deadline_since = (PinnedJob(name=JOB_NAME),), 150.0
    given.store(at_version(edit(RUNNING, **OTHER_TARGET), 11), 200)

    assert (given.since, given.fresh_after, given.edited_at) == (200, 200, 200)
    assert not given.pinned
    assert given.deadline_since is None


def test_written_status_of_new_target() -> None:
    """Writing the status of a new target does not end the requirement of a fresh result."""
    given = state()
    edited = edit(RUNNING, **OTHER_TARGET)
    given.store(at_version(edited, 11), 200)
    given.store(at_version(settle(edited, running_job(), NOW), 12), 210)

    assert (given.since, given.fresh_after, given.edited_at) == (200, 200, 200)


def test_target_edited_while_the_operator_was_down() -> None:
    """If the status is about another target, the watch requires a result that is requested from now on."""
    assert state(edit(RUNNING, **OTHER_TARGET)).fresh_after == 100
    assert state().fresh_after == NEVER


def test_edit_of_another_field() -> None:
    """Editing another field triggers a poll soon and keeps the results."""
    given = state()
    given.store(at_version(edit(RUNNING, pollInterval="5m"), 11), 200)

    assert (given.since, given.fresh_after, given.edited_at) == (100, NEVER, 200)


def test_suspend() -> None:
    """A watch that resumes starts over: earlier results no longer count."""
    given = state()
    given.deadline_since = 150.0
    given.suspend(200)
    times = given.times(250)

    assert (times.now, times.since, times.deadline_since, times.fresh_after) == (250, 200, None, NEVER)


def test_requests_are_spaced() -> None:
    """The annotation triggers one poll per value, at most every ten seconds."""
    given = state(request(RUNNING, "one"))
    assert given.request_at == 100

    given.store(at_version(request(edit(RUNNING, suspend=True), "one"), 11), 101)
    assert given.request_at == 100
    for number in range(3):
        given.store(at_version(request(RUNNING, f"more-{number}"), 12 + number), 102 + number)
    assert given.request_at == 100 + 3 * REQUEST_INTERVAL
    given.store(at_version(request(RUNNING, "late"), 20), 500)
    assert given.request_at == 500


def test_handled_request() -> None:
    """A request that the status has acknowledged triggers no poll."""
    handled = settle(request(RUNNING, "one"), running_job(), NOW)

    assert state(handled).request_at == NEVER


def test_derived() -> None:
    """The poll interval and the metrics of the watch follow the snapshot."""
    given = state()
    assert given.interval is not None
    assert (given.interval.total_seconds(), given.summary.phase) == (30, "Running")

    given.store(at_version(settle(RUNNING, job(), NOW), 11), 200)
    assert given.interval is None
    assert given.summary.phase == "Succeeded"


def test_known_record() -> None:
    """The record of a request outlives a status that a user clears, also in the status of a suspended watch."""
    body = watch_body(on_demand_spec())
    given = state({**body, "status": {"onDemand": record().to_status()}})
    given.store(at_version(body, 11), 200)
    given.suspend(300)

    assert given.known_record == given.backup_record == record()


def test_result_of_a_request() -> None:
    """A new result of the stored request has to be written, and another request has not."""
    given = state({**watch_body(on_demand_spec()), "status": {"onDemand": record().to_status()}})
    assert not given.has_result
    given.backup_record = record(RecordState.REFUSED, attempt=2)
    assert not given.has_result
    given.backup_record = record(RecordState.ACCEPTED, operation_id=OPERATION)
    assert given.has_result
