"""What a list changes: observations of its jobs, and the queries to read next."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backupjobwatch import errors
from backupjobwatch.domain.polling.observations import NEVER, JobList
from backupjobwatch.domain.polling.pauses import JOB, LIST
from backupjobwatch.domain.polling.queries import JobWindow
from tests.support.polling import START, ended, entry, job_id, running, wall
from tests.support.recorded import DOWN, HEARTBEAT, ID, OTHER, REFUSED, RUNNING, VAULT, WINDOW, Recorded, paused

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job

# ── lists of running jobs ────────────────────────────────────────────────────────────────────────────────────────────


def test_running_jobs() -> None:
    """A list answers all jobs that wait for it and that it contains. Each of them gets one observation."""
    given = Recorded(ID, OTHER)
    given.known(ID, OTHER)
    given.wait_for_list(ID)
    given.demands.mark_due(OTHER, START)
    updates = given.running(entry(ID), entry(OTHER), entry(job_id(2)), pages=3)

    assert [(each.demand.query, each.is_changed) for each in updates] == [(ID, False), (OTHER, False)]
    vault = given.demands.vaults[VAULT]
    assert (vault.pages, vault.entries_sent, vault.entries_time) == (3, START, wall(START))
    assert vault.entries.keys() == {ID.key, OTHER.key, job_id(2).key}
    assert not given.demands.is_waiting
    assert vault.awaiting == {}
    assert given.demands.by_query[ID].job == running(ID)


@pytest.mark.parametrize(
    ("shown", "is_changed"), [(entry(ID), False), (entry(ID, "Cancelling"), True), (entry(ID, "Failed"), True)]
)
def test_changed_job(shown: Job, is_changed: bool) -> None:  # noqa: FBT001
    """A job that a list shows as changed or ended is read next."""
    given = Recorded(ID)
    given.known(ID)
    (update,) = given.running(shown)

    assert update.is_changed is is_changed
    assert (ID in given.demands.changed) is is_changed
    assert (ID in given.demands.vaults[VAULT].changed) is is_changed
    assert ID.key not in given.demands.vaults[VAULT].entries or not shown.ended


def test_job_without_detail() -> None:
    """A job that only lists have shown has its detail read when there is time."""
    given = Recorded(ID)
    given.running(entry(ID))

    assert list(given.demands.old_details) == [ID]
    assert given.demands.changed == {}


@pytest.mark.parametrize(("age", "is_old"), [(HEARTBEAT - 2, False), (HEARTBEAT, True)])
def test_old_detail(age: float, is_old: bool) -> None:  # noqa: FBT001
    """The detail of an unchanged job is read again after the heartbeat."""
    given = Recorded(ID)
    given.known(ID, sent=START - age)
    given.running(entry(ID))

    assert (ID in given.demands.old_details) is is_old


def test_completed_job() -> None:
    """A job that a list shows as completed needs only its detail, which is less urgent than a change."""
    given = Recorded(ID)
    given.known(ID)
    given.demands.note_change(ID, START)
    given.window(entry(ID, "Completed"))

    assert (given.demands.changed, list(given.demands.missing_details)) == ({}, [ID])


def test_missing_job() -> None:
    """A job that is missing from the running ones has ended or is not visible. It is read with a GET."""
    given = Recorded(ID)
    given.known(ID)
    given.wait_for_list(ID)

    assert given.running() == []
    assert given.demands.changed == {ID: START + 1}
    assert given.demands.vaults[VAULT].awaiting == {}
    assert given.demands.by_query[ID].job == running(ID)


def test_missing_job_that_completed() -> None:
    """A job that is known to have completed is not expected among the running ones."""
    given = Recorded(ID)
    given.window(entry(ID, "Completed"), sent=START - 10)
    given.running()

    assert (given.demands.changed, list(given.demands.missing_details)) == ({}, [ID])


def test_missing_jobs_that_the_list_does_not_affect() -> None:
    """The list does not affect jobs that are final, that were read later or that were required later."""
    given = Recorded(ID, OTHER)
    given.record(ID, ended(ID), sent=START - 60)
    given.record(OTHER, running(OTHER), sent=START + 1)
    given.demands.add(job_id(2), "new", interval=30, now=START + 1)
    given.wait_for_list(job_id(2))
    given.running(sent=START)

    assert given.demands.changed == {}
    assert list(given.demands.vaults[VAULT].awaiting) == [job_id(2)]
    assert VAULT in given.demands.lists


def test_entries_that_change_nothing() -> None:
    """An entry changes neither a final job nor the result of a later request."""
    given = Recorded(ID, OTHER)
    given.record(ID, ended(ID), sent=START - 60)
    given.record(OTHER, ended(OTHER, "Failed"), sent=START + 1)

    assert given.running(entry(ID), entry(OTHER)) == []
    assert given.demands.by_query[OTHER].job == ended(OTHER, "Failed")


def test_entry_without_a_name() -> None:
    """An entry without a name is ignored."""
    given = Recorded(ID)

    assert given.running(replace(entry(ID), name=None)) == []


def test_list_of_a_vault_without_demand() -> None:
    """A list whose watches are gone leaves no state."""
    given = Recorded(ID)
    given.demands.vaults[VAULT].is_reading = True
    given.demands.remove(ID, "uid-0", START)

    assert given.running(entry(ID)) == []
    assert given.demands.vaults == {}


def test_fresh_entry() -> None:
    """A list that is recent enough answers an explicit request."""
    given = Recorded(ID)
    given.demands.request(ID, "a", fresh_after=START)
    given.running(entry(ID), sent=START)

    assert given.demands.explicit == {}


# ── lists of all jobs since a time ───────────────────────────────────────────────────────────────────────────────────


def test_window() -> None:
    """A list of all jobs answers its own query and the jobs in it."""
    given = Recorded(WINDOW, ID)
    given.demands.vaults[VAULT].is_reading = True
    updates = given.window(entry(ID, "Failed"), entry(OTHER), pages=4)

    assert [each.demand.query for each in updates] == [ID, WINDOW]
    assert given.observed(WINDOW).answer == JobList((entry(ID, "Failed"), entry(OTHER)))
    assert list(given.demands.changed) == [ID]
    assert (given.demands.vaults[VAULT].window_pages, given.demands.vaults[VAULT].is_reading) == (4, False)


def test_window_of_one_type() -> None:
    """A list of workload jobs does not change the known length of a list of all jobs."""
    given = Recorded(ID)
    given.window(entry(ID), pages=9, window=JobWindow(VAULT, None, "AzureWorkload"))

    assert given.demands.vaults[VAULT].window_pages == 2


# ── lists that failed ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "error", [errors.AuthorizationFailed("403"), errors.VaultNotFound("404"), errors.UnexpectedResponse("x")], ids=repr
)
def test_refused_list(error: errors.AzureError) -> None:
    """After an error that the next list would return again, jobs are read with GETs for a while."""
    given = Recorded(ID)
    given.wait_for_list(ID)

    assert given.record(RUNNING, error) == []
    assert list(given.demands.due[JOB]) == [ID]
    assert given.demands.vaults[VAULT].held_until == START + 1 + HEARTBEAT
    assert not given.demands.prefers_list(VAULT, START + HEARTBEAT)


def test_failed_list() -> None:
    """Any other error applies to the jobs that waited. They wait for the next list after one interval."""
    given = Recorded(ID, OTHER)
    given.known(ID)
    given.wait_for_list(ID)
    given.demands.vaults[VAULT].is_reading = True
    (update,) = given.record(RUNNING, DOWN)

    assert (update.demand.query, update.is_changed) == (ID, True)
    assert given.observed(ID).error == DOWN
    vault = given.demands.vaults[VAULT]
    assert (vault.awaiting, vault.is_reading, vault.held_until) == ({}, False, NEVER)


def test_failed_list_and_a_job_that_must_be_fresh() -> None:
    """A job that needs a newer result than the list ignores the list's error and is read with a GET."""
    given = Recorded(ID)
    given.wait_for_list(ID)
    given.demands.request(ID, "a", fresh_after=START + 1)
    given.record(RUNNING, DOWN, sent=START)

    assert list(given.demands.explicit["a"]) == [ID]


def test_throttled_list() -> None:
    """A list that was refused with 429 is not a result for its jobs. They wait for the next list or use GETs."""
    given = Recorded(ID)
    given.wait_for_list(ID)
    given.demands.vaults[VAULT].is_reading = True
    assert given.record(RUNNING, REFUSED) == []
    assert list(given.demands.vaults[VAULT].awaiting) == [ID]

    paused(given, LIST)
    assert list(given.demands.due[JOB]) == [ID]


def test_failed_window() -> None:
    """The error of a window applies to its query only."""
    given = Recorded(WINDOW, ID)
    given.wait_for_list(ID)
    given.demands.vaults[VAULT].is_reading = True
    (update,) = given.record(WINDOW, errors.AuthorizationFailed("403"))

    assert update.demand.query == WINDOW
    assert list(given.demands.vaults[VAULT].awaiting) == [ID]
    assert (given.demands.vaults[VAULT].is_reading, given.demands.vaults[VAULT].held_until) == (False, NEVER)
