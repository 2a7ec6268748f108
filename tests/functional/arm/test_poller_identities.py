"""The poller never shares an observation, a list or a token between identities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    CredentialsNotFound,
)
from demo.simulator import Fault, Operation
from tests.functional.polling import (
    JOB,
    LIST,
    OPERATION,
    QUERIES,
    TOKEN_B,
    A,
    B,
    job_ids,
    pass_time,
    turns,
    uid_of,
)
from tests.support.builders import running_payload

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import OpenPoller


@pytest.fixture(autouse=True)
def operation(vault: Vault) -> None:
    """An operation and its running job."""
    (job_id,) = job_ids(vault, 1)
    vault.add_operation(Operation.succeeding(OPERATION.name, job_id.name))


@pytest.mark.parametrize("kind", QUERIES)
async def test_identities_share_no_request(open_poller: OpenPoller, sim: AzureSimulator, kind: str) -> None:
    """Two namespaces with the same query send separate requests with their own tokens."""
    sim.access.revoke("principal-b")
    polling, query = open_poller(), QUERIES[kind]
    with sim.hold():
        polling.require("a", query, namespace=A)
        polling.require("b", query, namespace=B)
        await sim.requests_arrived(2)
    await polling.settle()
    assert polling.error(query, "a") is None
    assert polling.observation(query, "a") is not None
    refused = polling.observation(query, "b")
    assert refused is not None
    assert isinstance(refused.error, AuthorizationFailed)
    assert refused.answer is None
    assert sorted(request.principal or "" for request in sim.requests) == ["principal-a", "principal-b"]
    assert len({request.authorization_sha256 for request in sim.requests}) == 2


async def test_identities_share_no_list(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """The poller does not use the list of one namespace for another."""
    sim.access.revoke("principal-b")
    polling, jobs = open_poller(azure_reads_per_second=1, azure_read_burst=20), job_ids(vault, 40)
    polling.require_each(jobs)
    await polling.run(2)
    assert sim.requests_to(LIST)
    assert polling.seen(jobs) == set(jobs)
    sim.clear_requests()
    polling.require_each(jobs, namespace=B)
    await polling.run(2)
    refused = [found for job_id in jobs if (found := polling.observation(job_id, uid_of(job_id, B)))]
    assert refused
    assert {found.answer for found in refused} == {None}
    assert polling.job(jobs[0], B) is None
    assert "principal-b" in {request.principal for request in sim.requests}


async def test_a_missing_credential_is_a_result(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """Without a credential, the poller sends no request. Each tick looks for the credential again."""
    polling, (job_id, *_) = open_poller(), job_ids(vault, 1)
    credential = polling.credentials.of[A]
    polling.credentials.of[A] = CredentialsNotFound("The Secret does not exist.")
    polling.require("watch", *QUERIES.values())
    polling.require("other", job_id, namespace=B)
    await polling.settle()
    for query in QUERIES.values():
        assert isinstance(polling.error(query), CredentialsNotFound)
    assert [request.principal for request in sim.requests] == ["principal-b"]
    assert set(polling.credentials.dropped) == {A}
    polling.credentials.of[A] = credential
    await polling.tick()
    assert [polling.error(query) for query in QUERIES.values()] == [None] * 3


async def test_a_refused_credential_is_read_again(open_poller: OpenPoller, sim: AzureSimulator) -> None:
    """After a 401, the poller reads the identity again, because its Secret may have been replaced."""
    polling = open_poller()
    sim.faults.add(Fault.unauthorized(), times=2)  # also to the renewed token
    polling.require("watch", JOB)
    await polling.settle()
    assert isinstance(polling.error(JOB), AuthenticationFailed)
    assert polling.credentials.dropped == [A]
    await polling.tick()
    assert polling.error(JOB) is None


async def test_a_new_credential_drops_observations(open_poller: OpenPoller, sim: AzureSimulator, vault: Vault) -> None:
    """If a namespace changes its credential, the poller drops its observations: access may be lost."""
    polling, (job_id, other) = open_poller(), job_ids(vault, 2)
    polling.require_each([job_id, other])
    await polling.settle()
    assert polling.seen([job_id, other]) == {job_id, other}
    sim.access.revoke("principal-b")
    polling.credentials.rotate(A, TOKEN_B)
    pass_time(10)
    polling.poller.mark_due(uid_of(job_id))
    await polling.settle()
    refused = polling.observation(job_id, uid_of(job_id))
    assert refused is not None
    assert isinstance(refused.error, AuthorizationFailed)
    assert refused.answer is None
    assert polling.observation(other, uid_of(other)) is None
    await polling.tick(0)
    assert isinstance(polling.error(other, uid_of(other)), AuthorizationFailed)


@pytest.mark.parametrize("kind", QUERIES)
async def test_an_answer_to_another_credential_is_dropped(
    open_poller: OpenPoller, sim: AzureSimulator, vault: Vault, kind: str
) -> None:
    """If the credential changes during a request, the poller repeats the request with the new one."""
    polling, query = open_poller(), QUERIES[kind]
    other = JobId.parse(vault.set_job("00000000-0000-4000-8000-0000000000ff", running_payload()))
    path = {"job": JOB.name, "operation": OPERATION.name, "list": LIST}[kind]
    with sim.hold(path) as hold:
        polling.require("watch", query)
        await hold.arrived()
        sim.access.revoke("principal-b")
        polling.credentials.rotate(A, TOKEN_B)
        polling.require("other", other)
        while polling.error(other, "other") is None:
            await turns()
    await polling.settle()
    found = polling.observation(query)
    assert found is not None
    assert (found.answer, type(found.error)) == (None, AuthorizationFailed)
    assert [request.principal for request in sim.requests_to(path)] == ["principal-a", "principal-b"]
