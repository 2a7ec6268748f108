"""``backupjobwatch watch`` and Entra: new federations, and assertions that expire in a pipeline."""

from __future__ import annotations

import json
import os
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest

from demo.simulator import EntraSimulator, ManualClock, running_simulator
from demo.simulator.hosting import running
from demo.simulator.tokens import TENANT_ID
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT
from tests.support.builders import JOB_NAME, job_payload
from tests.support.canary import TOKEN, WORD
from tests.support.identities import ServiceAccountIssuer
from tests.support.watching import Watching, watch_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.simulator import AzureSimulator, Vault


@pytest.fixture
def sim() -> Iterator[AzureSimulator]:
    with running_simulator(clock=ManualClock(), tokens={TOKEN: "somebody"}) as simulator:
        yield simulator


@pytest.fixture
def vault(sim: AzureSimulator) -> Vault:
    return sim.add_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, VAULT)


def test_an_identity_that_is_refused_at_first(sim: AzureSimulator, vault: Vault, tmp_path: Path) -> None:
    """The command tolerates a refused identity for --grace, because a new federation takes minutes."""
    job, secret, client_id = vault.set_job(JOB_NAME, job_payload()), f"client-secret-{WORD}", str(uuid.uuid4())
    with running(EntraSimulator(tokens=sim.tokens)) as entra:
        (tmp_path / "ca.pem").write_text(entra.ca_pem)
        environment = {
            **watch_settings(
                sim.url,
                DEVELOPMENT_TOKEN="",
                AZURE_AUTHORITY=entra.url,
                AZURE_AUTHORITY_CA_FILE=str(tmp_path / "ca.pem"),
            ),
            "AZURE_TENANT_ID": TENANT_ID,
            "AZURE_CLIENT_ID": client_id,
            "AZURE_CLIENT_SECRET": secret,
        }
        watching = Watching(environment, job, "--interval", "10s")
        assert watching.process.stdout is not None
        line = watching.process.stdout.readline()
        entra.add_application(client_id).add_secret(secret)
        assert watching.wait().code == 0
    assert "  Pending  Entra refused you" in line


CLIENT_ID = "c11e0000-5e1f-4000-8000-0000000000aa"
SUBJECT = "repo:contoso/shop:ref:refs/heads/main"


class _Issuer(BaseHTTPRequestHandler):
    """Issues OIDC tokens like GitHub Actions and Azure Pipelines."""

    tokens = ServiceAccountIssuer(url="https://token.actions.githubusercontent.com")
    requests: ClassVar[list[tuple[str, str, str]]] = []

    def do_GET(self) -> None:
        self._answer("value")

    def do_POST(self) -> None:
        self._answer("oidcToken")

    def _answer(self, name: str) -> None:
        self.requests.append((self.command, self.path, self.headers["Authorization"]))
        body = json.dumps({name: self.tokens.token(SUBJECT)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def issuer() -> Iterator[str]:
    """The URL at which the CI system issues OIDC tokens."""
    _Issuer.requests.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Issuer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/oidc"
        server.shutdown()
        thread.join(60)


def az_that_has_expired(folder: Path) -> str:
    """Write an `az` whose sign-in by OIDC token has expired, and return a PATH that contains it."""
    account = json.dumps({"tenantId": TENANT_ID, "user": {"name": CLIENT_ID, "type": "servicePrincipal"}})
    lines = (
        "#!/bin/sh",
        f"[ \"$2\" = show ] && {{ echo '{account}'; exit 0; }}",
        "echo 'ERROR: AADSTS700024: Client assertion is not within its valid time range.' >&2",
        "echo 'Interactive authentication is needed. Please run: az login' >&2",
        "exit 1",
    )
    (folder / "az").write_text("\n".join(lines) + "\n")
    (folder / "az").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.parametrize("signed_in", ["az login", "file"])
@pytest.mark.parametrize("system", ["GitHub Actions", "Azure Pipelines", "none"])
def test_an_assertion_that_has_expired(
    sim: AzureSimulator, vault: Vault, issuer: str, tmp_path: Path, system: str, *, signed_in: str
) -> None:
    """In a pipeline, the command replaces an expired assertion. Elsewhere, Entra refuses the identity."""
    job = vault.set_job(JOB_NAME, job_payload())
    pipelines = {
        "GitHub Actions": {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{issuer}?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": f"request-{WORD}",
        },
        "Azure Pipelines": {
            "SYSTEM_OIDCREQUESTURI": issuer,
            "SYSTEM_ACCESSTOKEN": f"request-{WORD}",
            "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": str(uuid.UUID(int=7)),
        },
        "none": {},
    }
    (tmp_path / "assertion").write_text(_Issuer.tokens.token(SUBJECT, lifetime=-600))
    by_file = {
        "AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "assertion"),
        "AZURE_TENANT_ID": TENANT_ID,
        "AZURE_CLIENT_ID": CLIENT_ID,
    }
    with running(EntraSimulator(tokens=sim.tokens)) as entra:
        entra.trust_issuer(_Issuer.tokens.url, _Issuer.tokens.public_pem)
        entra.add_application(CLIENT_ID).add_federated_credential(issuer=_Issuer.tokens.url, subject=SUBJECT)
        (tmp_path / "ca.pem").write_text(entra.ca_pem)
        authority = {"AZURE_AUTHORITY": entra.url, "AZURE_AUTHORITY_CA_FILE": str(tmp_path / "ca.pem")}
        environment = {
            **watch_settings(sim.url, DEVELOPMENT_TOKEN="", **authority),
            **pipelines[system],
            **({"PATH": az_that_has_expired(tmp_path)} if signed_in == "az login" else by_file),
        }
        done = Watching(environment, job, "--interval", "10s", "--timeout", "1s" if system == "none" else "5m").wait()
    if system == "none":
        assert (done.code == 0, _Issuer.requests, "AADSTS700024" in done.out) == (False, [], True)
        return
    assert done.code == 0, done.out
    ((method, path, authorization),) = _Issuer.requests
    assert method == ("GET" if system == "GitHub Actions" else "POST")
    assert ("audience=api%3A%2F%2FAzureADTokenExchange" in path) == (system == "GitHub Actions")
    assert authorization == f"Bearer request-{WORD}"
    assert {request.principal for request in sim.requests} == {CLIENT_ID}
