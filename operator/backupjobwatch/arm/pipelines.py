"""Fresh OIDC tokens inside GitHub Actions and Azure Pipelines, for steps that outlive the token of their sign-in.

A job signs in once with an OIDC token that is valid for minutes. When the access token expires, Entra refuses the old
assertion with AADSTS700024. Both systems issue a new OIDC token on request, while the job runs.
"""

from __future__ import annotations

import os
import subprocess
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import AzurePipelinesCredential, ClientAssertionCredential, CredentialUnavailableError

from backupjobwatch.arm.responses import parse_json
from backupjobwatch.domain.jobs.payloads import mapping

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.credentials import AccessToken, TokenCredential

EXPIRED_ASSERTION: Final = "AADSTS700024"
"""Entra's code for an assertion that is not within its valid time range. ``az`` passes it on only as text."""
_AUDIENCES: Final = {
    "https://login.microsoftonline.us": "api://AzureADTokenExchangeUSGov",
    "https://login.chinacloudapi.cn": "api://AzureADTokenExchangeChina",
}
_AUDIENCE: Final = "api://AzureADTokenExchange"
_TIMEOUT: Final = 20.0
_MAX_BODY: Final = 64 * 1024


class RenewingCredential:
    """Uses one credential until its assertion has expired, and then the pipeline's fresh OIDC tokens."""

    def __init__(self, first: TokenCredential, make_fresh: Callable[[], TokenCredential | None]) -> None:
        self._first = first
        self._make_fresh = make_fresh
        self._fresh: TokenCredential | None = None

    def get_token(self, *scopes: str, claims: str | None = None, **options: Any) -> AccessToken:
        """Return a token, as the credentials of azure-identity do."""
        if self._fresh is None:
            try:
                return self._first.get_token(*scopes, claims=claims, **options)
            except ClientAuthenticationError as error:
                if EXPIRED_ASSERTION not in str(error):
                    raise
                self._fresh = self._make_fresh()
                if self._fresh is None:
                    raise
        return self._fresh.get_token(*scopes, claims=claims, **options)


def renewing(first: TokenCredential, options: dict[str, Any]) -> TokenCredential:
    """Return *first*, renewed in a pipeline that issues OIDC tokens. *options* are those of azure-identity."""
    return RenewingCredential(first, lambda: _fresh_credential(options)) if _is_pipeline() else first


def _is_pipeline() -> bool:
    return _has("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN") or _has(
        "SYSTEM_OIDCREQUESTURI", "SYSTEM_ACCESSTOKEN"
    )


def _fresh_credential(options: dict[str, Any]) -> TokenCredential | None:
    """Return a credential with a new OIDC token for each sign-in, or None if the identity is not known."""
    tenant_id, client_id = _application()
    if not (tenant_id and client_id):
        return None
    if _has("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"):
        audience = _AUDIENCES.get(str(options.get("authority")), _AUDIENCE)
        return ClientAssertionCredential(tenant_id, client_id, lambda: _github_token(audience), **options)
    connection = _first_of("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID", "AZURE_SERVICE_CONNECTION_ID")
    if not connection:
        return None
    return AzurePipelinesCredential(
        tenant_id=tenant_id,
        client_id=client_id,
        service_connection_id=connection,
        system_access_token=os.environ["SYSTEM_ACCESSTOKEN"],
        **options,
    )


def _application() -> tuple[str, str]:
    """Return the tenant ID and client ID to sign in with, from variables or from ``az login``."""
    tenant_id = _first_of("AZURE_TENANT_ID", "AZURESUBSCRIPTION_TENANT_ID")
    client_id = _first_of("AZURE_CLIENT_ID", "AZURESUBSCRIPTION_CLIENT_ID")
    if tenant_id and client_id:
        return tenant_id, client_id
    try:
        command = ["az", "account", "show", "--output", "json"]
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return "", ""
    account = mapping(parse_json(done.stdout))
    user = mapping(account.get("user"))
    if user.get("type") != "servicePrincipal":
        return "", ""
    return str(account.get("tenantId") or ""), str(user.get("name") or "")


def _github_token(audience: str) -> str:
    """Request an OIDC token from GitHub.

    https://docs.github.com/actions/reference/security/oidc
    """
    url, token = os.environ["ACTIONS_ID_TOKEN_REQUEST_URL"], os.environ["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
    if urlsplit(url).scheme != "https" and urlsplit(url).hostname != "127.0.0.1":
        raise CredentialUnavailableError(message="ACTIONS_ID_TOKEN_REQUEST_URL is not an https URL")
    try:
        with requests.get(
            f"{url}{'&' if '?' in url else '?'}audience={quote(audience, safe='')}",
            auth=_Bearer(token),
            timeout=_TIMEOUT,
            allow_redirects=False,
            stream=True,
        ) as response:
            body = response.raw.read(_MAX_BODY, decode_content=True)
    except (requests.RequestException, OSError) as error:
        raise ClientAuthenticationError(message="GitHub could not be reached for a new OIDC token") from error
    value = mapping(parse_json(body)).get("value")
    if response.status_code != HTTPStatus.OK or not isinstance(value, str):
        raise ClientAuthenticationError(message=f"GitHub issued no new OIDC token (HTTP {response.status_code})")
    return value


class _Bearer(requests.auth.AuthBase):
    """Sets the token. As an ``auth`` object, so that a .netrc does not replace it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _has(*names: str) -> bool:
    return all(os.environ.get(name) for name in names)


def _first_of(*names: str) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")
