"""The poller's threads, its shutdown, and its recovery from defects and cancelled tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backupjobwatch.arm.poller import IDLE
from backupjobwatch.domain.jobs.job import Job
from backupjobwatch.errors import (
    UnexpectedResponse,
)
from demo.simulator import Operation
from tests.functional.polling import (
    GET,
    LIST,
    OPERATION,
    OTHER_SUBSCRIPTION,
    QUERIES,
    WINDOW,
    B,
    job_ids,
    pass_time,
    turns,
)

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import OpenPoller


@pytest.fixture(autouse=True)
def operation(vault: Vault) -> None:
    """An operation and its running job."""
    (job_id,) = job_ids(vault, 1)
    vault.add_operation(Operation.succeeding(OPERATION.name, job_id.name))


async def test_a_principal_has_half_of_the_threads(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """A principal whose requests hang, in any subscription, does not block other principals."""
    polling, jobs = open_poller(azure_connections=8), job_ids(vault, 10)
    elsewhere = job_ids(sim.add_vault(OTHER_SUBSCRIPTION, "rg", "vault"), 10)
    with sim.hold(f"{OTHER_SUBSCRIPTION}|{'|'.join(each.name for each in jobs[1:])}"):
        polling.require_each([*jobs[1:], *elsewhere])
        await sim.requests_arrived(4)
        polling.require_each(jobs[:1], namespace=B)
        while polling.job(jobs[0], B) is None:
            await turns()
        assert len(sim.requests) == 5
        assert [request.principal for request in sim.requests].count("principal-a") == 4
    await polling.settle()
    assert any(
        OTHER_SUBSCRIPTION in request.path for request in sim.requests[:9]
    )  # neither subscription blocks the other
    assert polling.seen([*jobs[1:], *elsewhere]) == {*jobs[1:], *elsewhere}


async def test_a_close_lets_requests_finish(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """After a stop, the poller reports the responses in flight and sends no further request."""
    polling, jobs = open_poller(azure_connections=8), job_ids(vault, 10)
    with sim.hold() as hold:
        polling.require_each(jobs)
        await sim.requests_arrived(4)
        polling.poller.stop()
        hold.release()
        await polling.poller.close(60.0)
    assert len(polling.news) == 4
    await polling.tick()
    polling.require("late", WINDOW)
    await polling.settle()
    assert len(sim.requests) == 4


async def test_a_close_abandons_slow_requests(open_poller: OpenPoller, sim: AzureSimulator) -> None:
    """A close abandons requests that exceed its timeout and reports nothing for them."""
    polling = open_poller()
    with sim.hold() as hold:
        polling.require("watch", *QUERIES.values())
        await sim.requests_arrived(2)
        await hold.arrived()
        await polling.poller.close(0.0)
        assert polling.news == []
        assert polling.observations() == {}


async def test_a_close_reads_no_further_page(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """A close ends a list whose next page still waits for a token."""
    polling = open_poller(azure_reads_per_second=0.1, azure_read_burst=5)
    job_ids(vault, 12)
    sim.lists.page_size = 2
    polling.require("watch", WINDOW)
    await polling.settle()
    assert len(sim.requests) == 5
    await polling.poller.close(60.0)
    pass_time(100)
    await polling.settle()
    assert len(sim.requests) == 5
    assert polling.observation(WINDOW) is None


async def test_abandoned_requests_are_sent_again(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """If kopf cancels all tasks of the event loop, the poller repeats the requests at once."""
    polling, jobs = open_poller(), job_ids(vault, 3)
    with sim.hold() as hold:
        polling.require_each(jobs)
        polling.require("list", WINDOW)
        await sim.requests_arrived(4)
        for reader in polling.poller._readers.values():
            for task in reader.tasks:
                task.cancel()
        await turns()
        hold.release()
    await polling.settle()
    assert polling.seen(jobs) == set(jobs)
    assert polling.observation(WINDOW, "list") is not None
    assert (len(sim.requests_to(GET)), len(sim.requests_to(LIST))) == (6, 2)


async def test_abandoned_pages(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """A list that is cancelled between two pages starts over and leaks no slot."""
    polling, jobs = open_poller(azure_reads_per_second=0.1, azure_read_burst=5, azure_connections=4), job_ids(vault, 12)
    sim.lists.page_size = 2
    polling.require("list", WINDOW)
    await polling.settle()
    (reader,) = polling.poller._readers.values()
    for moments in range(8):
        pass_time(10)
        await turns(moments)  # cancel before or after the page gets its token
        for task in reader.tasks:
            task.cancel()
        await polling.settle()
        assert reader._slots._taken == len(reader.tasks) - len(reader.demands.pages)
    for _ in range(10):
        await polling.tick(10)
    assert polling.observation(WINDOW, "list") is not None
    polling.require_each(jobs[:2])
    await polling.pass_seconds(30)
    assert polling.seen(jobs[:2]) == set(jobs[:2])


async def test_a_defect_costs_one_result(
    open_poller: OpenPoller, sim: AzureSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    """The poller logs an unexpected exception and reports UnexpectedResponse. The next tick retries."""
    polling = open_poller()
    polling.poller._client.session._threads.shutdown()  # every request raises RuntimeError
    polling.require("watch", *QUERIES.values())
    for failures in (3, 6):
        await polling.settle()
        for query in QUERIES.values():
            assert isinstance(polling.error(query), UnexpectedResponse)
        defects = [record for record in caplog.records if record.message.startswith("Failed to read from Azure")]
        assert len(defects) == failures
        assert all(record.exc_info for record in defects)
        await polling.tick()
    assert sim.requests == ()


async def test_idle_readers_are_dropped(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """The poller keeps the state of a principal and subscription for 1 h after its last watch."""
    polling, (job_id, *_) = open_poller(), job_ids(vault, 1)
    elsewhere = job_ids(sim.add_vault(OTHER_SUBSCRIPTION, "rg", "vault"), 1)
    polling.require_each([job_id])
    await polling.settle()
    polling.release([job_id])
    pass_time(IDLE - 1)
    polling.require_each([job_id], namespace=B)
    assert len(polling.poller.budgets()) == 2
    pass_time(2)
    polling.require_each(elsewhere, namespace=B)
    await polling.settle()
    assert len(polling.poller.budgets()) == 2
    polling.require_each([job_id])
    await polling.settle()
    assert polling.job(job_id) is not None
    assert isinstance(polling.job(job_id, B), Job)
