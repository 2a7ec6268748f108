"""ArmClient sends no retry before the Retry-After of its kind of request is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

import pytest

from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId, VaultId
from backupjobwatch.errors import AzureUnavailable, Throttled
from demo.simulator import AzureSimulator, Fault, Operation
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT
from tests.support.builders import JOB_NAME, OPERATION, OTHER_JOB_NAME, job_payload, running_payload
from tests.support.canary import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backupjobwatch.arm.pauses import RequestKind
    from demo.simulator import Vault
    from tests.functional.bound_client import BoundClient
    from tests.functional.conftest import OpenClient

VAULT_ID = VaultId(subscription_id=SUBSCRIPTION_ID, resource_group=RESOURCE_GROUP, name=VAULT)
OTHER_VAULT = "rsv-quay"
FRESH_TOKEN = f"fresh-{TOKEN}"
RETRY_AFTER = 600

OWN_KIND = Fault.throttled(retry_after=RETRY_AFTER, by_provider=True)
EVERYTHING = Fault.throttled(retry_after=RETRY_AFTER)
UNAVAILABLE = Fault.server_error(status=503, retry_after=RETRY_AFTER)


class SlowEntra:
    """Tokens of which the second takes a while, so that Azure answers other requests of the identity first."""

    owner: Literal["operator", "namespace"] = "operator"

    def __init__(self) -> None:
        self.meanwhile: Callable[[], object] = lambda: None
        self.renewed = False

    def get(self, *, claims: str | None = None, renewed: bool = False) -> str:
        del claims
        if renewed:
            self.renewed = True
            self.meanwhile()
        return FRESH_TOKEN if self.renewed else TOKEN


async def send(client: BoundClient, kind: RequestKind, vault: VaultId = VAULT_ID) -> object:
    """Make a request of that kind."""
    if kind == "list":
        return await client.list_page(vault)
    if kind == "operation":
        return await client.read_operation(OperationId(vault=vault, name=OPERATION))
    return await client.get_job(JobId(vault=vault, name=JOB_NAME))


@pytest.fixture
def jobs(vault: Vault, sim: AzureSimulator) -> None:
    """Each kind of request succeeds, with either token."""
    sim.tokens.add(FRESH_TOKEN, "demo-principal")
    vault.set_job(JOB_NAME, job_payload())
    vault.set_job(OTHER_JOB_NAME, running_payload())
    vault.add_operation(Operation.succeeding(OPERATION, JOB_NAME, after=0))


CASES: dict[str, tuple[Sequence[tuple[RequestKind, Fault]], set[RequestKind]]] = {
    # the answers to other requests, and the kinds of requests that are paused then
    "no pause": ([], set()),
    "429 of the provider to a job": ([("job", OWN_KIND)], {"job"}),
    "429 of the provider to a list": ([("list", OWN_KIND)], {"list"}),
    "429 of the provider to an operation": ([("operation", OWN_KIND)], {"operation"}),
    "429 of the provider to one kind, twice": ([("list", OWN_KIND), ("list", OWN_KIND)], {"list"}),
    "429 of the provider to two kinds": ([("list", OWN_KIND), ("job", OWN_KIND)], {"job", "list", "operation"}),
    "429 of the subscription": ([("list", EVERYTHING)], {"job", "list", "operation"}),
    "503": ([("list", UNAVAILABLE)], {"list"}),
    "503 to two kinds": ([("list", UNAVAILABLE), ("operation", UNAVAILABLE)], {"list", "operation"}),
    "503 without Retry-After": ([("list", Fault.server_error(status=503))], set()),
}


@pytest.mark.parametrize("kind", ["job", "list", "operation"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("jobs")
async def test_a_retry_heeds_the_pause_of_its_kind(
    open_client: OpenClient, sim: AzureSimulator, kind: RequestKind, case: str
) -> None:
    """A request is refused with 401. Until the new token is there, Azure answers other requests as the case says."""
    loop, (answers, paused) = asyncio.get_running_loop(), CASES[case]
    tokens = SlowEntra()
    client = open_client(tokens=tokens)

    def meanwhile() -> None:
        for other, fault in answers:
            sim.faults.add(fault, times=1)
            with pytest.raises((Throttled, AzureUnavailable)):
                asyncio.run_coroutine_threadsafe(send(client, other), loop).result(30)

    tokens.meanwhile = meanwhile
    sim.faults.add(Fault.claims_challenge(), times=1)
    if kind in paused:
        with pytest.raises(Throttled) as caught:
            await send(client, kind)
        assert caught.value.retry_after is not None
        assert RETRY_AFTER / 2 < caught.value.retry_after.total_seconds() <= RETRY_AFTER
    else:
        await send(client, kind)
    assert len(sim.requests) == len(answers) + (1 if kind in paused else 2)
