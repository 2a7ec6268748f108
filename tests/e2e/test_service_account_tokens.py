"""Entra's token endpoint accepts the ServiceAccount tokens that the control plane issues."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import jwt
import pytest
from azure.identity import ClientAssertionCredential

from demo.controlplane import Fault
from demo.simulator import EntraSimulator, running

if TYPE_CHECKING:
    from pathlib import Path

    from demo.controlplane import ControlPlane, Faults, Kubectl

EXCHANGE: Final = "api://AzureADTokenExchange"
TENANT: Final = "7e4a0000-5e1f-4000-8000-000000000000"
CLIENT: Final = "c11e0000-5e1f-4000-8000-000000000001"


@pytest.fixture
def account(kubectl: Kubectl, namespace: str) -> str:
    kubectl("create", "serviceaccount", "backup-reader", "-n", namespace)
    return "backup-reader"


def read(control_plane: ControlPlane, token: str, audience: str) -> dict[str, Any]:
    """Verify a token with the cluster's public key, and return its claims."""
    claims: dict[str, Any] = jwt.decode(
        token,
        control_plane.service_account_public_key,
        algorithms=["RS256"],
        audience=audience,
        issuer=control_plane.service_account_issuer,
    )
    return claims


def test_kubectl_creates_a_token(control_plane: ControlPlane, kubectl: Kubectl, namespace: str, account: str) -> None:
    """`kubectl create token` returns a signed token with the requested audience, duration and subject."""
    flags = ("--audience", EXCHANGE, "--duration", "20m", "-n", namespace)
    token = kubectl("create", "token", account, *flags).stdout.strip()
    claims = read(control_plane, token, EXCHANGE)
    uid = json.loads(kubectl("get", "serviceaccount", account, "-n", namespace, "-o", "json").stdout)["metadata"]["uid"]
    assert claims["sub"] == f"system:serviceaccount:{namespace}:{account}"
    assert claims["aud"] == [EXCHANGE]
    assert claims["exp"] - claims["iat"] == 1200
    assert abs(claims["iat"] - time.time()) < 60
    assert claims["kubernetes.io"] == {"namespace": namespace, "serviceaccount": {"name": account, "uid": uid}}


def test_json_token_request(control_plane: ControlPlane, kubectl: Kubectl, namespace: str, account: str) -> None:
    """A TokenRequest in JSON is answered with its spec and a token. The default audience is the cluster."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    asked = '{"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {}}'
    answer = json.loads(kubectl("create", "--raw", path, "-f", "-", stdin=asked).stdout)
    assert (answer["kind"], answer["apiVersion"]) == ("TokenRequest", "authentication.k8s.io/v1")
    assert answer["spec"]["expirationSeconds"] == 3600
    assert answer["status"]["expirationTimestamp"].endswith("Z")
    assert read(control_plane, answer["status"]["token"], control_plane.service_account_issuer)


def test_records_what_rbac_judges(control_plane: ControlPlane, kubectl: Kubectl, namespace: str, account: str) -> None:
    """The control plane records the request as "create" of "serviceaccounts/token", with the name."""
    kubectl("create", "token", account, "-n", namespace)
    (request,) = control_plane.requests.where(path=f"/{namespace}/serviceaccounts/{account}/token$")
    assert (request.verb, request.resource, request.name) == ("create", "serviceaccounts/token", account)


def test_refuses(kubectl: Kubectl, namespace: str, account: str) -> None:
    """The API server refuses tokens for missing accounts, and durations below ten minutes."""
    missing = kubectl("create", "token", "nobody", "-n", namespace, ok=False)
    assert 'serviceaccounts "nobody" not found' in missing.stderr
    short = kubectl("create", "token", account, "--duration", "599s", "-n", namespace, ok=False)
    assert "may not specify a duration less than 10 minutes" in short.stderr


def test_fault_replaces_the_response(faults: Faults, kubectl: Kubectl, namespace: str, account: str) -> None:
    """A fault can replace the response to a token request."""
    faults.add(Fault(path="/token$", status=403, message="you shall not"))
    assert "you shall not" in kubectl("create", "token", account, "-n", namespace, ok=False).stderr


def test_entra_accepts_the_token(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str, account: str, tmp_path: Path
) -> None:
    """The credential of azure-identity exchanges a ServiceAccount token for an Entra token."""

    def assertion() -> str:
        return kubectl("create", "token", account, "--audience", EXCHANGE, "-n", namespace).stdout.strip()

    with running(EntraSimulator()) as entra:
        issuer, subject = control_plane.service_account_issuer, f"system:serviceaccount:{namespace}:{account}"
        entra.trust_issuer(issuer, control_plane.service_account_public_key)
        entra.add_application(CLIENT).add_federated_credential(issuer=issuer, subject=subject)
        (tmp_path / "ca.pem").write_text(entra.ca_pem)
        credential = ClientAssertionCredential(
            TENANT,
            CLIENT,
            assertion,
            authority=entra.url,
            disable_instance_discovery=True,
            connection_verify=str(tmp_path / "ca.pem"),
        )
        assert entra.tokens.principal(f"Bearer {credential.get_token('https://x/.default').token}") == CLIENT
        assert entra.sign_ins[0].subject == subject
