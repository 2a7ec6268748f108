"""Why azure-identity got no token, without details that other users must not see."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.identity import CredentialUnavailableError
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NameResolutionError, NewConnectionError, ProxyError

from backupjobwatch.arm.token_answers import forget_answer, kind_of, note_entra_answer
from backupjobwatch.errors import AuthenticationFailed, AzureError, AzureUnavailable, UnexpectedResponse

if TYPE_CHECKING:
    from azure.core.pipeline import PipelineResponse

WHOSE = "the operator's identity"
PAGE = b"""<html><head><style>b {}</style></head><body onload="go()"><h1>Denied</h1> by proxy 10.1.2.3</body></html>"""
TITLE = b"<!DOCTYPE html><html><head><title>Blocked by 10.1.2.3</title></head><body>call us</body></html>"


def note(status: int, body: bytes) -> None:
    """Record a response at the authority's address, as azure-identity's pipeline reports it."""
    response = SimpleNamespace(http_response=SimpleNamespace(status_code=status, headers={}, body=lambda: body))
    note_entra_answer(cast("PipelineResponse[Any, Any]", response))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (PAGE, "It says: Denied by proxy [internal address]"),
        (TITLE, "It says: Blocked by [internal address]"),
        (b"", "Its body is empty"),
        (b'{"message": "The proxy 10.1.2.3 is closed"}', "It says: The proxy [internal address] is closed"),
        (b'["10.1.2.3"]', "Its body is incomplete or unexpected JSON"),
        (b'{"host": "10.1.2.3', "Its body is incomplete or unexpected JSON"),
        (b'\xef\xbb\xbf{"host": "10.1.2.3', "Its body is incomplete or unexpected JSON"),
    ],
)
@pytest.mark.parametrize(("status", "kind"), [(403, UnexpectedResponse), (502, AzureUnavailable)])
def test_pages_of_a_proxy(body: bytes, words: str, status: int, kind: type[AzureError]) -> None:
    """The message has the title or text of a page, without markup and internal addresses."""
    note(status, body)
    error = kind_of(ClientAuthenticationError(f"Unexpected response: {body!r}"), WHOSE)
    forget_answer()

    assert type(error) is kind
    assert f" {words}." in str(error)
    assert not any(each in str(error) for each in ("10.1.2.3", "<"))


def test_entra_names_an_address() -> None:
    """A refusal of Entra keeps its text without internal addresses."""
    note(400, b'{"error": "access_denied"}')
    error = kind_of(ClientAuthenticationError("AADSTS53003: the address 10.1.2.3 is blocked.\nTrace ID: 1"), WHOSE)
    forget_answer()

    assert type(error) is AuthenticationFailed
    assert str(error) == (
        "Entra refused the operator's identity: AADSTS53003: the address [internal address] is blocked."
    )


@pytest.mark.parametrize("code", ["temporarily_unavailable", "server_error"])
def test_a_failure_of_entra(code: str) -> None:
    """An OAuth error about a failure of Entra is not a refusal of the identity, whatever its HTTP status."""
    note(400, json.dumps({"error": code, "error_description": "AADSTS90033: Try again."}).encode())
    error = kind_of(ClientAuthenticationError("Authentication failed: AADSTS90033: Try again."), WHOSE)
    forget_answer()

    assert type(error) is AzureUnavailable
    assert "AADSTS90033: Try again." in str(error)


@pytest.mark.parametrize(
    "body", [{"access_token": "a"}, {"access_token": "a", "expires_in": None}, {"expires_in": 3599}], ids=str
)
def test_a_token_that_is_unusable(body: dict[str, Any]) -> None:
    """A 200 without a usable token is not a refusal of the identity."""
    note(200, json.dumps(body).encode())
    error = kind_of(ClientAuthenticationError("Authentication failed: 'expires_in'"), WHOSE)
    forget_answer()

    assert type(error) is UnexpectedResponse


POOL = HTTPSConnectionPool("proxy.corp.example")
REFUSED = NewConnectionError(cast("Any", POOL), "[Errno 111] Connection refused")
UNRESOLVED = NameResolutionError("proxy.corp.example", cast("Any", POOL), cast("Any", OSError(-2, "unknown")))


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        (REFUSED, "the connection failed or was closed"),
        (UNRESOLVED, "the name of its host could not be resolved"),
        (ConnectTimeoutError(POOL, "timed out"), "the connection timed out"),
        (requests.ReadTimeout(POOL), "the response timed out"),
        (ProxyError("Unable to connect to proxy", REFUSED), "the proxy refused the connection"),
        (requests.exceptions.ProxyError(MaxRetryError(POOL, "/", ProxyError("x", REFUSED))), "the proxy refused"),
        (requests.exceptions.SSLError(POOL), "its TLS certificate or handshake was rejected"),
    ],
)
def test_connection_errors(inner: Exception, words: str) -> None:
    """A failed connection is described as for Azure Resource Manager, without the host of a proxy."""
    forget_answer()
    failed = ServiceRequestError(inner, error=inner)
    unavailable = CredentialUnavailableError("no response")
    unavailable.__cause__ = failed

    for error in (failed, unavailable):
        kind = kind_of(error, WHOSE)
        assert type(kind) is AzureUnavailable
        assert f"could not be reached: {words}" in str(kind)
        assert "corp.example" not in str(kind)
