"""Watches with the same identity share token requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from demo.simulator import Fault
from tests.functional.tenants import ACCOUNT, SECRET
from tests.support.builders import JOB_NAME, job_payload, running_payload

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.tenants import Tenants


@pytest.mark.parametrize("field", ["serviceAccountName", "secretName"])
async def test_many_watches_of_one_identity_use_it_once(
    tenants: Tenants, sim: AzureSimulator, vault: Vault, field: str
) -> None:
    """Watches that start at the same time share one read of the object and one sign-in."""
    tenant, count = tenants.add(), 15
    tenant.put_client_secret()
    discovery = tenants.entra.faults.add(Fault.delayed(seconds=0.2), path="openid-configuration", times=None)
    with tenants.api.traffic.hold(f"/({ACCOUNT}|{SECRET})$") as hold:
        async with tenants.operator() as operator:
            for number in range(count):
                name = f"00000000-0000-4000-8000-{number:012}"
                tenant.watch(vault.set_job(name, job_payload()), field, f"watch-{number}")
            await hold.arrived()
            await operator.idle()
            hold.release()
            for number in range(count):
                await tenants.api.status(f"watch-{number}", phase="Succeeded")
    assert (tenant.reads(), len(tenants.entra.sign_ins), len(sim.requests)) == (1, 1, count)
    token_requests = tenants.api.traffic.matching("/token$")
    # Only msal requests the discovery document. azure-identity exchanges federated tokens without msal.
    assert (len(token_requests), discovery.used) == ((1, 0) if field == "serviceAccountName" else (0, 1))


@pytest.mark.parametrize("field", ["serviceAccountName", "secretName"])
async def test_many_watches_of_a_refused_identity_share_the_refusal(tenants: Tenants, vault: Vault, field: str) -> None:
    """Watches that need the same token share Entra's refusal."""
    tenant, count = tenants.add(), 15
    tenant.put_client_secret(known=False)
    tenant.application.clear()
    with tenants.api.traffic.hold(f"/({ACCOUNT}|{SECRET})$") as hold:
        async with tenants.operator():
            for number in range(count):
                name = f"00000000-0000-4000-8000-{number:012}"
                tenant.watch(vault.set_job(name, job_payload()), field, f"watch-{number}")
            await hold.arrived()
            hold.release()
            for number in range(count):
                await tenants.api.status(f"watch-{number}", reason="AuthenticationFailed")
    assert len(tenants.entra.sign_ins) == 1


async def test_many_watches_renew_a_token_once(tenants: Tenants, sim: AzureSimulator, vault: Vault) -> None:
    """Concurrent requests that Azure refuses with 401 share the renewed token."""
    tenant, count = tenants.add(), 8
    tenant.put_client_secret()
    async with tenants.operator():
        tenant.watch(vault.set_job(JOB_NAME, job_payload()), "secretName", "first")
        await tenants.api.status("first", phase="Succeeded")
        for token in list(sim.tokens._principals):
            sim.tokens.expire(token)
        for number in range(count):
            name = f"00000000-0000-4000-8000-{number:012}"
            tenant.watch(vault.set_job(name, job_payload()), "secretName", f"watch-{number}")
        for number in range(count):
            await tenants.api.status(f"watch-{number}", phase="Succeeded")
    assert len(tenants.entra.sign_ins) == 2


async def test_a_running_watch_does_not_read_its_identity_at_each_poll(
    tenants: Tenants, sim: AzureSimulator, vault: Vault
) -> None:
    """The operator reads the identity's object every 30 s instead of at each poll, and signs in once."""
    tenant = tenants.add()
    async with tenants.operator() as operator:
        tenant.watch(vault.set_job(JOB_NAME, running_payload()))
        await tenants.api.status(phase="Running")
        await operator.poll(sim, 12)
    assert len(sim.requests) >= 13
    assert tenant.reads() <= 6
    assert len(tenants.entra.sign_ins) == 1
