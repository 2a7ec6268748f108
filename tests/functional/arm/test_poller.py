"""The poller sends one request for all watches that have the same query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.errors import (
    AzureUnavailable,
)
from demo.simulator import Fault, Operation
from tests.functional.polling import (
    JOB,
    OPERATION,
    OTHER_SUBSCRIPTION,
    QUERIES,
    job_ids,
    pass_time,
    turns,
)
from tests.support.builders import job_payload

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import OpenPoller


@pytest.fixture(autouse=True)
def operation(vault: Vault) -> None:
    """An operation and its running job."""
    (job_id,) = job_ids(vault, 1)
    vault.add_operation(Operation.succeeding(OPERATION.name, job_id.name))


@pytest.mark.parametrize("kind", QUERIES)
async def test_watches_share_a_request(open_poller: OpenPoller, sim: AzureSimulator, kind: str) -> None:
    """Four watches of one job, operation or list share each request."""
    polling, query = open_poller(), QUERIES[kind]
    for uid in "abcd":
        polling.require(uid, query)
    await polling.settle()
    assert len(sim.requests) == 1
    found = {id(polling.observation(query, uid)) for uid in "abcd"}
    assert len(found) == 1
    assert sorted(polling.news) == list("abcd")
    await polling.tick()
    assert len(sim.requests) == 2


async def test_letter_case_makes_no_other_job(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """Resource IDs that differ only in letter case share a request. Another job has its own."""
    polling, (job_id, other) = open_poller(), job_ids(vault, 2)
    for uid, query in zip("abc", (job_id, JobId.parse(str(job_id).upper()), other), strict=True):
        polling.require(uid, query)
    await polling.settle()
    assert len(sim.requests) == 2
    assert polling.observation(JobId.parse(str(job_id).upper()), "b") is polling.observation(job_id, "a")


async def test_a_recent_result_is_not_polled_again(open_poller: OpenPoller, sim: AzureSimulator) -> None:
    """A tick or a new watch reuses a result that is younger than half the interval."""
    polling = open_poller()
    polling.require("a", JOB)
    await polling.settle()
    await polling.tick(4)
    polling.require("b", JOB)
    await polling.settle()
    assert polling.observation(JOB, "b") is polling.observation(JOB, "a") is not None
    assert len(sim.requests) == 1
    await polling.tick(1)
    assert len(sim.requests) == 2


async def test_the_shortest_interval_counts(open_poller: OpenPoller, sim: AzureSimulator) -> None:
    """The shortest interval of the query's watches counts, until that watch is released."""
    polling = open_poller()
    polling.require("slow", JOB, interval=300)
    polling.require("fast", JOB, interval=10)
    await polling.settle()
    for _ in range(3):
        await polling.tick(10)
    assert len(sim.requests) == 4
    polling.poller.release("fast")
    del polling._required["fast"]
    await polling.tick(10)
    assert len(sim.requests) == 4
    await polling.tick(150)
    assert len(sim.requests) == 5


async def test_a_watch_released_during_a_request_gets_no_result(open_poller: OpenPoller, sim: AzureSimulator) -> None:
    """A watch that is released during a request gets no result. The other watch of the query does."""
    polling = open_poller()
    with sim.hold() as hold:
        polling.require("a", JOB)
        polling.require("b", JOB)
        await hold.arrived()
        polling.poller.release("a")
    await polling.settle()
    assert polling.observation(JOB, "a") is None
    assert polling.observation(JOB, "b") is not None
    assert polling.news == ["b"]
    assert len(sim.requests) == 1


@pytest.mark.parametrize("kind", QUERIES)
async def test_an_answer_that_no_watch_requires(open_poller: OpenPoller, sim: AzureSimulator, kind: str) -> None:
    """If all watches are released during a request, the poller drops the response."""
    polling, query = open_poller(), QUERIES[kind]
    with sim.hold() as hold:
        polling.require("a", query)
        await hold.arrived()
        polling.poller.release("a")
    await polling.settle()
    assert polling.news == []
    polling.require("a", query)
    await polling.settle()
    assert polling.observation(query, "a") is not None
    assert len(sim.requests) == 2


@pytest.mark.parametrize("kind", QUERIES)
async def test_a_watch_that_comes_back_during_a_request(
    open_poller: OpenPoller, sim: AzureSimulator, kind: str
) -> None:
    """A watch that is released and required again during a request gets a result and further polls."""
    polling, query = open_poller(), QUERIES[kind]
    with sim.hold() as hold:
        polling.require("watch", query)
        await hold.arrived()
        polling.poller.release("watch")
        polling.require("watch", query)
        await turns()
    await polling.settle()
    assert polling.observation(query) is not None
    before = len(sim.requests)
    assert before <= 2
    await polling.tick()
    assert len(sim.requests) == before + 1


@pytest.mark.parametrize("kind", QUERIES)
async def test_an_error_is_reported_to_each_watch(open_poller: OpenPoller, sim: AzureSimulator, kind: str) -> None:
    """All watches of a query get its error and keep the last answer. The next tick retries."""
    polling, query = open_poller(), QUERIES[kind]
    for uid in "ab":
        polling.require(uid, query)
    await polling.settle()
    answer = polling.observation(query, "a")
    assert answer is not None
    sim.faults.add(Fault.server_error())
    await polling.tick()
    for uid in "ab":
        failed = polling.observation(query, uid)
        assert failed is not None
        assert isinstance(failed.error, AzureUnavailable)
        assert failed.answer == answer.answer
    await polling.tick()
    assert polling.error(query, "a") is None
    assert len(sim.requests) == 3


async def test_only_changes_are_reported(open_poller: OpenPoller, vault: Vault) -> None:
    """The poller reports an unchanged answer only to watches that wait for a poll."""
    polling = open_poller()
    for uid in "ab":
        polling.require(uid, JOB)
    await polling.settle()
    polling.news.clear()
    polling.poller.waiting.add("b")
    await polling.tick()
    assert polling.news == ["b"]
    polling.news.clear()
    vault.set_job(JOB.name, job_payload())
    await polling.tick()
    assert sorted(polling.news) == ["a", "b"]


async def test_an_ended_job_is_not_polled_again(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """The poller does not poll a job that has ended."""
    polling = open_poller()
    vault.set_job(JOB.name, job_payload())
    polling.require("watch", JOB)
    await polling.settle()
    for _ in range(3):
        await polling.tick(60)
    assert len(sim.requests) == 1
    assert not polling.poller.is_overdue("watch")


async def test_an_edit_replaces_the_query(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """After an edit, the poller requests only the new target of the watch."""
    polling, elsewhere = open_poller(), job_ids(sim.add_vault(OTHER_SUBSCRIPTION, "rg", "vault"), 1)[0]
    first, second = job_ids(vault, 2)
    polling.require("watch", first)
    await polling.settle()
    for query in (second, elsewhere):
        polling.require("watch", query)
        await polling.settle()
        assert polling.observations().keys() == {query}
        sim.clear_requests()
        await polling.tick()
        assert [request.path.split("/")[-1] for request in sim.requests] == [query.name]


async def test_overdue_polls_are_found(open_poller: OpenPoller, sim: AzureSimulator) -> None:
    """A watch without ticks becomes overdue after two intervals, so that the resync can poll it."""
    polling = open_poller()
    polling.require("watch", JOB)
    await polling.settle()
    pass_time(19)
    assert polling.poller.overdue() == pytest.approx(9.0)
    assert not polling.poller.is_overdue("watch")
    pass_time(2)
    assert polling.poller.is_overdue("watch")
    await polling.tick(0)
    assert not polling.poller.is_overdue("watch")
    assert polling.poller.overdue() == 0.0
    assert not polling.poller.is_overdue("unknown")
    assert len(sim.requests) == 2
