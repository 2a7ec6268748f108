"""What Azure's answers change: observations, and what has to be read because of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch import errors
from backupjobwatch.domain.polling.demand import NextPage, RunningJobs
from backupjobwatch.domain.polling.observations import NEVER, JobList
from backupjobwatch.domain.polling.pauses import JOB, LIST, OPERATION
from backupjobwatch.domain.polling.queries import JobWindow
from backupjobwatch.domain.polling.recording import Listing, Recorder, Update
from tests.support.polling import START, demands_of, ended, entry, job_id, operation_id, running, vault_id, wall

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.polling.demands import Demands
    from backupjobwatch.domain.polling.observations import Observation, Result
    from backupjobwatch.domain.polling.queries import Query

HEARTBEAT = 300.0
ID, OTHER = job_id(0), job_id(1)
VAULT = vault_id()
RUNNING = RunningJobs(VAULT)
WINDOW = JobWindow(VAULT, None)
DOWN, REFUSED = errors.AzureUnavailable("503"), errors.Throttled("429")


class Recorded:
    """Demands, and what was recorded in them."""

    def __init__(self, *queries: Query, **more: Any) -> None:
        self.demands: Demands = demands_of(*queries, **more)
        self.recorder = Recorder(demands=self.demands, heartbeat=HEARTBEAT)

    def record(self, query: Query, result: Result, sent: float = START, now: float | None = None) -> list[Update]:
        now = sent + 1 if now is None else now
        return list(self.recorder.record(query, result, sent=sent, time=wall(sent), now=now))

    def observed(self, query: Query) -> Observation:
        observation = self.demands.of[query].observation
        assert observation is not None
        return observation

    def running(self, *jobs: Job, sent: float = START, pages: int = 1) -> list[Update]:
        listing = Listing(jobs=jobs, pages=pages)
        return list(self.recorder.record_running(RUNNING, listing, sent=sent, time=wall(sent), now=sent + 1))

    def window(self, *jobs: Job, sent: float = START, pages: int = 1, window: JobWindow = WINDOW) -> list[Update]:
        listing = Listing(jobs=jobs, pages=pages)
        return list(self.recorder.record_window(window, listing, sent=sent, time=wall(sent), now=sent + 1))

    def failed(self, read: RunningJobs | JobWindow, error: errors.AzureError, sent: float = START) -> list[Update]:
        return list(self.recorder.record_failed_list(read, error, sent=sent, time=wall(sent), now=sent + 1))

    def wait_for_list(self, *job_ids: Any, now: float = START) -> None:
        for each in job_ids:
            self.demands.drop(each)
            self.demands.await_list(each, now)

    def known(self, *job_ids: Any, sent: float = START - 60) -> None:
        for each in job_ids:
            self.record(each, running(each), sent=sent)


# ── answers about one query ──────────────────────────────────────────────────────────────────────────────────────────


def test_answer() -> None:
    """An answer is the observation of its query, and nothing is left to read."""
    given = Recorded(ID)
    given.demands.of[ID].reading_since = START
    (update,) = given.record(ID, running(ID), sent=START, now=START + 2)

    demand = given.demands.of[ID]
    assert (update.demand, update.is_news, update.lag) == (demand, True, -28)
    assert (demand.job, demand.sent, demand.reading_since) == (running(ID), START, None)
    assert not given.demands.is_waiting


def test_same_answer() -> None:
    """The same answer again is no news."""
    given = Recorded(ID)
    given.record(ID, running(ID))
    (update,) = given.record(ID, running(ID), sent=START + 40)

    assert (update.is_news, update.lag) == (False, 11)


def test_answer_that_nobody_requires() -> None:
    """An answer to a query that was released meanwhile is dropped."""
    assert Recorded().record(ID, running(ID)) == []


def test_answer_that_a_list_has_overtaken() -> None:
    """An answer does not replace that of a request that was sent later."""
    given = Recorded(ID)
    given.window(entry(ID, "Failed"), sent=START + 1)

    assert given.record(ID, running(ID), sent=START, now=START + 3) == []
    assert given.demands.of[ID].sent == START + 1


def test_answer_after_a_change() -> None:
    """A job stays marked as changed if its answer was requested before the change was seen."""
    given = Recorded(ID)
    given.demands.note_change(ID, START + 5)
    given.record(ID, running(ID), sent=START)
    assert list(given.demands.changed) == [ID]

    given.record(ID, running(ID), sent=START + 5)
    assert given.demands.changed == {}


def test_fresh_answer() -> None:
    """An explicit request ends with an answer that is fresh enough."""
    given = Recorded(ID)
    given.demands.request(ID, "a", fresh_after=START + 5)
    given.record(ID, running(ID), sent=START)
    assert given.demands.of[ID].is_explicit

    given.record(ID, DOWN, sent=START + 5)
    assert not given.demands.of[ID].is_explicit
    assert given.demands.explicit == {}


def test_backoff() -> None:
    """After the first failures in a row, ticks are skipped. The first answer ends that."""
    given = Recorded(operation_id())
    demand = given.demands.of[operation_id()]
    for number in range(3):
        given.record(operation_id(), DOWN, sent=START + number)
        assert demand.not_before == NEVER
    given.record(operation_id(), DOWN, sent=START + 3, now=START + 4)
    assert START + 64 <= demand.not_before <= START + 70

    given.record(operation_id(), errors.JobNotFound("404"), sent=START + 5)
    assert demand.not_before == NEVER


# ── 429 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def paused(given: Recorded, kind: str, *, now: float = START + 1) -> None:
    given.demands.pause(kind, until=now + 60, now=now, everything=False)


def test_refused_operation() -> None:
    """A query that was refused is due again at once, so that it is read when the pause ends."""
    given = Recorded(operation_id())
    paused(given, OPERATION)
    given.record(operation_id(), REFUSED)

    assert given.demands.due[OPERATION] == {operation_id(): START + 1}


@pytest.mark.parametrize("are_lists_held", [False, True])
def test_refused_job(are_lists_held: bool) -> None:  # noqa: FBT001
    """A job whose GET was refused waits for a list, or else for the end of the pause."""
    given = Recorded(ID)
    if are_lists_held:
        given.demands.vaults[VAULT].held_until = START + 900
    paused(given, JOB)
    given.record(ID, REFUSED)

    vault = given.demands.vaults[VAULT]
    assert (list(given.demands.due[JOB]), list(vault.awaiting)) == (([ID], []) if are_lists_held else ([], [ID]))


def test_refused_without_a_pause() -> None:
    """A query that was refused without a time to wait is read at its next tick."""
    given = Recorded(ID)
    given.record(ID, REFUSED)

    assert not given.demands.is_waiting


def test_refused_explicit_request() -> None:
    """An explicit request that was refused goes on: a 429 is no answer."""
    given = Recorded(ID)
    given.demands.request(ID, "a", fresh_after=START)
    paused(given, JOB)
    given.record(ID, REFUSED)

    assert list(given.demands.explicit["a"]) == [ID]


@pytest.mark.parametrize("queue", ["changed", "missing_details"])
def test_refused_job_that_has_changed(queue: str) -> None:
    """A job that has changed stays so until it could be read."""
    given = Recorded(ID)
    given.demands.drop(ID)
    if queue == "changed":
        given.demands.note_change(ID, START)
    else:
        given.demands.missing_details[ID] = None
    paused(given, JOB)
    given.record(ID, REFUSED)

    assert list(getattr(given.demands, queue)) == [ID]
    assert given.demands.vaults[VAULT].awaiting == {}


# ── lists of running jobs ────────────────────────────────────────────────────────────────────────────────────────────


def test_running_jobs() -> None:
    """A list answers all jobs that wait for it and are in it. Each of them is one observation."""
    given = Recorded(ID, OTHER)
    given.known(ID, OTHER)
    given.wait_for_list(ID)
    given.demands.mark_due(OTHER, START)
    updates = given.running(entry(ID), entry(OTHER), entry(job_id(2)), pages=3)

    assert [(each.demand.query, each.is_news) for each in updates] == [(ID, False), (OTHER, False)]
    vault = given.demands.vaults[VAULT]
    assert (vault.pages, vault.entries_sent, vault.entries_time) == (3, START, wall(START))
    assert vault.entries.keys() == {ID, OTHER, job_id(2)}
    assert not given.demands.is_waiting
    assert vault.awaiting == {}
    assert given.demands.of[ID].job == running(ID)


@pytest.mark.parametrize(
    ("shown", "is_changed"), [(entry(ID), False), (entry(ID, "Cancelling"), True), (entry(ID, "Failed"), True)]
)
def test_changed_job(shown: Job, is_changed: bool) -> None:  # noqa: FBT001
    """A job that a list shows as changed or ended is read next."""
    given = Recorded(ID)
    given.known(ID)
    (update,) = given.running(shown)

    assert update.is_news is is_changed
    assert (ID in given.demands.changed) is is_changed
    assert (ID in given.demands.vaults[VAULT].changed) is is_changed
    assert ID not in given.demands.vaults[VAULT].entries or not shown.ended


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
    """A job that a list shows as completed lacks only its detail, which is less urgent than a change."""
    given = Recorded(ID)
    given.known(ID)
    given.demands.note_change(ID, START)
    given.window(entry(ID, "Completed"))

    assert (given.demands.changed, list(given.demands.missing_details)) == ({}, [ID])


def test_missing_job() -> None:
    """A job that is not among the running ones has ended, or is not visible: it is read by itself."""
    given = Recorded(ID)
    given.known(ID)
    given.wait_for_list(ID)

    assert given.running() == []
    assert given.demands.changed == {ID: START + 1}
    assert given.demands.vaults[VAULT].awaiting == {}
    assert given.demands.of[ID].job == running(ID)


def test_missing_job_that_completed() -> None:
    """A job that is known to have completed is not expected among the running ones."""
    given = Recorded(ID)
    given.window(entry(ID, "Completed"), sent=START - 10)
    given.running()

    assert (given.demands.changed, list(given.demands.missing_details)) == ({}, [ID])


def test_missing_jobs_about_which_the_list_says_nothing() -> None:
    """A final job, one that was read after the list was requested, and one that was required later are left alone."""
    given = Recorded(ID, OTHER)
    given.record(ID, ended(ID), sent=START - 60)
    given.record(OTHER, running(OTHER), sent=START + 1)
    given.demands.require(job_id(2), "new", interval=30, now=START + 1)
    given.wait_for_list(job_id(2))
    given.running(sent=START)

    assert given.demands.changed == {}
    assert list(given.demands.vaults[VAULT].awaiting) == [job_id(2)]
    assert given.demands.vaults[VAULT].scheduled is not None


def test_entries_that_say_nothing_new() -> None:
    """An entry changes neither a final job nor a result whose request was sent later."""
    given = Recorded(ID, OTHER)
    given.record(ID, ended(ID), sent=START - 60)
    given.record(OTHER, ended(OTHER, "Failed"), sent=START + 1)

    assert given.running(entry(ID), entry(OTHER)) == []
    assert given.demands.of[OTHER].job == ended(OTHER, "Failed")


def test_entry_without_a_name() -> None:
    """An entry without a name is of no job."""
    given = Recorded(ID)

    assert given.running(replace(entry(ID), name=None)) == []


def test_list_of_a_vault_without_demand() -> None:
    """A list whose watches are gone leaves nothing in memory."""
    given = Recorded(ID)
    given.demands.release(ID, "uid-0", START)

    assert given.running(entry(ID)) == []
    assert given.demands.vaults[VAULT].entries == {}


def test_fresh_entry() -> None:
    """A list that is new enough answers an explicit request."""
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
    """A list of workload jobs says nothing about the length of a list of all jobs."""
    given = Recorded(ID)
    given.window(entry(ID), pages=9, window=JobWindow(VAULT, None, "AzureWorkload"))

    assert given.demands.vaults[VAULT].window_pages == 2


# ── lists that failed ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "error", [errors.AuthorizationFailed("403"), errors.VaultNotFound("404"), errors.UnexpectedResponse("x")], ids=repr
)
def test_refused_list(error: errors.AzureError) -> None:
    """After an error that the next list would return again, jobs are read by themselves for a while."""
    given = Recorded(ID)
    given.wait_for_list(ID)

    assert given.failed(RUNNING, error) == []
    assert list(given.demands.due[JOB]) == [ID]
    assert given.demands.vaults[VAULT].held_until == START + 1 + HEARTBEAT
    assert not given.demands.prefers_list(VAULT, START + HEARTBEAT)


def test_failed_list() -> None:
    """Any other error is that of the jobs that waited, and the next interval lists again."""
    given = Recorded(ID, OTHER)
    given.known(ID)
    given.wait_for_list(ID)
    given.demands.vaults[VAULT].is_reading = True
    (update,) = given.failed(RUNNING, DOWN)

    assert (update.demand.query, update.is_news) == (ID, True)
    assert given.observed(ID).error == DOWN
    vault = given.demands.vaults[VAULT]
    assert (vault.awaiting, vault.is_reading, vault.held_until) == ({}, False, NEVER)


def test_failed_list_and_a_job_that_must_be_fresh() -> None:
    """A job that needs a newer result than the list does not take the list's error for it: it is read by itself."""
    given = Recorded(ID)
    given.wait_for_list(ID)
    given.demands.request(ID, "a", fresh_after=START + 1)
    given.failed(RUNNING, DOWN, sent=START)

    assert list(given.demands.explicit["a"]) == [ID]


def test_throttled_list() -> None:
    """A list that was refused with 429 is no result for a job. It waits for the next one, or is read by itself."""
    given = Recorded(ID)
    given.wait_for_list(ID)
    given.demands.vaults[VAULT].is_reading = True
    assert given.failed(RUNNING, REFUSED) == []
    assert list(given.demands.vaults[VAULT].awaiting) == [ID]

    paused(given, LIST)
    assert list(given.demands.due[JOB]) == [ID]


def test_failed_window() -> None:
    """The error of a window is that of its query alone."""
    given = Recorded(WINDOW, ID)
    given.wait_for_list(ID)
    given.demands.vaults[VAULT].is_reading = True
    (update,) = given.failed(WINDOW, errors.AuthorizationFailed("403"))

    assert update.demand.query == WINDOW
    assert list(given.demands.vaults[VAULT].awaiting) == [ID]
    assert (given.demands.vaults[VAULT].is_reading, given.demands.vaults[VAULT].held_until) == (False, NEVER)


# ── abandoned requests ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("query", [ID, operation_id(), WINDOW], ids=lambda each: type(each).__name__)
def test_abandoned_request(query: Query) -> None:
    """What was being read when the request was abandoned is read again."""
    given = Recorded(query)
    demand, vault = given.demands.of[query], given.demands.vaults[VAULT]
    demand.reading_since, vault.is_reading = START, query == WINDOW
    given.recorder.abort(query, now=START + 1)

    assert demand.reading_since is None
    assert not vault.is_reading
    assert given.demands.is_waiting


def test_abandoned_list() -> None:
    """Jobs that waited for an abandoned list wait for the next one."""
    given = Recorded(ID)
    vault = given.demands.vaults[VAULT]
    vault.is_reading = True
    given.wait_for_list(ID)
    given.recorder.abort(RUNNING, now=START + 1)

    assert (vault.is_reading, vault.scheduled) == (False, START + 1)


def test_abandoned_requests_that_nobody_requires() -> None:
    """Nothing is left of them."""
    given = Recorded()
    for read in (ID, WINDOW, RUNNING, NextPage(VAULT)):
        given.recorder.abort(read, now=START)

    assert not given.demands.is_waiting
