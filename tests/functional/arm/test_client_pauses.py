"""ArmClient sends no retry before the Retry-After of its kind of request has passed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import pytest

from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId, VaultId
from backupjobwatch.domain.polling.pauses import JOB, KINDS, LIST, OPERATION, SECONDARY, Pauses
from backupjobwatch.errors import Throttled
from demo.simulator import AzureSimulator, Fault, Operation
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT
from tests.support.builders import JOB_NAME, job_payload
from tests.support.builders import OPERATION as OPERATION_NAME
from tests.support.canary import TOKEN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backupjobwatch.domain.polling.pauses import RequestKind
    from demo.simulator import Vault
    from tests.functional.conftest import OpenClient

VAULT_ID = VaultId(subscription_id=SUBSCRIPTION_ID, resource_group=RESOURCE_GROUP, name=VAULT)
REGION = "westus"
FRESH_TOKEN = f"fresh-{TOKEN}"
RETRY_AFTER = 600


class SlowEntra:
    """A token source that calls *meanwhile* during a renewal, so that other responses arrive first."""

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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("paused", [None, *KINDS])
async def test_a_retry_respects_the_pause_of_its_kind(
    open_client: OpenClient, sim: AzureSimulator, vault: Vault, kind: RequestKind, paused: RequestKind | None
) -> None:
    """If the kind of request is paused during a token renewal, the request is not retried after its 401."""
    sim.tokens.add(FRESH_TOKEN, "demo-principal")
    vault.set_job(JOB_NAME, job_payload())
    vault.secondary(REGION).set_job(JOB_NAME, job_payload())
    vault.add_operation(Operation.succeeding(OPERATION_NAME, JOB_NAME, after=0))
    loop, pauses, tokens = asyncio.get_running_loop(), Pauses(), SlowEntra()
    client = open_client(tokens=tokens).arm

    def meanwhile() -> None:
        if paused is not None:
            pauses.extend(paused, until=loop.time() + RETRY_AFTER)

    tokens.meanwhile = meanwhile
    sim.faults.add(Fault.claims_challenge(), times=1)
    elsewhere = replace(VAULT_ID, secondary_region=REGION)
    requests: dict[RequestKind, Callable[[], Awaitable[object]]] = {
        JOB: lambda: client.get_job(tokens, JobId(vault=VAULT_ID, name=JOB_NAME), pauses),
        LIST: lambda: client.list_page(tokens, VAULT_ID, pauses),
        OPERATION: lambda: client.get_operation(tokens, OperationId(vault=VAULT_ID, name=OPERATION_NAME), pauses),
        SECONDARY: lambda: client.get_job(
            tokens, JobId(vault=elsewhere, name=JOB_NAME), pauses, in_secondary_region=True
        ),
    }
    if kind == paused:
        with pytest.raises(Throttled) as caught:
            await requests[kind]()
        assert caught.value.retry_after is not None
        assert RETRY_AFTER / 2 < caught.value.retry_after.total_seconds() <= RETRY_AFTER
    else:
        await requests[kind]()
    assert len(sim.requests) == (1 if kind == paused else 2)
