"""Classify why azure-identity got no token, by the last HTTP response, which this module records. Read claims challenges."""

from __future__ import annotations

import base64
import contextlib
import re
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import requests
from azure.core.exceptions import (
    AzureError as AzureCoreError,
)
from azure.core.exceptions import (
    ClientAuthenticationError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity import CredentialUnavailableError

from backupjobwatch.arm.responses import LONGEST_WAIT, describe_body, parse_json
from backupjobwatch.arm.transport import describe_connection_error
from backupjobwatch.domain.jobs.text import sanitize
from backupjobwatch.domain.jobs.times import parse_retry_after
from backupjobwatch.errors import (
    AuthenticationFailed,
    AzureError,
    AzureUnavailable,
    CredentialsNotFound,
    UnexpectedResponse,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azure.core.pipeline import PipelineRequest, PipelineResponse

_CLAIMS = re.compile(r'\bclaims="(?P<claims>[^"]+)"')
_EXCERPT: Final = 400
_DISCOVERY: Final = frozenset(("token_endpoint", "tenant_discovery_endpoint"))
"""Fields that identify Entra's two discovery documents."""
_RETRIED: Final = (HTTPStatus.GONE, HTTPStatus.TOO_MANY_REQUESTS)
"""The metadata service answers 410 for minutes while it is updated: https://github.com/Azure/azure-sdk-for-go/issues/1848"""
_TEMPORARY: Final = ("temporarily_unavailable", "server_error")
"""OAuth errors that do not refuse an identity: https://learn.microsoft.com/entra/identity-platform/reference-error-codes"""


_CONNECTION_ERRORS: Final = (ServiceRequestError, ServiceResponseError, requests.RequestException)
"""Includes the inner errors of azure-core's IncompleteReadError, which is not a ServiceResponseError."""


class _Last(threading.local):
    """The last response to azure-identity in this thread."""

    status: int | None = None
    page: str | None = None
    """A description of the response if Entra did not send it."""
    is_temporary = False
    """Whether Entra reports a failure of its own."""
    retry_after: timedelta | None = None


_last = _Last()


def forget_answer(_: PipelineRequest[Any] | None = None) -> None:
    """Clear the last response. If one token takes several requests, only the last one counts."""
    _last.status = _last.page = _last.retry_after = None
    _last.is_temporary = False


def note_metadata_answer(response: PipelineResponse[Any, Any]) -> None:
    """Record a response of the machine's metadata service."""
    _last.status = response.http_response.status_code
    retry_after = response.http_response.headers.get("Retry-After")
    _last.retry_after = parse_retry_after(retry_after, now=datetime.now(UTC), limit=LONGEST_WAIT)


def note_entra_answer(response: PipelineResponse[Any, Any]) -> None:
    """Record a response from the authority's address, and whether Entra sent it."""
    note_metadata_answer(response)
    body = response.http_response.body()
    payload = parse_json(body)
    if not _is_entras(_last.status, payload):
        _last.page = describe_body(body, payload)
    else:
        _last.is_temporary = payload.get("error") in _TEMPORARY


def retry_after() -> timedelta | None:
    """Return the Retry-After of the last response."""
    return _last.retry_after


@contextlib.contextmanager
def noting_status() -> Iterator[Callable[[], int | None]]:
    """Yield a function that returns the status of azure-identity's last response in the block, or None."""
    forget_answer()
    yield lambda: _last.status


def kind_of(error: Exception, whose: str) -> AzureError:
    """Return the AzureError for *error*, which azure-identity raised for the identity *whose*."""
    text = sanitize(str(error).split("\n", 1)[0], _EXCERPT, redact_addresses=True).rstrip(".")
    status = _last.status
    causes = list(_causes(error))
    if any(isinstance(cause, _CONNECTION_ERRORS) for cause in causes):
        words = describe_connection_error(*causes)
        return AzureUnavailable(f"No token: Entra or the metadata service could not be reached: {words}.")
    is_failure = status is not None and (status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _RETRIED)
    if is_failure or _last.is_temporary:
        return AzureUnavailable(f"No token: Entra or the metadata service failed: {_last.page or text}.")
    if _last.page is not None:
        return UnexpectedResponse(
            f"No token: the response {status} of the authority is not Entra's. {_last.page}. "
            "Check the proxy, the firewall and BACKUPJOBWATCH_AZURE_AUTHORITY."
        )
    if isinstance(error, CredentialUnavailableError) or not isinstance(error, AzureCoreError):
        return CredentialsNotFound(f"There are no credentials for {whose}: {text}.")
    if isinstance(error, ClientAuthenticationError) and status != HTTPStatus.OK:
        return AuthenticationFailed(f"Entra refused {whose}: {text}.")
    return AzureUnavailable(f"No token: {text}.")


def _is_entras(status: int | None, payload: object) -> bool:
    """Return whether Entra sent *payload*: an OAuth error in JSON, a token, or a discovery document."""
    if not isinstance(payload, Mapping):
        return False
    if status != HTTPStatus.OK:
        return isinstance(payload.get("error"), str)
    has_token = isinstance(payload.get("access_token"), str) and str(payload.get("expires_in")).isdecimal()
    return has_token or not _DISCOVERY.isdisjoint(payload)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        # azure-core keeps the error of the library requests in inner_exception only.
        error = getattr(error, "inner_exception", None) or error.__cause__ or error.__context__


def read_claims(challenge: str) -> str | None:
    """Decode the claims of a challenge (base64 of JSON) for azure-identity.

    https://learn.microsoft.com/entra/identity-platform/claims-challenge
    """
    match = _CLAIMS.search(challenge)
    if match is None:
        return None
    with contextlib.suppress(ValueError):
        return base64.urlsafe_b64decode(match["claims"] + "=" * (-len(match["claims"]) % 4)).decode()
    return None
