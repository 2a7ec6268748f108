"""The operator gets its own tokens from azure-identity, as the environment configures it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme
from pydantic import SecretStr

from backupjobwatch.arm.credentials import IdentityTokenSource, StaticToken, operator_tokens
from backupjobwatch.errors import AuthenticationFailed, AzureError, AzureUnavailable, CredentialsNotFound
from backupjobwatch.settings import Settings
from demo.ports import reserved_port
from tests.functional.bound_client import BoundClient
from tests.support.canary import TOKEN, WORD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TENANT = "7e4a0000-5e1f-4000-8000-000000000000"
CLIENT = "c11e0000-5e1f-4000-8000-000000000000"
MANAGED_TOKEN = f"managed-{TOKEN}"
CLIENT_SECRET = f"client-secret-{WORD}"
ASSERTION = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQifQ.c2ln"


@dataclass(slots=True)
class Stub:
    """A server that sends a configured response and records the requests."""

    url: str
    status: int = 200
    answer: dict[str, Any] = field(default_factory=dict)
    targets: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)


@contextlib.contextmanager
def stub_server(context: ssl.SSLContext | None = None) -> Iterator[Stub]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            stub.targets.append(f"{self.command} {self.path}")
            stub.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
            body = json.dumps(stub.answer).encode()
            self.send_response(stub.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_CONNECT = handle_any  # noqa: N815 -- http.server's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- http.server's name
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Ignore errors: some tests make the client abort the handshake."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        stub = Stub(f"{'http' if context is None else 'https'}://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield stub
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """A stub of the metadata service that issues tokens of managed identities."""
    with stub_server() as stub:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", stub.url)
        stub.answer = {
            "access_token": MANAGED_TOKEN,
            "expires_in": "86400",
            "expires_on": str(int(time.time()) + 86400),
            "resource": "https://management.azure.com",
            "token_type": "Bearer",
        }
        yield stub


@pytest.fixture
def closed_address() -> Iterator[str]:
    """The address of a local port that refuses connections."""
    with reserved_port() as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture
def federated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The environment that AKS sets up for a pod with a workload identity."""
    file = tmp_path / "token"
    file.write_text(ASSERTION)
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(file))
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    return file


# ── a static token ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_development_has_a_static_token() -> None:
    """A development token stays the same, also after a renewal."""
    tokens = operator_tokens(Settings(development=True, development_token=SecretStr(TOKEN)))
    assert isinstance(tokens, StaticToken)
    assert tokens.get() == tokens.get(claims="{}", renewed=True) == TOKEN


# ── managed identity, the default ────────────────────────────────────────────────────────────────────────────────────


def test_a_managed_identity(metadata: Stub) -> None:
    """The operator requests a token once from the metadata service. azure-identity caches it."""
    tokens = operator_tokens(Settings())
    assert isinstance(tokens, IdentityTokenSource)
    assert (tokens.get(), tokens.get()) == (MANAGED_TOKEN, MANAGED_TOKEN)
    (target,) = metadata.targets
    assert parse_qs(urlsplit(target).query)["resource"] == ["https://management.azure.com"]
    assert "client_id" not in target


def test_a_user_assigned_managed_identity(metadata: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """AZURE_CLIENT_ID selects one of several managed identities."""
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    operator_tokens(Settings()).get()
    assert f"client_id={CLIENT}" in metadata.targets[0]


def test_a_renewed_token_was_not_handed_out_before(metadata: Stub) -> None:
    """A renewal bypasses the cache."""
    tokens = operator_tokens(Settings())
    tokens.get()
    metadata.answer["access_token"] = f"another-{MANAGED_TOKEN}"
    assert tokens.get(renewed=True) == f"another-{MANAGED_TOKEN}"
    assert tokens.get() == f"another-{MANAGED_TOKEN}"


def test_the_metadata_service_bypasses_the_proxy(metadata: Stub) -> None:
    """Requests to the local metadata service bypass the proxy, which is only for Azure and Entra."""
    with stub_server() as proxy:
        assert operator_tokens(Settings(azure_proxy=proxy.url)).get() == MANAGED_TOKEN
        assert proxy.targets == []


def test_no_identity_at_all(metadata: Stub) -> None:
    """Without any identity, the error lists the credentials that the operator tried."""
    metadata.status = 400
    metadata.answer = {"error": "invalid_request", "error_description": "Identity not found"}
    with pytest.raises(
        CredentialsNotFound, match=r"^There are no credentials for the operator's identity: .*Identity not found"
    ):
        operator_tokens(Settings()).get()


@pytest.mark.parametrize("status", [410, 429, 500])
def test_a_failing_metadata_service(metadata: Stub, status: int) -> None:
    """While the metadata service is updated or fails, the error is temporary. It sends 410 during updates."""
    metadata.status, metadata.answer = status, {"error": "unavailable"}
    with pytest.raises(AzureUnavailable, match="the metadata service failed"):
        operator_tokens(Settings()).get()


def test_an_unreachable_metadata_service(monkeypatch: pytest.MonkeyPatch, closed_address: str) -> None:
    """An unreachable metadata service is a temporary error, not missing credentials."""
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", f"http://{closed_address}")
    with pytest.raises(AzureUnavailable, match=r"^No token: Entra or the metadata service"):
        operator_tokens(Settings()).get()


def test_a_metadata_service_that_fails(metadata: Stub) -> None:
    """A 500 of the metadata service is a temporary error, too."""
    metadata.status, metadata.answer = 500, {"error": "unknown"}
    with pytest.raises(AzureUnavailable, match=r"^No token: "):
        operator_tokens(Settings()).get()


def test_a_metadata_service_that_refuses(metadata: Stub) -> None:
    """A 403 of the metadata service is a permanent error."""
    metadata.status, metadata.answer = 403, {"error": "forbidden", "error_description": "not for you"}
    with pytest.raises(AzureError) as caught:
        operator_tokens(Settings()).get()
    assert type(caught.value) in (AuthenticationFailed, CredentialsNotFound)


async def test_the_client_raises_credential_errors(metadata: Stub) -> None:
    """Without a credential, requests fail at once. The client retries the credential after 5 s."""
    metadata.status, metadata.answer = 400, {"error": "invalid_request"}
    settings, now = Settings(), 0.0
    client = BoundClient(settings, operator_tokens(settings, clock=lambda: now))
    try:
        with pytest.raises(CredentialsNotFound):
            await client.get_token()
        metadata.status = 200
        metadata.answer = {
            "access_token": MANAGED_TOKEN,
            "expires_in": "86400",
            "token_type": "Bearer",
            "resource": "x",
        }
        with pytest.raises(CredentialsNotFound):  # cached for 5 s, without another request
            await client.get_token()
        assert len(metadata.targets) == 1
        now = 5.0
        await client.get_token()
    finally:
        client.close()


async def test_one_identity_for_many_threads(metadata: Stub) -> None:
    """Concurrent threads share the credential and its cache."""
    tokens = operator_tokens(Settings())
    got = await asyncio.gather(*(asyncio.to_thread(tokens.get) for _ in range(8)))
    assert set(got) == {MANAGED_TOKEN}
    assert len(metadata.targets) == 1


# ── workload identity and service principals ─────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("federated")
def test_an_unreachable_authority(closed_address: str) -> None:
    """If Entra is unreachable, the error is temporary. (The proxy keeps the attempt on this machine.)"""
    settings = Settings(azure_authority=f"https://{closed_address}", azure_proxy=f"http://{closed_address}")
    with pytest.raises(AzureUnavailable, match="Entra or the metadata service could not be reached") as caught:
        operator_tokens(settings).get()
    assert ASSERTION not in str(caught.value)


@pytest.mark.usefixtures("federated")
def test_an_authority_that_is_not_trusted() -> None:
    """The operator sends no assertion to a host with an untrusted certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with stub_server() as proxy, stub_server(context) as impostor:
        settings = Settings(azure_authority=impostor.url, azure_proxy=proxy.url)
        with pytest.raises(AzureUnavailable):
            operator_tokens(settings).get()
        assert impostor.targets == []
        assert not any(ASSERTION in body for body in proxy.bodies)
        assert all(target.startswith("CONNECT ") for target in proxy.targets)


def test_a_missing_federated_token_file(federated: Path) -> None:
    """A missing token file raises CredentialsNotFound."""
    federated.unlink()
    with pytest.raises(CredentialsNotFound, match="No such file or directory"):
        operator_tokens(Settings()).get()


@pytest.mark.usefixtures("federated")
def test_a_workload_identity_without_a_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of an incomplete configuration names the missing setting."""
    monkeypatch.delenv("AZURE_TENANT_ID")
    with pytest.raises(CredentialsNotFound, match="tenant_id"):
        operator_tokens(Settings()).get()


@pytest.mark.parametrize("variable", ["AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH"])
def test_a_service_principal_without_a_tenant(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """A secret or certificate alone is an error. The operator does not fall back to a managed identity."""
    monkeypatch.setenv(variable, "/nowhere")
    with pytest.raises(CredentialsNotFound, match=r"(?i)environment variables are not fully configured"):
        operator_tokens(Settings()).get()


def test_a_service_principal_goes_by_the_proxy_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator sends a CONNECT request to the configured proxy and the secret to no other host."""
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", CLIENT_SECRET)
    with stub_server() as proxy, stub_server() as foreign:
        monkeypatch.setenv("HTTPS_PROXY", foreign.url)
        proxy.status = 502
        with pytest.raises(AzureUnavailable) as caught:
            operator_tokens(Settings(azure_proxy=proxy.url)).get()
        assert set(proxy.targets) == {"CONNECT login.microsoftonline.com:443"}
        assert foreign.targets == []
    assert CLIENT_SECRET not in f"{caught.value}{caught.value.__cause__}"
