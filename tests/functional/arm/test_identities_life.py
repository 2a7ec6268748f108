"""Identities over time: grace period, rotation and expired tokens."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from demo.simulator import EntraSimulator
from tests.functional.tenants import ACCOUNT, CLIENT_SECRET, certificate
from tests.support.builders import JOB_NAME, job_payload, running_payload, standing

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.tenants import Tenant, Tenants


async def test_api_server_errors_do_not_count_for_grace(tenants: Tenants, vault: Vault) -> None:
    """If the API server cannot return the object or the token, graceSeconds does not count."""
    tenant, api = tenants.add(), tenants.api
    rules = [api.traffic.fail(f"{ACCOUNT}{end}$", status=503, times=None) for end in ("", "/token")]
    async with tenants.operator() as operator:
        tenant.watch(vault.set_job(JOB_NAME, job_payload()), graceSeconds=0)
        for rule in rules:
            await operator.advance_until(lambda rule=rule: rule.used > 2)  # type: ignore[misc]
            status = await api.status(phase="Pending", reason="CredentialsUnavailable")
            assert not {"troubleSince", "lastPollTime"} & status.keys()
            rule.end()
        await operator.advance_to("Succeeded", api)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda it: it.api.identities.delete("serviceaccounts", ACCOUNT, namespace="team-a"), "CredentialsNotFound"),
        (lambda it: it.api.identities.forbid("serviceaccounts", ACCOUNT, namespace="team-a"), "IdentityNotAllowed"),
        (lambda it: it.application.clear(), "AuthenticationFailed"),
    ],
    ids=["missing", "forbidden", "refused"],
)
async def test_grace_ends_a_watch_whose_identity_never_worked(
    tenants: Tenants, vault: Vault, spoil: Any, reason: str
) -> None:
    """With graceSeconds 0, the watch fails after three polls. Its reason is that of the identity."""
    tenant = tenants.add()
    spoil(tenant)
    async with tenants.operator() as operator:
        tenant.watch(vault.set_job(JOB_NAME, job_payload()), graceSeconds=0)
        await tenants.api.status(phase="Pending", reason=reason)
        await operator.advance_to("Failed", tenants.api)
        status = await tenants.api.status(reason=reason)
        assert "spec.graceSeconds" in status["message"]
        assert standing(status)["Stalled"] == "True"


@pytest.mark.parametrize("what", ["object", "right", "trust"])
async def test_a_watch_survives_a_revoked_identity(
    tenants: Tenants, sim: AzureSimulator, vault: Vault, what: str
) -> None:
    """If access is revoked while a job runs, the watch stays Running and resumes when access is back."""
    tenant, api = tenants.add(), tenants.api
    async with tenants.operator() as operator:
        tenant.watch(vault.set_job(JOB_NAME, running_payload()), graceSeconds=0)
        await api.status(phase="Running")
        if what == "object":
            api.identities.delete("serviceaccounts", ACCOUNT, namespace="team-a")
            reason = "CredentialsNotFound"
        elif what == "right":
            api.identities.forbid("serviceaccounts", ACCOUNT, namespace="team-a")
            reason = "IdentityNotAllowed"
        else:
            tenant.application.clear()
            for token in list(sim.tokens._principals):
                sim.tokens.expire(token)
            reason = "AuthenticationFailed"
        await operator.advance_until(lambda: api.get()["status"]["reason"] == reason)
        asked = len(sim.requests)
        await operator.pass_time(10, 30)
        # A jump of the clock can time out a request, which shows as AzureUnavailable until the next poll.
        await operator.advance_until(lambda: api.get()["status"]["reason"] == reason)
        status = await api.status(phase="Running")
        assert standing(status)["Ready"] == "Unknown"
        assert what == "trust" or len(sim.requests) == asked
        vault.set_job(JOB_NAME, job_payload())
        tenant.annotate()
        tenant.trust()
        api.identities.allow("serviceaccounts", ACCOUNT, namespace="team-a")
        await operator.advance_to("Succeeded", api)


async def test_a_secret_is_rotated_without_a_restart(tenants: Tenants, sim: AzureSimulator, vault: Vault) -> None:
    """The operator uses a new secret, certificate or application of the Secret without a restart."""
    tenant, other = tenants.add(), tenants.add("team-b")
    tenant.put_client_secret()
    async with tenants.operator() as operator:
        tenant.watch(vault.set_job(JOB_NAME, running_payload()), "secretName")
        await tenants.api.status(phase="Running")
        await rotate(tenants, operator, lambda: tenant.put_client_secret(f"{CLIENT_SECRET}-2"))
        tenant.application.add_certificate(certificate()[1])
        await rotate(tenants, operator, lambda: tenant.put_secret(AZURE_CLIENT_CERTIFICATE=certificate()[0]))
        other.application.add_secret(f"{CLIENT_SECRET}-3")
        await rotate(
            tenants,
            operator,
            lambda: tenant.put_secret(AZURE_CLIENT_ID=other.client_id, AZURE_CLIENT_SECRET=f"{CLIENT_SECRET}-3"),
        )
        vault.set_job(JOB_NAME, job_payload())
        await operator.advance_to("Succeeded", tenants.api)
    signed = [(sign_in.kind, sign_in.client_id == other.client_id) for sign_in in tenants.entra.sign_ins]
    assert signed == [("secret", False), ("secret", False), ("certificate", False), ("secret", True)]
    assert sim.requests[-1].principal == other.client_id
    reasons = {status["reason"] for status in tenants.api.writes()}
    assert reasons == {"JobInProgress", "JobCompleted"}


async def rotate(tenants: Tenants, operator: Any, change: Any) -> None:
    signed_in = len(tenants.entra.sign_ins)
    change()
    await operator.advance_until(lambda: len(tenants.entra.sign_ins) > signed_in)
    await operator.idle()


async def test_an_annotation_is_changed_without_a_restart(tenants: Tenants, sim: AzureSimulator, vault: Vault) -> None:
    """After a change of the client-id annotation, the operator uses the new client within five polls."""
    tenant, other = tenants.add(), tenants.add("team-b")
    other.application.add_federated_credential(issuer=tenants.api.identities.issuer.url, subject=tenant.subject)
    async with tenants.operator() as operator:
        tenant.watch(vault.set_job(JOB_NAME, running_payload()))
        await tenants.api.status(phase="Running")
        tenant.annotate(client_id=other.client_id)
        polls = 0
        while sim.requests[-1].principal != other.client_id:
            await operator.poll(sim)
            polls += 1
        assert polls <= 5


@pytest.mark.parametrize("field", ["serviceAccountName", "secretName"])
async def test_a_token_that_ended_is_renewed_within_the_poll(
    tenants: Tenants, sim: AzureSimulator, vault: Vault, field: str
) -> None:
    """After a 401 for an expired token, the operator gets a new one. The status shows no error."""
    tenant = tenants.add()
    tenant.put_client_secret()
    async with tenants.operator() as operator:
        tenant.watch(vault.set_job(JOB_NAME, running_payload()), field)
        await tenants.api.status(phase="Running")
        for token in list(sim.tokens._principals):
            sim.tokens.expire(token)
        vault.set_job(JOB_NAME, job_payload())
        await operator.advance_to("Succeeded", tenants.api)
    assert (len(tenants.entra.sign_ins), len(sim.requests)) == (2, 3)
    assert [status["reason"] for status in tenants.api.writes()] == ["JobInProgress", "JobCompleted"]


async def test_short_tokens(tenants: Tenants, sim: AzureSimulator, vault: Vault) -> None:
    """The operator never uses an expired token, even if tokens expire after 1 s."""
    tenants.entra.lifetime = 1
    tenants.add().watch(vault.set_job(JOB_NAME, running_payload()))
    async with tenants.operator() as operator:
        await tenants.api.status(phase="Running")
        await asyncio.sleep(1.05)
        await operator.poll(sim)
        vault.set_job(JOB_NAME, job_payload())
        await operator.advance_to("Succeeded", tenants.api)
    assert len({request.authorization_sha256 for request in sim.requests}) >= 2
    assert {status["reason"] for status in tenants.api.writes()} == {"JobInProgress", "JobCompleted"}


@pytest.mark.parametrize("namespaces", [1, 3])
async def test_a_stop_during_a_token_request(tenants: Tenants, vault: Vault, namespaces: int) -> None:
    """Pending TokenRequests do not delay the operator's shutdown."""
    api = tenants.api
    with api.traffic.hold("/token$") as hold:
        async with tenants.operator() as operator:
            for number in range(namespaces):
                tenants.add(f"team-{number}").watch(vault.set_job(JOB_NAME, job_payload()))
            await hold.reached(namespaces)
            operator.finish()
            started = time.monotonic()
            await asyncio.sleep(0.1)
            operator.advance(6)
        assert time.monotonic() - started < 30


@pytest.mark.parametrize("form", ["//{host}", "@{host}", "x@{host}/", "..//{host}", "\\\\{host}", "x?@{host}/", "x#"])
@pytest.mark.parametrize("field", ["serviceAccountName", "secretName"])
async def test_a_tenant_id_cannot_change_the_host(
    tenants: Tenants, sim: AzureSimulator, vault: Vault, form: str, field: str
) -> None:
    """A malicious tenant ID in an annotation or Secret does not redirect the credential to another host."""
    tenant: Tenant = tenants.add()
    async with EntraSimulator(tokens=sim.tokens) as elsewhere:
        tenant_id = form.format(host=elsewhere.url.removeprefix("https://"))
        tenant.annotate(tenant_id=tenant_id)
        tenant.put_secret(AZURE_CLIENT_SECRET=CLIENT_SECRET, AZURE_TENANT_ID=tenant_id)
        async with tenants.operator():
            tenant.watch(vault.set_job(JOB_NAME, job_payload()), field)
            status = await tenants.api.status(phase="Pending")
            assert status["reason"] in ("AuthenticationFailed", "CredentialsNotFound")
        assert elsewhere.sign_ins == ()
        assert sim.requests == ()
