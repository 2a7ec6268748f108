"""Token sources for Azure Resource Manager, based on azure-identity."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from azure.identity import (
    AzureCliCredential,
    EnvironmentCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

from backupjobwatch.arm.pipelines import renewing
from backupjobwatch.arm.token_answers import (
    forget_answer,
    kind_of,
    note_entra_answer,
    note_metadata_answer,
    retry_after,
)
from backupjobwatch.clouds import CLOUDS
from backupjobwatch.errors import AzureError

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.credentials import AccessToken, TokenCredential

    from backupjobwatch.settings import Settings

_log = logging.getLogger(__name__)

_response_numbers = itertools.count(1)
_OPERATOR: Final = "the operator's identity"
_PERSON: Final = "you (`az login`, or the variables of a service principal)"
_SPARE: Final = 300
"""Seconds for which a cached token must still be valid. azure-identity's own cache uses the same margin."""
_KEPT: Final = 5.0
"""Seconds for which a failure is cached for all requests for the token. Shorter than any ``pollInterval``."""
_KNOWN_AUTHORITIES: Final = frozenset(cloud.authority for cloud in CLOUDS.values())


class TokenSource(Protocol):
    """A source of tokens for one identity."""

    owner: Literal["operator", "namespace"]
    """Whether the identity is the operator's or a namespace's."""

    def get(self, *, claims: str | None = None, renewed: bool = False) -> str:
        """Return a token that is valid for at least a few minutes. May block. Raises AzureError.

        *renewed* requests a token that was not returned before. *claims* is a challenge that it must meet.
        """
        ...


class StaticToken:
    """A fixed token, for development."""

    owner: Literal["operator", "namespace"] = "operator"

    def __init__(self, token: str) -> None:
        self._token = token

    def get(self, *, claims: str | None = None, renewed: bool = False) -> str:
        """Return the token."""
        del claims, renewed
        return self._token


class IdentityTokenSource:
    """Tokens of one identity, from azure-identity and its cache. At most one token request is in flight."""

    def __init__(
        self,
        settings: Settings,
        whose: str,
        make: Callable[..., TokenCredential],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """*whose* names the identity in messages. *make* creates its credential with azure-identity's options."""
        self._scope = settings.azure_scope
        self._options = _options(settings)
        self._whose = whose
        self.owner: Literal["operator", "namespace"] = "operator" if whose == _OPERATOR else "namespace"
        self._make = make
        self._clock = clock
        self._lock = threading.Lock()
        self._last = threading.local()
        self._credential: TokenCredential | None = None
        self._renewed: tuple[str | None, float] | None = None
        """The claims and the time of the last renewal."""
        self._failure: AzureError | None = None
        self._kept_until = 0.0

    def get(self, *, claims: str | None = None, renewed: bool = False) -> str:
        """Return a token from azure-identity's cache, or from Entra."""
        forget_answer()
        handed_out = getattr(self._last, "handed_out", self._clock())
        with self._lock:
            if self._failure is not None and self._clock() < self._kept_until:
                raise self._failure.repeat()
            if renewed and self._renewed is not None and self._renewed[0] == claims and self._renewed[1] >= handed_out:
                claims, renewed = None, False  # another thread has renewed it since this one got the refused token
            try:
                credential = self._current(renewed=renewed and not claims)
                token = str(credential.get_token(self._scope, claims=claims).token)
            except Exception as error:  # azure-identity raises more than the two it documents
                failure = error if isinstance(error, AzureError) else kind_of(error, self._whose)
                self._keep(failure)
                if failure is error:
                    raise
                raise failure from error
            if renewed:
                self._renewed = (claims, self._clock())
            self._last.handed_out = self._clock()
            return token

    def _current(self, *, renewed: bool) -> TokenCredential:
        if self._credential is None or renewed:  # a new credential has an empty cache
            self._credential = self._make(**self._options)
        return self._credential

    def _keep(self, failure: AzureError) -> None:
        """Cache *failure* for ``_KEPT`` seconds, or for Entra's Retry-After if that is longer."""
        # Drop MSAL's cache: it would repeat the failed response for up to a minute, without its HTTP status.
        self._credential = None
        wait = retry_after()
        failure.response_number = next(_response_numbers)
        self._failure = failure.repeat()  # without the traceback
        self._kept_until = self._clock() + max(_KEPT, wait.total_seconds() if wait else 0.0)
        _log.warning("%s", failure, extra={"reason": failure.reason})


def operator_tokens(settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> TokenSource:
    """Return the token source of the operator's own identity."""
    static = settings.development_token.get_secret_value()
    return StaticToken(static) if static else IdentityTokenSource(settings, _OPERATOR, _of_environment, clock=clock)


def personal_tokens(settings: Settings) -> TokenSource:
    """Return the token source of a command: the operator's variables if they are set, else ``az login``."""
    static = settings.development_token.get_secret_value()
    return StaticToken(static) if static else IdentityTokenSource(settings, _PERSON, _of_person)


def _options(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "authority": settings.azure_authority,
        "connection_timeout": settings.azure_connect_timeout.total_seconds(),
        "read_timeout": settings.azure_read_timeout.total_seconds(),
        "retry_total": 0,
        "use_env_settings": False,
        "raw_request_hook": forget_answer,
        "raw_response_hook": note_entra_answer,
    }
    if settings.azure_authority not in _KNOWN_AUTHORITIES:
        # Instance discovery uses the public cloud, which an air-gapped cloud cannot reach.
        options["disable_instance_discovery"] = True
    if ca_file := settings.azure_authority_ca_file or settings.azure_ca_file:
        options["connection_verify"] = ca_file
    if settings.proxies:
        options["proxies"] = settings.proxies
    return options


def _of_environment(**options: Any) -> TokenCredential:
    """Create the credential that the environment variables select.

    There is no fallback: in a chain of credentials, a later failure would hide the first one.
    """
    if _has_federated_token():
        return WorkloadIdentityCredential(**options)
    if _has_service_principal():
        return EnvironmentCredential(**options)
    # The machine's metadata service speaks plain HTTP, without an authority or a proxy.
    for name in ("authority", "disable_instance_discovery", "connection_verify", "proxies"):
        options.pop(name, None)
    options["raw_response_hook"] = note_metadata_answer
    return ManagedIdentityCredential(client_id=os.environ.get("AZURE_CLIENT_ID"), **options)


def _of_person(**options: Any) -> TokenCredential:
    """Create the credential of a user or a pipeline, without waiting for a metadata service."""
    if _has_service_principal() and not _has_federated_token():
        return _of_environment(**options)
    return renewing(_of_environment(**options) if _has_federated_token() else _SignedIn(), options)


class _SignedIn:
    """Caches the tokens of ``az login``, because azure-identity starts ``az`` for each call."""

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
