"""The read planner: which request is sent next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backupjobwatch.domain.polling.demand import NextPage, Read, RunningJobs
from backupjobwatch.domain.polling.observations import observe
from backupjobwatch.domain.polling.pauses import JOB, LIST, OPERATION
from backupjobwatch.domain.polling.queries import JobWindow, Query, window_since
from backupjobwatch.domain.polling.read_planner import DETAIL_SHARE, LOOK_AT, RETRY, ReadPlanner
from backupjobwatch.errors import Throttled
from tests.support.builders import NOW
from tests.support.polling import START, demands_of, entry, job_id, operation_id, running, vault_id, wall

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.resource_ids import JobId
    from backupjobwatch.domain.polling.demands import Demands

ID, OTHER = job_id(0), job_id(1)
VAULT = vault_id()
WINDOW = JobWindow(VAULT, None)
REFUSED = Throttled("429")
MANY = [job_id(number) for number in range(60)]


def reads(demands: Demands, now: float = START, *, limit: int = 500) -> list[Read]:
    """Return all requests that can be sent now."""
    planner, result = ReadPlanner(demands=demands), list[Read]()
    while len(result) < limit and (read := planner.next_read(now)) is not None:
        result.append(read)
    return result


def know(demands: Demands, *job_ids: JobId) -> None:
    """Set up jobs that are known to be running, with nothing due."""
    for each in job_ids:
        demands.by_query[each].observation = observe(None, running(each), sent=START, time=wall(START))
        demands.drop(each)


def test_each_due_query_is_read_once() -> None:
    """Each query that is due is read, and is not read again while its request is in flight."""
    demands = demands_of(ID, operation_id(), WINDOW)

    assert set(reads(demands)) == {ID, operation_id(), WINDOW}
    assert all(demand.is_reading for demand in demands.by_query.values())
    assert demands.bucket.tokens == 17


def test_most_overdue_first() -> None:
    """Of all kinds of queries, the most overdue is read first."""
    demands, queries = demands_of(), list[Query]([operation_id(), ID, WINDOW, OTHER])
    for number, query in enumerate(queries):
        demands.add(query, "uid", interval=30, now=START - 10 + number)

    assert reads(demands) == queries


def test_tokens() -> None:
    """Nothing is read without a token. The planner knows when the next one arrives."""
    demands = demands_of(*(operation_id(number) for number in range(30)))
    planner = ReadPlanner(demands=demands)

    assert len(reads(demands)) == 20
    assert planner.next_read(START + 0.4) is None
    assert planner.wake_at(START + 0.4) == pytest.approx(START + 0.5)
    assert planner.next_read(START + 0.5) is not None


def test_wake_up_in_a_pause() -> None:
    """While a pause blocks due queries, the planner checks again after a second."""
    demands = demands_of(operation_id())
    demands.pause(OPERATION, REFUSED, seconds=60, now=START)

    assert reads(demands) == []
    assert ReadPlanner(demands=demands).wake_at(START) == START + RETRY
    assert reads(demands, START + 60) == [operation_id()]


def test_a_list_replaces_many_gets() -> None:
    """The jobs of a vault wait for one list if that costs less. The next list is due one interval later."""
    demands = demands_of(*MANY)
    first = reads(demands)

    assert RunningJobs(VAULT) in first
    assert len(first) < 25
    assert demands.due[JOB] == {}
    assert (demands.vaults[VAULT].began, demands.lists) == (START, {})
    demands.end_list(VAULT, START + 1)
    assert reads(demands, START + 29) == []
    assert ReadPlanner(demands=demands).wake_at(START + 29) == START + 30
    assert reads(demands, START + 30) == [RunningJobs(VAULT)]


def test_a_list_replaces_paused_gets() -> None:
    """Due jobs wait for a list if GETs of jobs are paused meanwhile."""
    demands = demands_of(ID, OTHER)
    demands.pauses.extend(JOB, until=START + 600)

    assert reads(demands) == [RunningJobs(VAULT)]
    assert (demands.due[JOB], list(demands.vaults[VAULT].awaiting)) == ({}, [ID, OTHER])


@pytest.mark.parametrize("is_paused", [False, True])
def test_next_page(is_paused: bool) -> None:  # noqa: FBT001
    """The next page of a list costs a token, and waits while lists are paused."""
    demands = demands_of()
    demands.add(operation_id(), "uid", interval=30, now=START)
    demands.pages[VAULT] = None
    if is_paused:
        demands.pauses.extend(LIST, until=START + 60)

    assert reads(demands) == ([operation_id()] if is_paused else [NextPage(VAULT), operation_id()])
    assert demands.bucket.tokens == (19 if is_paused else 18)
    assert reads(demands, START + 60) == ([NextPage(VAULT)] if is_paused else [])


def test_window_waits_for_the_list_of_its_vault() -> None:
    """A vault has one list in flight at a time."""
    demands = demands_of(WINDOW, ID)
    demands.vaults[VAULT].is_reading = True
    demands.request(WINDOW, "a", fresh_after=START)
    assert reads(demands) == [ID]

    demands.vaults[VAULT].is_reading = False
    assert reads(demands) == [WINDOW]
    assert demands.vaults[VAULT].is_reading


def test_explicit_requests_get_every_second_token() -> None:
    """Explicit requests get half of the tokens if other queries are due. Namespaces take turns."""
    due = [operation_id(number) for number in range(10)]
    demands = demands_of(*due)
    requested = [operation_id(100 + number) for number in range(6)]
    for number, each in enumerate(requested):
        demands.add(each, "uid", interval=30, now=START)
        demands.drop(each)
        demands.request(each, "single" if number == 5 else "many", fresh_after=START)
    first = reads(demands, limit=6)

    assert first == [requested[0], due[0], requested[5], due[1], requested[1], due[2]]
    assert reads(demands) == [requested[2], due[3], requested[3], due[4], requested[4], *due[5:]]


def test_explicit_requests_take_what_is_left() -> None:
    """Explicit requests get all tokens that nothing else needs."""
    demands = demands_of(*MANY[:10], interval=300)
    for each in MANY[:10]:
        demands.drop(each)
        demands.request(each, "a", fresh_after=START)

    assert reads(demands) == MANY[:10]


def test_explicit_request_in_a_pause_of_gets() -> None:
    """While GETs are paused, one recent list answers explicit requests for jobs."""
    demands = demands_of(ID, operation_id())
    demands.drop(ID)
    demands.pauses.extend(JOB, until=START + 600)
    demands.pauses.extend(OPERATION, until=START + 600)  # ended pauses no longer count
    demands.pauses._ends[LIST] = START
    for query in (ID, operation_id()):
        demands.request(query, "a", fresh_after=START)
    assert reads(demands) == [RunningJobs(VAULT)]

    demands.end_list(VAULT, START + 1)
    assert reads(demands, START + 1) == []
    demands.request(ID, "a", fresh_after=START + 2)
    assert reads(demands, START + 2) == [RunningJobs(VAULT)]


def test_changed_jobs_come_before_others() -> None:
    """Changed jobs are read first. Due jobs still get their share."""
    demands = demands_of(*(operation_id(number) for number in range(10)), *MANY[:10])
    know(demands, *MANY[:10])
    for each in MANY[:4]:
        demands.note_change(each, START)
    first = reads(demands, limit=6)

    assert first == [*MANY[:3], operation_id(0), MANY[3], operation_id(1)]


def changed(count: int, **more: float) -> Demands:
    """Return the demands of jobs that have changed according to a list."""
    demands = demands_of(*MANY[:count], **more)
    know(demands, *MANY[:count])
    for each in MANY[:count]:
        demands.note_change(each, START)
    return demands


SINCE = window_since(VAULT, NOW)


def test_few_changed_jobs() -> None:
    """If few jobs have changed, each has a GET."""
    assert reads(changed(4)) == MANY[:4]


def test_many_changed_jobs() -> None:
    """For many changed jobs, a list of all jobs since the start of the first one costs less than GETs."""
    demands = changed(5)

    assert reads(demands)[0] == SINCE
    assert demands.vaults[VAULT].is_reading
    assert demands.vaults[VAULT].window_tried == dict.fromkeys(MANY[:5], START)


def test_window_is_tried_once() -> None:
    """A job that this list does not settle has a GET."""
    demands = changed(5)
    assert reads(demands)[0] == SINCE
    demands.vaults[VAULT].is_reading = False
    for each in MANY[:5]:
        demands.by_query[each].is_reading = False

    assert reads(demands, START + 1) == MANY[:5]


@pytest.mark.parametrize("block", ["reading", "held", "paused"])
def test_no_window(block: str) -> None:
    """If no list can be requested, each job has a GET."""
    demands = changed(5)
    vault = demands.vaults[VAULT]
    if block == "reading":
        vault.is_reading = True
    elif block == "held":
        vault.held_until = START + 60
    else:
        demands.pauses.extend(LIST, until=START + 60)

    assert reads(demands) == MANY[:5]


def test_jobs_without_a_start() -> None:
    """A window can only find jobs whose start time is known."""
    demands = changed(5)
    for each in MANY[1:5]:
        demands.by_query[each].observation = None

    assert reads(demands) == MANY[:5]


def test_changed_jobs_while_gets_are_paused() -> None:
    """While GETs are paused, a window shows even a single job. It repeats once per interval until the job has ended."""
    demands = changed(1)
    demands.pauses.extend(JOB, until=START + 600)
    vault = demands.vaults[VAULT]
    assert reads(demands) == [SINCE]

    vault.is_reading = False
    assert reads(demands, START + 29) == []
    assert reads(demands, START + 30) == [SINCE]
    vault.is_reading = False
    demands.by_query[ID].observation = observe(None, entry(ID, "Failed"), sent=START + 30, time=NOW)
    assert reads(demands, START + 90) == []
    assert reads(demands, START + 600) == [ID]


def test_details() -> None:
    """Missing details are read when there is a token. Old details get a share of the rate."""
    demands = demands_of(*MANY[:6], interval=300)
    know(demands, *MANY[:6])
    demands.missing_details |= dict.fromkeys(MANY[:2])
    demands.old_details |= dict.fromkeys(MANY[2:6])
    planner = ReadPlanner(demands=demands)

    assert [planner.next_read(START) for _ in range(4)] == [*MANY[:3], None]
    pause = 1 / (DETAIL_SHARE * 2)
    assert planner.next_read(START + pause - 0.1) is None
    assert planner.next_read(START + pause) == MANY[3]
    demands.pauses.extend(JOB, until=START + 60)
    assert planner.next_read(START + 59) is None
    assert planner.next_read(START + 60) == MANY[4]


def test_blocked_queries_do_not_hide_others() -> None:
    """Of thousands of blocked queries only some are examined. Other kinds are not affected."""
    blocked = [operation_id(number) for number in range(LOOK_AT + 50)]
    demands = demands_of(*blocked, ID, interval=300)
    for each in blocked[:LOOK_AT]:
        demands.by_query[each].is_reading = True

    assert reads(demands) == [ID]


def test_vault_without_demand() -> None:
    """A list that was scheduled for jobs is not requested after the jobs are released."""
    demands = demands_of(ID)
    demands.drop(ID)
    demands.await_list(ID, START)
    demands.remove(ID, "uid-0", START)

    assert reads(demands) == []
    assert ReadPlanner(demands=demands).wake_at(START) is None
