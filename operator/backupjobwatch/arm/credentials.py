"""Tokens for Azure Resource Manager, by azure-identity."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol

from azure.core.exceptions import (
    AzureError as AzureCoreError,
)
from azure.core.exceptions import (
    ClientAuthenticationError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity import (
    CredentialUnavailableError,
    EnvironmentCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

from backupjobwatch.core.texts import clean
from backupjobwatch.errors import AuthenticationFailed, AzureError, AzureUnavailable, CredentialsNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.core.credentials import TokenCredential
    from azure.core.pipeline import PipelineResponse

    from backupjobwatch.settings import Settings

_EXCERPT: Final = 400
_SERVER_ERROR: Final = 500


class _Last(threading.local):
    status: int | None = None
    """HTTP status of the last answer to azure-identity in this thread."""


_last = _Last()


class Tokens(Protocol):
    """Where tokens come from."""

    def get(self, *, claims: str | None = None, renewed: bool = False) -> str:
        """Return a token that is good for some minutes at least; may block, and raises AzureError.

        *renewed* asks for one that was not handed out before; *claims* is a challenge that the new one must meet.
        """
        ...


class StaticToken:
    """A token that is what it is, for development."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get(self, *, claims: str | None = None, renewed: bool = False) -> str:
        """Return the token."""
        del claims, renewed
        return self._token


class OperatorTokens:
    """The operator's own identity: workload identity, a service principal, or a managed identity.

    Which of them, the environment says, as azure-identity reads it. Exactly one is tried: in a chain, the failure
    of one would hide behind the next.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._credential: TokenCredential | None = None

    def get(self, *, claims: str | None = None, renewed: bool = False) -> str:
        """Return a token from azure-identity's cache, or from Entra."""
        _last.status = None
        try:
            credential = self._current(renewed=renewed and not claims)
            return str(credential.get_token(self._settings.azure_scope, claims=claims).token)
        except AzureError:
            raise
        except Exception as error:  # azure-identity documents two, and lets others through
            raise _kind_of(error) from error

    def _current(self, *, renewed: bool) -> TokenCredential:
        with self._lock:
            if self._credential is None or renewed:  # its cache goes with it
                self._credential = self._make()
            return self._credential

    def _make(self) -> TokenCredential:
        settings = self._settings
        options: dict[str, Any] = {
            "connection_timeout": settings.azure_connect_timeout.total_seconds(),
            "read_timeout": settings.azure_read_timeout.total_seconds(),
            "retry_total": 1,
            "use_env_settings": False,
            "raw_response_hook": _note_status,
        }
        if not (_has_federated_token() or _has_service_principal()):
            # Of the machine, by plain http: a proxy has no business there.
            return ManagedIdentityCredential(client_id=os.environ.get("AZURE_CLIENT_ID"), **options)
        if settings.azure_proxy:
            options["proxies"] = {"https": settings.azure_proxy, "http": settings.azure_proxy}
        kind = WorkloadIdentityCredential if _has_federated_token() else EnvironmentCredential
        return kind(authority=settings.azure_authority, **options)


def operator_tokens(settings: Settings) -> Tokens:
    """Return where the operator's own tokens come from."""
    static = settings.development_token.get_secret_value()
    return StaticToken(static) if static else OperatorTokens(settings)


def _has_federated_token() -> bool:
    return bool(os.environ.get("AZURE_FEDERATED_TOKEN_FILE"))


def _has_service_principal() -> bool:
    return bool(os.environ.get("AZURE_CLIENT_SECRET") or os.environ.get("AZURE_CLIENT_CERTIFICATE_PATH"))


def _note_status(response: PipelineResponse[Any, Any]) -> None:
    """Note the HTTP status of an answer, which azure-identity keeps to itself."""
    _last.status = response.http_response.status_code


def _kind_of(error: Exception) -> AzureError:
    text = clean(str(error).split("\n", 1)[0], _EXCERPT).rstrip(".")
    if any(isinstance(cause, (ServiceRequestError, ServiceResponseError)) for cause in _causes(error)):
        return AzureUnavailable(f"No token: Entra or the metadata service could not be reached: {text}.")
    if _last.status is not None and _last.status >= _SERVER_ERROR:
        return AzureUnavailable(f"No token: Entra or the metadata service failed: {text}.")
    if isinstance(error, CredentialUnavailableError) or not isinstance(error, AzureCoreError):
        return CredentialsNotFound(f"The operator has no Azure identity to use: {text}.")
    if isinstance(error, ClientAuthenticationError):
        return AuthenticationFailed(f"Entra refused the operator's identity: {text}.")
    return AzureUnavailable(f"No token: {text}.")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
