"""The poller respects Retry-After and backs off after repeated errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backupjobwatch.arm.poller import IDLE
from backupjobwatch.arm.responses import DEFAULT_WAIT
from backupjobwatch.errors import AzureUnavailable, Throttled
from demo.simulator import AzureSimulator, Fault, Operation
from tests.functional.polling import (
    JOB,
    LIST,
    OPERATION,
    OTHER_SUBSCRIPTION,
    QUERIES,
    WINDOW,
    B,
    job_ids,
    pass_time,
    turns,
    uid_of,
)
from tests.support.builders import job_payload

if TYPE_CHECKING:
    from demo.simulator import Vault
    from tests.functional.conftest import OpenPoller

BY_KIND = {"job": JOB.name, "operation": OPERATION.name, "list": LIST}


@pytest.fixture(autouse=True)
def operation(vault: Vault) -> None:
    """An operation and its running job."""
    (job_id,) = job_ids(vault, 1)
    vault.add_operation(Operation.succeeding(OPERATION.name, job_id.name))


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("kind", QUERIES)
async def test_a_retry_after_pauses_one_kind_of_request(
    open_poller: OpenPoller, sim: AzureSimulator, kind: str, status: int
) -> None:
    """Retry-After pauses one kind of request of one principal. The poller resumes when it has passed."""
    polling, query = open_poller(), QUERIES[kind]
    fault = {
        429: Fault.throttled(retry_after=60, by_provider=True),
        503: Fault.server_error(status=503, retry_after=60),
    }[status]
    sim.faults.add(fault, path=BY_KIND[kind], times=1)
    polling.require("first", query)
    await polling.settle()
    assert polling.news[:1] == ["first"]
    for name, each in QUERIES.items():
        polling.require(name, each)
    polling.require("b", query, namespace=B)
    await polling.settle()
    await polling.tick(30)
    await polling.tick(28)
    sent = [request.principal for request in sim.requests_to(BY_KIND[kind])]
    assert sent.count("principal-a") == 1
    assert sent.count("principal-b") == 3
    others = {name: polling.error(each, name) for name, each in QUERIES.items() if name != kind}
    assert set(others.values()) == {None}
    assert polling.error(query, "b") is None
    if kind == "job":  # a list replaces the GETs
        assert polling.error(query, "first") is None
        assert sim.requests_to(LIST)
    else:
        assert isinstance(polling.error(query, "first"), Throttled if status == 429 else AzureUnavailable)
    await polling.pass_seconds(4)
    await polling.tick(5)
    assert polling.error(query, "first") is None
    assert [request.principal for request in sim.requests_to(BY_KIND[kind])].count("principal-a") >= 2


async def test_the_first_poll_after_a_pause_waits_for_no_tick(open_poller: OpenPoller, sim: AzureSimulator) -> None:
    """The poller repeats a throttled query as soon as the pause ends, whatever its interval."""
    polling = open_poller()
    sim.faults.add(Fault.throttled(retry_after=40), times=1)
    polling.require("watch", OPERATION, interval=300)
    await polling.settle()
    assert "throttles requests" in polling.poller.waiting_for("watch")
    await polling.pass_seconds(39)
    assert len(sim.requests) == 1
    await polling.pass_seconds(3)
    assert len(sim.requests) == 2
    assert polling.error(OPERATION) is None


@pytest.mark.parametrize("kind", QUERIES)
async def test_a_subscription_wide_429_pauses_the_principal_there(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault, kind: str
) -> None:
    """A subscription-wide 429 pauses all requests of the principal in that subscription only."""
    polling = open_poller()
    elsewhere = job_ids(sim.add_vault(OTHER_SUBSCRIPTION, "rg", "vault"), 1)[0]
    sim.faults.add(Fault.throttled(retry_after=60), path=BY_KIND[kind], times=1)
    polling.require("first", QUERIES[kind])
    await polling.settle()
    assert isinstance(polling.error(QUERIES[kind], "first"), Throttled)
    for name, query in QUERIES.items():
        polling.require(name, query)
        polling.require(f"{name}-b", query, namespace=B)
    polling.require("elsewhere", elsewhere)
    await polling.tick(30)
    await polling.tick(28)
    sent = {request.principal for request in sim.requests if OTHER_SUBSCRIPTION not in request.path}
    assert [request.principal for request in sim.requests].count("principal-b") >= 3
    before = [request for request in sim.requests if request.principal == "principal-a"]
    assert [request for request in before[1:] if OTHER_SUBSCRIPTION not in request.path] == []
    assert sent == {"principal-a", "principal-b"}
    assert polling.observation(elsewhere, "elsewhere") is not None
    await polling.pass_seconds(5)
    assert [polling.error(query, name) for name, query in QUERIES.items()] == [None] * 3
    assert all(polling.observation(query, name) for name, query in QUERIES.items())


async def test_a_second_refused_kind_pauses_everything(open_poller: OpenPoller, sim: AzureSimulator) -> None:
    """If two kinds of requests are throttled at the same time, the poller pauses all kinds."""
    polling = open_poller()
    for path in (JOB.name, LIST):
        sim.faults.add(Fault.throttled(retry_after=60, by_provider=True), path=path, times=1)
    polling.require("job", JOB)
    polling.require("list", WINDOW)
    await polling.settle()
    polling.require("operation", OPERATION)
    await polling.tick(50)
    assert polling.observation(OPERATION, "operation") is None
    await polling.pass_seconds(15)
    assert polling.observation(OPERATION, "operation") is not None


async def test_a_shorter_pause_does_not_shorten_a_longer_one(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """A later response never shortens a pause."""
    polling, (long, short) = open_poller(), job_ids(vault, 2)
    sim.faults.add(Fault.throttled(retry_after=600), path=long.name, times=1)
    sim.faults.add(Fault.throttled(retry_after=1), path=short.name, times=1)
    with sim.hold(short.name) as hold:
        polling.require_each([short])
        await hold.arrived()
        polling.require_each([long])
        while polling.observation(long, uid_of(long)) is None:
            await turns()
    await polling.settle()
    await polling.tick(500)
    assert len(sim.requests) == 2
    await polling.tick(101)
    assert polling.seen([long, short]) == {long, short}
    assert polling.error(long, uid_of(long)) is None


async def test_a_retry_after_of_nothing(open_poller: OpenPoller, sim: AzureSimulator) -> None:
    """Retry-After: 0 pauses requests for the default time."""
    polling = open_poller()
    sim.faults.add(Fault.throttled(retry_after=0), times=2)
    polling.require("watch", JOB)
    await polling.settle()
    assert isinstance(polling.error(JOB), Throttled)
    for number in (1, 2):
        await polling.tick(DEFAULT_WAIT.total_seconds() - 10)
        assert len(sim.requests) == number
        await polling.pass_seconds(12)
        assert len(sim.requests) == number + 1
    assert polling.error(JOB) is None


async def test_a_429_to_a_renewed_token_is_respected(open_poller: OpenPoller, sim: AzureSimulator) -> None:
    """The poller respects the Retry-After of a 429 that follows a token renewal."""
    polling = open_poller()
    sim.faults.add(Fault.claims_challenge(), times=1)
    throttled = sim.faults.add(Fault.throttled(retry_after=60), times=1)
    polling.require("watch", JOB)
    await polling.settle()
    assert isinstance(polling.error(JOB), Throttled)
    await polling.tick(50)
    assert (throttled.used, len(sim.requests)) == (1, 2)
    await polling.tick(11)
    assert polling.error(JOB) is None


@pytest.mark.parametrize("kind", QUERIES)
async def test_a_pause_outlives_the_watches(open_poller: OpenPoller, sim: AzureSimulator, kind: str) -> None:
    """A pause survives the deletion of the principal's last watch."""
    polling, query = open_poller(), QUERIES[kind]
    polling.require("first", query)
    await polling.settle()
    pass_time(IDLE)
    sim.faults.add(Fault.throttled(retry_after=600), times=1)
    await polling.tick(300)
    assert isinstance(polling.error(query, "first"), Throttled)
    polling.poller.release("first")
    polling.require("other", query, namespace=B)
    await polling.settle()
    sim.clear_requests()
    polling.require("second", query)
    await polling.settle()
    assert sim.requests == ()
    assert "throttles requests" in polling.poller.waiting_for("second")


async def test_backoff_starts_after_repeated_trouble(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault
) -> None:
    """After three failures, the poller backs off to at most 5 min. The first success ends the backoff."""
    polling = open_poller()
    sim.faults.add(Fault.server_error(), times=None)
    polling.require("watch", JOB)
    await polling.settle()
    for ticks in (1, 2, 3):
        await polling.tick()
        assert len(sim.requests) == 1 + ticks
    for _ in range(87):
        await polling.tick()
    assert 6 <= len(sim.requests) <= 14
    sim.faults.clear()
    vault.set_job(JOB.name, job_payload())
    for _ in range(34):
        await polling.tick()
    assert polling.error(JOB) is None
