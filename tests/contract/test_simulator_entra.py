"""azure-identity signs in at the simulated token endpoint, which refuses requests like Entra."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    WorkloadIdentityCredential,
)

from demo.simulator import AzureSimulator, EntraSimulator, Fault, ManualClock, running, running_simulator
from demo.simulator.applications import Application
from tests.contract.vault_client import VAULT, send
from tests.support.identities import ServiceAccountIssuer, new_certificate

CLIENT: Final = "c11e0000-5e1f-4000-8000-000000000001"
TENANT: Final = "7e4a0000-5e1f-4000-8000-000000000000"
SCOPE: Final = "https://management.azure.com/.default"
SUBJECT: Final = "system:serviceaccount:team-a:backup-reader"
ISSUER: Final = ServiceAccountIssuer()
CERTIFICATE: Final = new_certificate()


@dataclass(frozen=True)
class World:
    sim: AzureSimulator
    entra: EntraSimulator
    app: Application
    options: dict[str, Any]

    def secret(self, secret: str = "s-1", client: str = CLIENT, tenant: str = TENANT) -> ClientSecretCredential:
        return ClientSecretCredential(tenant, client, secret, **self.options)

    def certificate(self, pem: str = CERTIFICATE[0]) -> CertificateCredential:
        return CertificateCredential(TENANT, CLIENT, certificate_data=pem.encode(), **self.options)

    def federated(self, token: str) -> ClientAssertionCredential:
        return ClientAssertionCredential(TENANT, CLIENT, lambda: token, **self.options)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Resource Manager and Entra side by side, with one application that has one credential of each kind."""
    with (
        running_simulator(clock=ManualClock(), tokens={}) as sim,
        running(EntraSimulator(tokens=sim.tokens)) as entra,
    ):
        authority = tmp_path / "ca.pem"
        authority.write_text(entra.ca_pem)
        app = entra.add_application(CLIENT)
        app.add_secret("s-1")
        app.add_certificate(CERTIFICATE[1])
        app.add_federated_credential(issuer=ISSUER.url, subject=SUBJECT)
        entra.trust_issuer(ISSUER.url, ISSUER.public_pem)
        options = {
            "authority": entra.url,
            "disable_instance_discovery": True,
            "connection_verify": str(authority),
            "retry_total": 0,
        }
        yield World(sim, entra, app, options)


CREDENTIALS: Final[dict[str, Callable[[World], Any]]] = {
    "secret": World.secret,
    "certificate": World.certificate,
    "federated": lambda world: world.federated(ISSUER.token(SUBJECT)),
}


@pytest.mark.parametrize("kind", CREDENTIALS)
def test_signs_in(world: World, kind: str) -> None:
    """Each kind of credential gets a token that identifies the application to Resource Manager."""
    token = CREDENTIALS[kind](world).get_token(SCOPE).token
    vault = world.sim.add_vault(*VAULT)
    vault.set_job("job", {"properties": {"status": "S"}})

    assert send(world.sim, vault.job_id("job"), token=token).status_code == 200

    assert world.sim.requests[-1].principal == CLIENT
    (sign_in,) = world.entra.sign_ins
    assert (sign_in.kind, sign_in.client_id, sign_in.tenant_id, sign_in.scope) == (kind, CLIENT, TENANT, SCOPE)


def test_signs_a_pod_in(world: World, tmp_path: Path) -> None:
    """WorkloadIdentityCredential exchanges the projected token of a ServiceAccount for its subject's identity."""
    (tmp_path / "token").write_text(ISSUER.token(SUBJECT))
    credential = WorkloadIdentityCredential(
        tenant_id=TENANT, client_id=CLIENT, token_file_path=str(tmp_path / "token"), **world.options
    )
    assert credential.get_token(SCOPE).token
    assert (world.entra.sign_ins[0].issuer, world.entra.sign_ins[0].subject) == (ISSUER.url, SUBJECT)


def test_tokens_differ_and_end(world: World) -> None:
    """Every sign-in returns a new token, and Resource Manager rejects it as expired after its lifetime."""
    vault = world.sim.add_vault(*VAULT)
    first = world.secret().get_token(SCOPE).token
    world.entra.lifetime = 0
    second = world.secret().get_token(SCOPE).token
    assert first != second
    assert send(world.sim, vault.job_id("none"), token=first).status_code == 404
    refused = send(world.sim, vault.job_id("none"), token=second)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "ExpiredAuthenticationToken")


@pytest.mark.parametrize(
    ("number", "credential"),
    [
        (7000215, lambda world: world.secret("wrong")),
        (700016, lambda world: world.secret(client="c11e0000-0000-4000-8000-000000000009")),
        (90002, lambda world: world.secret(tenant="7e4a0000-0000-4000-8000-000000000009")),
        (700027, lambda world: world.certificate(new_certificate()[0])),
        (70021, lambda world: world.federated(ISSUER.token("system:serviceaccount:team-b:backup-reader"))),
        (70021, lambda world: world.federated(ServiceAccountIssuer("https://other.example").token(SUBJECT))),
        (700212, lambda world: world.federated(ISSUER.token(SUBJECT, audience="https://kubernetes.default.svc"))),
        (50013, lambda world: world.federated(ServiceAccountIssuer().token(SUBJECT))),
        (700024, lambda world: world.federated(ISSUER.token(SUBJECT, lifetime=-60))),
        (50027, lambda world: world.federated("no.jwt.atall")),
    ],
    ids=[
        "wrong-secret", "unknown-application", "unknown-tenant", "unknown-certificate", "other-subject",
        "other-issuer", "other-audience", "wrong-signature", "expired", "no-jwt",
    ],
)  # fmt: skip
def test_refuses(world: World, number: int, credential: Callable[[World], Any]) -> None:
    """The simulator refuses an invalid sign-in with Entra's error code, and azure-identity raises it."""
    with pytest.raises(ClientAuthenticationError, match=rf"AADSTS{number}:"):
        credential(world).get_token(SCOPE)


def test_credentials_come_and_go(world: World) -> None:
    """The simulator refuses revoked credentials and removed applications, and accepts rotated credentials."""
    world.app.clear()
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        world.secret().get_token(SCOPE)
    world.app.add_secret("s-2")
    assert world.secret("s-2").get_token(SCOPE)
    world.entra.trust_issuer(ISSUER.url)
    world.app.add_federated_credential(issuer=ISSUER.url, subject=SUBJECT)
    with pytest.raises(ClientAuthenticationError, match="AADSTS50013"):
        world.federated(ISSUER.token(SUBJECT)).get_token(SCOPE)
    world.entra.add_application("c11e0000-5e1f-4000-8000-000000000002")
    world.entra.remove_application(CLIENT)
    with pytest.raises(ClientAuthenticationError, match="AADSTS700016"):
        world.secret("s-2").get_token(SCOPE)


@pytest.mark.parametrize(
    ("form", "number", "error"),
    [
        ({}, 900144, "invalid_request"),
        ({"client_id": CLIENT, "grant_type": "password", "scope": SCOPE}, 70003, "unsupported_grant_type"),
        ({"client_id": CLIENT, "grant_type": "client_credentials", "scope": "User.Read"}, 1002012, "invalid_scope"),
        ({"client_id": CLIENT, "grant_type": "client_credentials", "scope": SCOPE}, 7000218, "invalid_client"),
    ],
)
def test_error_bodies(world: World, form: dict[str, str], number: int, error: str) -> None:
    """An error body has Entra's fields, and echoes the client's request ID as the correlation ID."""
    answer = requests.post(
        f"{world.entra.url}/{TENANT}/oauth2/v2.0/token",
        form,
        headers={"client-request-id": "corr-1"},
        verify=world.options["connection_verify"],
        timeout=60,
    )
    body = answer.json()
    assert answer.status_code == (401 if error == "invalid_client" else 400)
    assert body["error"] == error
    assert body["error_codes"] == [number]
    assert body["error_description"].startswith(f"AADSTS{number}: ")
    assert body["correlation_id"] == "corr-1"
    assert body.keys() >= {"timestamp", "trace_id", "error_uri"}


def test_discovery(world: World) -> None:
    """The OpenID configuration and the instance discovery name endpoints of the simulator itself."""
    verify = world.options["connection_verify"]
    path = f"{world.entra.url}/{TENANT}/v2.0/.well-known/openid-configuration"
    configuration = requests.get(path, verify=verify, timeout=60).json()
    assert configuration["token_endpoint"] == f"{world.entra.url}/{TENANT}/oauth2/v2.0/token"
    asked = {"authorization_endpoint": f"{world.entra.url}/{TENANT}/oauth2/v2.0/authorize"}
    known = requests.get(f"{world.entra.url}/common/discovery/instance", asked, verify=verify, timeout=60).json()
    assert known["tenant_discovery_endpoint"] == path
    assert requests.get(f"{world.entra.url}/else", verify=verify, timeout=60).status_code == 404


@pytest.mark.parametrize("fault", [Fault.server_error(status=503), Fault.reset(), Fault.html()], ids=lambda f: f.kind)
def test_fails_for_one_application(world: World, fault: Fault) -> None:
    """Entra can fail for a single application, and still records the sign-in attempt."""
    world.entra.faults.add(fault, path="/token$", principal=CLIENT, times=None)
    with pytest.raises((ClientAuthenticationError, HttpResponseError)):
        world.secret().get_token(SCOPE)
    assert world.entra.sign_ins[-1].client_id == CLIENT
    world.entra.faults.clear()
    assert world.secret().get_token(SCOPE)


def test_keeps_no_secrets(world: World) -> None:
    """The simulator records no secrets, assertions or tokens."""
    assertion = ISSUER.token(SUBJECT)
    kept = [world.secret().get_token(SCOPE).token, world.federated(assertion).get_token(SCOPE).token, assertion, "s-1"]
    recorded = repr(world.entra.sign_ins)
    assert not [one for one in kept if one in recorded]
    world.entra.clear_sign_ins()
    assert world.entra.sign_ins == ()
