"""ArmClient renews a refused token once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from backupjobwatch.errors import AuthenticationFailed, UnexpectedResponse
from demo.simulator import AzureSimulator, Fault
from tests.support.builders import JOB_NAME
from tests.support.canary import TOKEN

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.resource_ids import JobId
    from tests.functional.bound_client import BoundClient
    from tests.functional.conftest import OpenClient

FRESH_TOKEN = f"fresh-{TOKEN}"


class RenewedTokens:
    """A token source with another token after each renewal. It records the calls."""

    owner: Literal["operator", "namespace"] = "operator"

    def __init__(self, *tokens: str) -> None:
        self._tokens = list(tokens)
        self.asked: list[tuple[str | None, bool]] = []

    def get(self, *, claims: str | None = None, renewed: bool = False) -> str:
        self.asked.append((claims, renewed))
        if renewed:
            del self._tokens[0]
        return self._tokens[0]


async def test_a_refused_token_is_renewed_once(open_client: OpenClient, sim: AzureSimulator, job_id: JobId) -> None:
    """After a 401, the client repeats the request once with a new token."""
    sim.tokens.expire(TOKEN)
    sim.tokens.add(FRESH_TOKEN, "demo-principal")
    tokens = RenewedTokens(TOKEN, FRESH_TOKEN)
    assert (await open_client(tokens=tokens).get_job(job_id)).name == JOB_NAME
    assert tokens.asked == [(None, False), (None, True)]
    assert len({request.authorization_sha256 for request in sim.requests}) == 2


async def test_a_claims_challenge_is_answered(open_client: OpenClient, sim: AzureSimulator, job_id: JobId) -> None:
    """The client passes the claims of a challenge (continuous access evaluation) to the token source."""
    sim.tokens.revoke(TOKEN, claims={"access_token": {"nbf": {"essential": True, "value": "1772586000"}}})
    sim.tokens.add(FRESH_TOKEN, "demo-principal")
    tokens = RenewedTokens(TOKEN, FRESH_TOKEN)
    assert (await open_client(tokens=tokens).get_job(job_id)).name == JOB_NAME
    claims = '{"access_token": {"nbf": {"essential": true, "value": "1772586000"}}}'
    assert tokens.asked == [(None, False), (claims, True)]


@pytest.mark.parametrize("challenge", ['Bearer claims="!!!"', 'Bearer claims="gICA"', "Bearer"])
async def test_an_unreadable_claims_challenge(
    open_client: OpenClient, sim: AzureSimulator, job_id: JobId, challenge: str
) -> None:
    """If the claims are unreadable, the client renews the token without them."""
    sim.faults.add(Fault.answer(status=401, body="{}", headers={"WWW-Authenticate": challenge}, official=True))
    tokens = RenewedTokens(TOKEN, TOKEN)
    await open_client(tokens=tokens).get_job(job_id)
    (_, _), (claims, renewed) = tokens.asked
    assert (claims or None, renewed) == (None, True)


@pytest.mark.parametrize(
    "fault", [Fault.unauthorized(), Fault.expired_token(), Fault.claims_challenge()], ids=lambda f: f.kind
)
async def test_a_second_refusal_is_final(client: BoundClient, sim: AzureSimulator, job_id: JobId, fault: Fault) -> None:
    """A second 401 fails the request. The message quotes what Azure says about the token."""
    sim.faults.add(fault, times=2)
    with pytest.raises(AuthenticationFailed, match=r"401 Unauthorized: .*Token"):
        await client.get_job(job_id)
    assert len(sim.requests) == 2


@pytest.mark.parametrize("fault", [Fault.html(status=401), Fault.html(status=403), Fault.empty(status=401)])
async def test_a_proxys_refusal_renews_no_token(
    open_client: OpenClient, sim: AzureSimulator, job_id: JobId, fault: Fault
) -> None:
    """A 401 or 403 that is not from Azure causes neither a token renewal nor a retry."""
    sim.faults.add(fault)
    tokens = RenewedTokens(TOKEN, FRESH_TOKEN)
    with pytest.raises(UnexpectedResponse, match="is not from Azure Resource Manager"):
        await open_client(tokens=tokens).get_job(job_id)
    assert tokens.asked == [(None, False)]
    assert len(sim.requests) == 1
