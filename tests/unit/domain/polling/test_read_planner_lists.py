"""When the planner replaces GETs with a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backupjobwatch.domain.polling.demand import Read, RunningJobs
from backupjobwatch.domain.polling.observations import observe
from backupjobwatch.domain.polling.queries import JobWindow
from backupjobwatch.domain.polling.read_planner import ReadPlanner
from tests.support.polling import START, demands_of, job_id, running, vault_id, wall

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.resource_ids import JobId
    from backupjobwatch.domain.polling.demands import Demands

ID, OTHER = job_id(0), job_id(1)
VAULT = vault_id()
WINDOW = JobWindow(VAULT, None)
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


def test_gets_replace_a_refused_list() -> None:
    """If the list of waiting jobs is not allowed, each job has a GET."""
    demands = demands_of(ID, OTHER)
    for each in (ID, OTHER):
        demands.drop(each)
        demands.await_list(each, START)
    demands.vaults[VAULT].held_until = START + 300

    assert reads(demands) == []  # the list is dropped
    assert set(reads(demands)) == {ID, OTHER}


def test_a_list_is_not_requested_twice() -> None:
    """A list that is due while another one of its vault is in flight is scheduled after that."""
    demands = demands_of(ID)
    demands.drop(ID)
    demands.await_list(ID, START)
    demands.vaults[VAULT].is_reading = True

    assert reads(demands) == []
    assert demands.lists == {}
    demands.end_list(VAULT, START)
    assert reads(demands) == [RunningJobs(VAULT)]


def test_a_list_that_no_job_waits_for() -> None:
    """A scheduled list that no job waits for is dropped. Later lists can still be scheduled."""
    demands = demands_of(ID)
    demands.drop(ID)
    demands.await_list(ID, START)
    demands.drop(ID)
    assert reads(demands, START + 1) == []

    demands.await_list(ID, START + 60)
    assert reads(demands, START + 60) == [RunningJobs(VAULT)]


def test_an_earlier_list_replaces_a_later_one() -> None:
    """A list that was rescheduled is requested once."""
    demands = demands_of()
    demands.add(ID, "slow", interval=300, now=START)
    demands.add(OTHER, "fast", interval=30, now=START)
    demands.vaults[VAULT].began = START
    for each in (ID, OTHER):
        demands.drop(each)
        demands.await_list(each, START)

    assert reads(demands, START + 30) == [RunningJobs(VAULT)]
    demands.vaults[VAULT].awaiting.clear()
    demands.end_list(VAULT, START + 31)
    assert reads(demands, START + 300) == []
    assert demands.lists == {}
