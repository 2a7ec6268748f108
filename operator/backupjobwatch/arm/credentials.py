"""Tokens for Azure Resource Manager, by azure-identity."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from azure.core.exceptions import (
    AzureError as AzureCoreError,
)
from azure.core.exceptions import (
    ClientAuthenticationError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity import (
    AzureCliCredential,
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    CredentialUnavailableError,
    EnvironmentCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

from backupjobwatch.core.texts import clean
from backupjobwatch.errors import AuthenticationFailed, AzureError, AzureUnavailable, CredentialsNotFound
from backupjobwatch.settings import CLOUDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azure.core.credentials import AccessToken, TokenCredential
    from azure.core.pipeline import PipelineRequest, PipelineResponse

    from backupjobwatch.settings import Settings

_log = logging.getLogger(__name__)

_EXCERPT: Final = 400
_OPERATOR: Final = "the operator's identity"
_PERSON: Final = "you (`az login`, or the variables of a service principal)"
_SPARE: Final = 300
"""Seconds that a token which is handed out must be good for yet, as azure-identity has it for its own cache."""
_SERVER_ERROR: Final = 500
_TOO_MANY: Final = 429
_KNOWN_AUTHORITIES: Final = frozenset(cloud.authority for cloud in CLOUDS.values())


class _Last(threading.local):
    status: int | None = None
    """HTTP status of the last answer to azure-identity in this thread."""


_last = _Last()


@contextlib.contextmanager
def noting_status() -> Iterator[Callable[[], int | None]]:
    """Yield what tells the HTTP status of the last answer to azure-identity within; None for no answer."""
    _last.status = None
    yield lambda: _last.status


class Tokens(Protocol):
    """Where tokens come from."""

    owner: Literal["operator", "namespace"]
    """Whose identity it is."""

    def get(self, *, claims: str | None = None, renewed: bool = False) -> str:
        """Return a token that is good for some minutes at least; may block, and raises AzureError.

        *renewed* asks for one that was not handed out before; *claims* is a challenge that the new one must meet.
        """
        ...


class StaticToken:
    """A token that is what it is, for development."""

    owner: Literal["operator", "namespace"] = "operator"

    def __init__(self, token: str) -> None:
        self._token = token

    def get(self, *, claims: str | None = None, renewed: bool = False) -> str:
        """Return the token."""
        del claims, renewed
        return self._token


class IdentityTokens:
    """Tokens of one identity, made by azure-identity and kept in its cache."""

    def __init__(self, settings: Settings, whose: str, make: Callable[[dict[str, Any]], TokenCredential]) -> None:
        """*whose* names the identity in messages; *make* makes its credential from azure-identity's options."""
        self._scope = settings.azure_scope
        self._options = _options(settings)
        self._whose = whose
        self.owner: Literal["operator", "namespace"] = "operator" if whose == _OPERATOR else "namespace"
        self._make = make
        self._lock = threading.Lock()
        self._credential: TokenCredential | None = None

    def get(self, *, claims: str | None = None, renewed: bool = False) -> str:
        """Return a token from azure-identity's cache, or from Entra."""
        _last.status = None
        try:
            credential = self._current(renewed=renewed and not claims)
            return str(credential.get_token(self._scope, claims=claims).token)
        except AzureError:
            raise
        except Exception as error:  # azure-identity documents two, and lets others through
            kind = _kind_of(error, self._whose)
            if isinstance(kind, AzureUnavailable):
                # MSAL would repeat the failed answer for a while, without its HTTP status.
                with self._lock:
                    self._credential = None
            _log.warning("%s", kind, extra={"reason": kind.reason})
            raise kind from error

    def _current(self, *, renewed: bool) -> TokenCredential:
        with self._lock:
            if self._credential is None or renewed:  # its cache goes with it
                self._credential = self._make(dict(self._options))
            return self._credential


def operator_tokens(settings: Settings) -> Tokens:
    """Return where the operator's own tokens come from."""
    static = settings.development_token.get_secret_value()
    return StaticToken(static) if static else IdentityTokens(settings, _OPERATOR, _of_environment)


def personal_tokens(settings: Settings) -> Tokens:
    """Return where the tokens of whoever runs a command come from: as the operator's, but of ``az login`` last."""
    static = settings.development_token.get_secret_value()
    return StaticToken(static) if static else IdentityTokens(settings, _PERSON, _of_person)


def federated_tokens(
    settings: Settings, whose: str, *, tenant_id: str, client_id: str, assertion: Callable[[], str]
) -> Tokens:
    """Return the tokens that a token of Kubernetes' (*assertion*, which may block) is exchanged for."""
    return IdentityTokens(
        settings, whose, lambda options: ClientAssertionCredential(tenant_id, client_id, assertion, **options)
    )


def secret_tokens(settings: Settings, whose: str, *, tenant_id: str, client_id: str, client_secret: str) -> Tokens:
    """Return the tokens of a service principal that has a client secret."""
    return IdentityTokens(
        settings, whose, lambda options: ClientSecretCredential(tenant_id, client_id, client_secret, **options)
    )


def certificate_tokens(settings: Settings, whose: str, *, tenant_id: str, client_id: str, certificate: bytes) -> Tokens:
    """Return the tokens of a service principal that has a certificate: PEM, with the private key."""
    return IdentityTokens(
        settings,
        whose,
        lambda options: CertificateCredential(tenant_id, client_id, certificate_data=certificate, **options),
    )


def _options(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "authority": settings.azure_authority,
        "connection_timeout": settings.azure_connect_timeout.total_seconds(),
        "read_timeout": settings.azure_read_timeout.total_seconds(),
        "retry_total": 0,
        "use_env_settings": False,
        "raw_request_hook": _forget_status,
        "raw_response_hook": _note_status,
    }
    if settings.azure_authority not in _KNOWN_AUTHORITIES:
        # It would be looked up at the public cloud's, which an air-gapped one does not reach.
        options["disable_instance_discovery"] = True
    if settings.azure_authority_ca_file:
        options["connection_verify"] = settings.azure_authority_ca_file
    if settings.proxies:
        options["proxies"] = settings.proxies
    return options


def _of_environment(options: dict[str, Any]) -> TokenCredential:
    """Make the credential that the environment says.

    Exactly one is tried: in a chain, the failure of one would hide behind the next.
    """
    if _has_federated_token():
        return WorkloadIdentityCredential(**options)
    if _has_service_principal():
        return EnvironmentCredential(**options)
    # It comes from the machine's own metadata service, by plain http: neither authority nor proxy has business there.
    for name in ("authority", "disable_instance_discovery", "connection_verify", "proxies"):
        options.pop(name, None)
    return ManagedIdentityCredential(client_id=os.environ.get("AZURE_CLIENT_ID"), **options)


def _of_person(options: dict[str, Any]) -> TokenCredential:
    """Make the credential of a person or a pipeline: no metadata service is waited for where there is none."""
    return _of_environment(options) if _has_federated_token() or _has_service_principal() else _SignedIn()


class _SignedIn:
    """``az login``'s tokens, each kept for as long as it is good: azure-identity starts ``az`` for every one."""

    def __init__(self) -> None:
        self._credential = AzureCliCredential(process_timeout=30)
        self._lock = threading.Lock()
        self._token: AccessToken | None = None

    def get_token(self, *scopes: str, claims: str | None = None, **options: Any) -> AccessToken:
        """Return a token, as azure-identity's credentials do."""
        with self._lock:
            if claims is not None or self._token is None or self._token.expires_on - time.time() < _SPARE:
                self._token = self._credential.get_token(*scopes, claims=claims, **options)
            return self._token


def _has_federated_token() -> bool:
    return bool(os.environ.get("AZURE_FEDERATED_TOKEN_FILE"))


def _has_service_principal() -> bool:
    return bool(os.environ.get("AZURE_CLIENT_SECRET") or os.environ.get("AZURE_CLIENT_CERTIFICATE_PATH"))


def _forget_status(_: PipelineRequest[Any]) -> None:
    """Forget the answer before: of several requests for one token, the last counts, answered or not."""
    _last.status = None


def _note_status(response: PipelineResponse[Any, Any]) -> None:
    """Note the HTTP status of an answer, which azure-identity keeps to itself."""
    _last.status = response.http_response.status_code


def _kind_of(error: Exception, whose: str) -> AzureError:
    text = clean(str(error).split("\n", 1)[0], _EXCERPT).rstrip(".")
    if any(isinstance(cause, (ServiceRequestError, ServiceResponseError)) for cause in _causes(error)):
        return AzureUnavailable(f"No token: Entra or the metadata service could not be reached: {text}.")
    if _last.status is not None and (_last.status >= _SERVER_ERROR or _last.status == _TOO_MANY):
        return AzureUnavailable(f"No token: Entra or the metadata service failed: {text}.")
    if isinstance(error, CredentialUnavailableError) or not isinstance(error, AzureCoreError):
        return CredentialsNotFound(f"There are no credentials for {whose}: {text}.")
    if isinstance(error, ClientAuthenticationError):
        return AuthenticationFailed(f"Entra refused {whose}: {text}.")
    return AzureUnavailable(f"No token: {text}.")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
