"""Demands: which queries the watches require, and which reads wait for that."""

from __future__ import annotations

import pytest

from backupjobwatch.domain.polling.demand import RunningJobs
from backupjobwatch.domain.polling.demands import LISTS_ABOVE, LISTS_UNTIL, Demands
from backupjobwatch.domain.polling.observations import NEVER, JobList, observe
from backupjobwatch.domain.polling.pauses import JOB, LIST, OPERATION
from backupjobwatch.domain.polling.queries import JobWindow
from backupjobwatch.domain.polling.read_planner import ReadPlanner
from backupjobwatch.domain.polling.recording import ObservationRecorder
from backupjobwatch.errors import AzureUnavailable, Throttled
from tests.support.polling import START, demands_of, entry, job_id, operation_id, running, vault_id, wall

ID, OTHER = job_id(0), job_id(1)
VAULT = vault_id()
REFUSED = Throttled("429")


def answer(demands: Demands, query: object, result: object, sent: float) -> None:
    """Set the observation of *query* without other effects."""
    demands.by_query[query].observation = observe(None, result, sent=sent, time=wall(sent))  # type: ignore[index, arg-type]


def crowd(count: int = 60, *, interval: float = 30, burst: float = 20) -> Demands:
    """Return the demand of many jobs in one vault. GETs would exceed the rate."""
    return demands_of(*(job_id(number) for number in range(count)), interval=interval, burst=burst)


@pytest.mark.parametrize(("age", "is_due"), [(0, False), (14, False), (15, True), (31, True)])
def test_tick(age: float, is_due: bool) -> None:  # noqa: FBT001
    """A tick marks a query as due if its result is older than half of its interval."""
    demands = demands_of(ID)
    answer(demands, ID, running(ID), START)
    demands.drop(ID)

    assert not demands.mark_due(ID, START + age)
    assert (ID in demands.due[JOB]) is is_due
    assert demands.mark_due(ID, START + age) is is_due  # the second tick finds it overdue


@pytest.mark.parametrize(("jobs", "is_due"), [(1, True), (60, False)])
def test_tick_after_a_list(jobs: int, is_due: bool) -> None:  # noqa: FBT001
    """A list for another watch does not replace a GET while there are tokens for a GET of each job at each tick."""
    demands = crowd(jobs, burst=250)
    recorder = ObservationRecorder(demands=demands, heartbeat=300)
    list(recorder.record(ID, running(ID), sent=START, time=wall(START), now=START))
    list(
        recorder.record(
            JobWindow(VAULT, None), JobList((entry(ID),)), sent=START + 29, time=wall(START), now=START + 29
        )
    )
    demands.mark_due(ID, START + 30)

    assert (ID in demands.due[JOB]) is is_due
    assert ID not in demands.vaults[VAULT].awaiting


def test_tick_after_a_failure() -> None:
    """A failed GET is not repeated early, even if the detail is old."""
    demands = demands_of(ID)
    recorder = ObservationRecorder(demands=demands, heartbeat=300)
    list(recorder.record(ID, running(ID), sent=START, time=wall(START), now=START))
    list(recorder.record(ID, AzureUnavailable("503"), sent=START + 30, time=wall(START), now=START + 30))

    assert not demands.mark_due(ID, START + 44)
    assert not demands.is_waiting


def test_request() -> None:
    """A request for a fresh result waits for one, separately for each namespace."""
    demands = demands_of(ID, OTHER)
    answer(demands, ID, running(ID), START)
    demands.request(ID, "a", fresh_after=START)
    assert demands.explicit == {}

    demands.request(ID, "a", fresh_after=START + 1)
    demands.request(ID, "b", fresh_after=START)
    demands.request(OTHER, "b", fresh_after=START)
    assert demands.explicit == {"a": {ID: None}, "b": {ID: None, OTHER: None}}
    assert demands.by_query[ID].fresh_after == START + 1

    demands.drop_explicit(demands.by_query[ID])
    demands.drop_explicit(demands.by_query[ID])
    assert demands.explicit == {"b": {OTHER: None}}


def test_jobs_wait_for_a_list() -> None:
    """If GETs would exceed their share of the rate, jobs wait for a list. GETs resume well below that share."""
    demands = Demands(bucket=demands_of(rate=2.0, burst=250).bucket)
    high, low = int(LISTS_ABOVE * 2 * 30) - 1, int(LISTS_UNTIL * 2 * 30)
    ids = [job_id(number) for number in range(high + 2)]
    for each in ids[:high]:
        demands.add(each, "uid", interval=30, now=START)
    assert not demands.prefers_list(VAULT, START)

    for each in ids[high:]:
        demands.add(each, "uid", interval=30, now=START)
    assert demands.prefers_list(VAULT, START)
    for each in ids[low + 1 :]:
        assert demands.prefers_list(VAULT, START)
        demands.remove(each, "uid", START)
    for each in ids[low - 1 : low + 1]:
        demands.remove(each, "uid", START)
    assert not demands.prefers_list(VAULT, START)


def test_more_jobs_are_due_than_the_bucket_has_tokens() -> None:
    """If more jobs are due than the bucket can hold tokens, a list is faster."""
    assert not crowd(20, interval=300).prefers_list(VAULT, START)
    assert crowd(21, interval=300).prefers_list(VAULT, START)


def test_one_job_in_a_vault() -> None:
    """A list with as many pages as there are jobs saves nothing."""
    demands = crowd()
    demands.add(job_id(0, 1), "other", interval=30, now=START)
    assert not demands.prefers_list(vault_id(1), START)

    demands.vaults[VAULT].pages = 60
    assert not demands.prefers_list(VAULT, START)


def test_pause_of_gets() -> None:
    """While GETs of jobs are paused, even a single job waits for a list."""
    demands = demands_of(ID, job_id(0, 1))
    demands.vaults[vault_id(1)].held_until = START + 900
    demands.pause(JOB, REFUSED, seconds=600, now=START)

    assert list(demands.vaults[VAULT].awaiting) == [ID]
    assert list(demands.due[JOB]) == [job_id(0, 1)]  # its list was refused


def test_pause_of_lists() -> None:
    """While lists are paused, each job is read with a GET."""
    demands = crowd()
    assert demands.vaults[VAULT].awaiting
    demands.pause(LIST, REFUSED, seconds=600, now=START)

    assert len(demands.due[JOB]) == 60
    assert (demands.vaults[VAULT].awaiting, demands.lists) == ({}, {})
    assert not demands.prefers_list(VAULT, START + 599)
    assert demands.prefers_list(VAULT, START + 600)


def test_pause_of_operations() -> None:
    """A pause of operations does not affect jobs."""
    demands = demands_of(ID)
    demands.pause(OPERATION, REFUSED, seconds=600, now=START)

    assert list(demands.due[JOB]) == [ID]


def test_pause_after_an_outage() -> None:
    """A 503 pauses its kind of request like a 429, but does not slow down the others."""
    demands = demands_of(ID)
    rate = demands.bucket.rate_at(START)
    demands.pause(JOB, AzureUnavailable("503"), seconds=600, now=START)

    assert (demands.pauses.left(JOB, START), demands.pauses.left(LIST, START)) == (600, 0)
    assert list(demands.vaults[VAULT].awaiting) == [ID]
    assert demands.bucket.rate_at(START) == rate


def test_pause_of_everything() -> None:
    """When everything is paused, jobs wait for the end of the pause."""
    demands = demands_of(ID)
    error = Throttled("429")
    error.is_subscription_wide = True
    demands.pause(JOB, error, seconds=600, now=START)

    assert list(demands.due[JOB]) == [ID]


def test_lists_are_one_interval_apart() -> None:
    """The next list is due one interval after the last request: the shortest interval of the waiting jobs."""
    demands = demands_of(interval=30)
    vault_began = START - 10
    for number, interval in enumerate((300.0, 30.0, 60.0)):
        demands.add(job_id(number), "uid", interval=interval, now=START)
    demands.vaults[VAULT].began = vault_began
    for number in range(3):
        demands.await_list(job_id(number), START)

    assert demands.lists == {VAULT: vault_began + 30}


def test_list_in_flight() -> None:
    """A job that starts to wait while a list is read waits for the next one."""
    demands = demands_of(ID)
    vault = demands.vaults[VAULT]
    vault.is_reading, vault.began = True, START
    demands.pages[VAULT] = None
    demands.await_list(ID, START + 1)
    assert demands.lists == {}

    demands.end_list(VAULT, START + 2)
    assert not vault.is_reading
    assert demands.lists == {VAULT: START + 30}
    assert demands.pages == {}


def test_end_of_a_list_without_demand() -> None:
    """No list is scheduled if no job waits for it."""
    demands = demands_of(ID)
    demands.end_list(VAULT, START)

    assert demands.lists == {}


@pytest.mark.parametrize(("age", "is_used"), [(30, True), (31, False)])
def test_new_watch_of_a_listed_job(age: float, is_used: bool) -> None:  # noqa: FBT001
    """A new watch takes its job from the latest list if that is recent. Its detail is read later."""
    demands = crowd()
    planner, recorder = ReadPlanner(demands=demands), ObservationRecorder(demands=demands, heartbeat=300)
    read = planner.next_read(START)
    assert isinstance(read, RunningJobs)
    listed = JobList((entry(job_id(99)),))
    list(recorder.record(read, listed, sent=START, time=wall(START), now=START + 1))
    demand = demands.add(job_id(99), "new", interval=30, now=START + age)

    assert (demand.sent, demand.job) == ((START, entry(job_id(99))) if is_used else (NEVER, None))
    assert (job_id(99) in demands.old_details) is is_used


def test_entries_are_as_old_as_their_list() -> None:
    """Entries of the last list are not attributed to a list that is still being read."""
    demands = crowd()
    planner, recorder = ReadPlanner(demands=demands), ObservationRecorder(demands=demands, heartbeat=300)
    read = planner.next_read(START)
    assert isinstance(read, RunningJobs)
    list(recorder.record(read, JobList((entry(job_id(99)),)), sent=START, time=wall(START), now=START))
    demands.vaults[VAULT].began = START + 30  # the next list
    demand = demands.add(job_id(99), "new", interval=30, now=START + 30)

    assert demand.sent == START
    assert demand.observation is not None
    assert demand.observation.time == wall(START)


def test_replaced_credential() -> None:
    """Results that were read with a replaced credential no longer count."""
    demands = demands_of(ID)
    answer(demands, ID, running(ID), START)
    demands.vaults[VAULT].entries[OTHER.key] = entry(OTHER)
    demands.drop_results()

    assert demands.by_query[ID].observation is None
    assert demands.vaults[VAULT].entries == {}


def test_vaults_are_dropped() -> None:
    """The state of a vault is dropped with its last query, or at the end of a list that is being read."""
    operation = operation_id()
    demands = demands_of(ID, operation)
    demands.remove(ID, "uid-0", START + 1)
    assert set(demands.vaults) == {VAULT}

    demands.vaults[VAULT].is_reading = True
    demands.remove(operation, "uid-1", START + 2)
    assert set(demands.vaults) == {VAULT}
    demands.end_list(VAULT, START + 3)
    assert not demands.vaults


def test_scheduled_list_of_a_dropped_vault() -> None:
    """A scheduled list is not read if no query of its vault is required any longer."""
    demands = crowd()
    for query, demand in list(demands.by_query.items()):
        for uid in tuple(demand.uids):
            demands.remove(query, uid, START + 1)

    assert not demands.lists
    assert ReadPlanner(demands=demands).next_read(START + 60) is None
