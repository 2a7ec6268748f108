"""The operator uses the identities of the watches' namespaces, from TokenRequest or Secret to Azure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.functional.tenants import ACCOUNT, CLIENT_SECRET, SECRET, certificate
from tests.support.builders import JOB_NAME, condition, job_payload, running_payload, standing

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.tenants import Tenant, Tenants

KINDS = {
    "a ServiceAccount": ("serviceAccountName", "federated"),
    "a client secret": ("secretName", "secret"),
    "a certificate": ("secretName", "certificate"),
}


def equip(tenant: Tenant, kind: str) -> None:
    """Give a tenant a credential of the kind to sign in."""
    if kind == "a client secret":
        tenant.put_client_secret()
    elif kind == "a certificate":
        private, public = certificate()
        tenant.application.add_certificate(public)
        tenant.put_secret(AZURE_CLIENT_CERTIFICATE=private)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_identity_of_the_namespaces_own(
    tenants: Tenants, sim: AzureSimulator, vault: Vault, kind: str
) -> None:
    """The operator signs in once as the namespace's identity and reads the job as that principal."""
    tenant, (field, proof) = tenants.add(), KINDS[kind]
    equip(tenant, kind)
    async with tenants.operator() as operator:
        tenant.watch(vault.set_job(JOB_NAME, running_payload()), field)
        await tenants.api.status(phase="Running")
        vault.set_job(JOB_NAME, job_payload())
        await operator.advance_to("Succeeded", tenants.api)
    (sign_in,) = tenants.entra.sign_ins
    assert (sign_in.kind, sign_in.client_id) == (proof, tenant.client_id)
    assert sign_in.scope == "https://management.azure.com/.default"
    assert sign_in.subject == (tenant.subject if proof == "federated" else sign_in.subject)
    assert {request.principal for request in sim.requests} == {tenant.client_id}


async def test_the_token_request_has_entras_audience(tenants: Tenants, vault: Vault) -> None:
    """The operator requests a short-lived token whose only audience is Entra's token exchange."""
    tenants.add().watch(vault.set_job(JOB_NAME, job_payload()))
    async with tenants.operator():
        await tenants.api.status(phase="Succeeded")
    (request,) = tenants.api.traffic.matching("/token$")
    assert request.body["spec"] == {"audiences": ["api://AzureADTokenExchange"], "expirationSeconds": 600}


# ── identity errors and recovery ─────────────────────────────────────────────────────────────────────────────────────


def no_account(tenant: Tenant) -> None:
    tenant.api.identities.delete("serviceaccounts", ACCOUNT, namespace=tenant.namespace)


def no_trust(tenant: Tenant) -> None:
    tenant.application.clear()


def forbid(plural: Any, name: str, *, token: bool = False) -> Any:
    return lambda tenant: tenant.api.identities.forbid(plural, name, namespace=tenant.namespace, token=token)


def allow(plural: Any, name: str, *, token: bool = False) -> Any:
    return lambda tenant: tenant.api.identities.allow(plural, name, namespace=tenant.namespace, token=token)


def unknown_application(tenant: Tenant) -> None:
    tenant.entra.add_application("somebody else")
    tenant.entra.remove_application(tenant.client_id)


def nothing(_: Tenant) -> None:
    pass


ACCOUNTS: dict[str, tuple[Any, Any, str, str]] = {
    "no ServiceAccount": (no_account, lambda it: it.annotate(), "CredentialsNotFound", f"/{ACCOUNT} does not exist"),
    "no client": (lambda it: it.annotate(client_id=""), lambda it: it.annotate(), "CredentialsNotFound", "client-id"),
    "no tenant": (lambda it: it.annotate(tenant_id=""), lambda it: it.annotate(), "CredentialsNotFound", "tenant-id"),
    "not readable": (
        forbid("serviceaccounts", ACCOUNT),
        allow("serviceaccounts", ACCOUNT),
        "IdentityNotAllowed",
        f"team-a/{ACCOUNT}. Add the Role",
    ),
    "no TokenRequest": (
        forbid("serviceaccounts", ACCOUNT, token=True),
        allow("serviceaccounts", ACCOUNT, token=True),
        "IdentityNotAllowed",
        f"tokens of ServiceAccount team-a/{ACCOUNT}. Add the Role",
    ),
    "no federated credential": (no_trust, lambda it: it.trust(), "AuthenticationFailed", "AADSTS70021"),
    "no such application": (
        unknown_application,
        lambda it: it.trust(),
        "AuthenticationFailed",
        "AADSTS700016",
    ),
    "a tenant that is none": (
        lambda it: it.annotate(tenant_id="7e4a0000-5e1f-4000-8000-00000000dead"),
        lambda it: it.annotate(),
        "AuthenticationFailed",
        "Entra",
    ),
    "a tenant that cannot be": (
        lambda it: it.annotate(tenant_id="no tenant/at all"),
        lambda it: it.annotate(),
        "AuthenticationFailed",
        "Entra refused ServiceAccount",
    ),
}
SECRETS: dict[str, tuple[Any, Any, str, str]] = {
    "no Secret": (
        nothing,
        lambda it: it.put_client_secret(),
        "CredentialsNotFound",
        f"Secret team-a/{SECRET} does not exist",
    ),
    "no label": (
        lambda it: it.put_secret({}, AZURE_CLIENT_SECRET=CLIENT_SECRET),
        lambda it: it.put_client_secret(),
        "CredentialsNotFound",
        'no label azurebackup.dev/credential: "true"',
    ),
    "another label": (
        lambda it: it.put_secret({"azurebackup.dev/credential": "false"}, AZURE_CLIENT_SECRET=CLIENT_SECRET),
        lambda it: it.put_client_secret(),
        "CredentialsNotFound",
        "no label",
    ),
    "no tenant": (
        lambda it: it.put_secret(AZURE_CLIENT_SECRET=CLIENT_SECRET, AZURE_TENANT_ID=""),
        lambda it: it.put_client_secret(),
        "CredentialsNotFound",
        "no key AZURE_TENANT_ID",
    ),
    "no client": (
        lambda it: it.put_secret(AZURE_CLIENT_SECRET=CLIENT_SECRET, AZURE_CLIENT_ID=""),
        lambda it: it.put_client_secret(),
        "CredentialsNotFound",
        "no key AZURE_CLIENT_ID",
    ),
    "no secret in it": (
        lambda it: it.put_secret(),
        lambda it: it.put_client_secret(),
        "CredentialsNotFound",
        "neither AZURE_CLIENT_CERTIFICATE nor AZURE_CLIENT_SECRET",
    ),
    "a certificate that is none": (
        lambda it: it.put_secret(AZURE_CLIENT_CERTIFICATE=f"{CLIENT_SECRET} is no PEM"),
        lambda it: it.put_client_secret(),
        "CredentialsNotFound",
        "",
    ),
    "a certificate without its key": (
        lambda it: it.put_secret(AZURE_CLIENT_CERTIFICATE=certificate()[1]),
        lambda it: it.put_client_secret(),
        "CredentialsNotFound",
        "",
    ),
    "a certificate that Entra does not know": (
        lambda it: it.put_secret(AZURE_CLIENT_CERTIFICATE=certificate()[0]),
        lambda it: it.application.add_certificate(certificate()[1]),
        "AuthenticationFailed",
        "AADSTS700027",
    ),
    "a wrong secret": (
        lambda it: it.put_client_secret(known=False),
        lambda it: it.put_client_secret(f"{CLIENT_SECRET}-2"),
        "AuthenticationFailed",
        "AADSTS7000215",
    ),
    "a secret that Entra learns late": (
        lambda it: it.put_client_secret(known=False),
        lambda it: it.application.add_secret(f"{CLIENT_SECRET}-1"),
        "AuthenticationFailed",
        "AADSTS7000215",
    ),
    "not readable": (
        forbid("secrets", SECRET),
        lambda it: (allow("secrets", SECRET)(it), it.put_client_secret()),
        "IdentityNotAllowed",
        f"Secret team-a/{SECRET}. Add the Role",
    ),
}
TROUBLE = {("serviceAccountName", name): case for name, case in ACCOUNTS.items()}
TROUBLE |= {("secretName", name): case for name, case in SECRETS.items()}


@pytest.mark.parametrize(("field", "name"), TROUBLE)
async def test_a_wrong_identity_is_reported_at_once_and_recovers(
    tenants: Tenants, vault: Vault, sim: AzureSimulator, field: str, name: str
) -> None:
    """The first status explains the identity error before any request to Azure. The fix needs no restart."""
    spoil, mend, reason, words = TROUBLE[field, name]
    tenant, api = tenants.add(), tenants.api
    spoil(tenant)
    async with tenants.operator() as operator:
        tenant.watch(vault.set_job(JOB_NAME, job_payload()), field)
        status = await api.status(phase="Pending")
        assert status["reason"] == reason, status["message"]
        assert re.search(f"(?i){words}", status["message"])
        assert "troubleSince" in status
        assert standing(status)["Ready"] == "Unknown"
        assert (condition(status, "AzureReachable") or {})["status"] == "False"
        assert sim.requests == ()
        await operator.advance_until(lambda: len(api.writes()) and tenant.reads() > 1)
        mend(tenant)
        await operator.advance_to("Succeeded", api)
    assert "troubleSince" not in await api.status()
