"""Credentials of watches: the operator's own, or one of an identity in the watch's namespace.

A watch cannot name an object of another namespace. The cache is keyed by namespace and identity. A credential is dropped
when its ServiceAccount or Secret changes, or when Azure refuses it.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from azure.identity import CertificateCredential, ClientAssertionCredential, ClientSecretCredential

from backupjobwatch.arm.credentials import IdentityTokenSource, operator_tokens
from backupjobwatch.constants import GROUP
from backupjobwatch.errors import (
    AzureError,
    CredentialsNotFound,
    CredentialsUnavailable,
    Forbidden,
    IdentityNotAllowed,
    KubeError,
    ObjectNotFound,
)
from backupjobwatch.kube.client import secret_data
from backupjobwatch.settings import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from azure.core.credentials import TokenCredential

    from backupjobwatch.arm.credentials import TokenSource
    from backupjobwatch.domain.api.target import Identity
    from backupjobwatch.kube.client import KubeClient
    from backupjobwatch.observability.metrics.instruments import Metrics
    from backupjobwatch.settings import Settings

AUDIENCE: Final = "api://AzureADTokenExchange"
"""The audience that Entra requires of a federated token."""
CLIENT_ID: Final = "azure.workload.identity/client-id"
TENANT_ID: Final = "azure.workload.identity/tenant-id"
"""Annotations of a ServiceAccount: https://azure.github.io/azure-workload-identity/docs/topics/service-account-labels-and-annotations.html"""
CREDENTIAL_LABEL: Final = f"{GROUP}/credential"
"""Required label of Secrets. Without it, users who may write watches could use any Secret of the namespace."""
IDLE: Final = 3600.0
"""Seconds after which an unused identity is dropped from the cache."""
RECHECK: Final = 30.0
"""Seconds for which a cached identity is used before its object is read again."""

_TOKEN_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """An identity with its tokens. A result read with one identity never reaches a watch with another."""

    key: str
    """Unique to the identity and the version of its credentials."""
    tokens: TokenSource = field(compare=False)


def principal_of(namespace: str, identity: Identity, settings: Settings) -> str:
    """Return the principal behind *identity*, which Azure throttles: the operator, or an identity of one namespace."""
    is_operators = identity.is_operators and settings.allows_operator_identity(namespace)
    return "operator" if is_operators else f"{namespace}/{identity}"


class CredentialProvider(Protocol):
    """A source of credentials."""

    async def find(self, namespace: str, identity: Identity) -> Credential:
        """Return the credential of *identity* in *namespace*. Raises AzureError if there is none."""
        ...

    def drop(self, namespace: str, identity: Identity) -> None:
        """Reread a failing identity at its next use."""
        ...

    def close(self) -> None:
        """Cancel all lookups."""
        ...


@dataclass(slots=True)
class _Cached:
    credential: Credential
    checked: float


class ClusterCredentialProvider:
    """Finds the credentials of watches in the cluster."""

    def __init__(self, settings: Settings, kube: KubeClient, metrics: Metrics) -> None:
        self._metrics = metrics
        self._clock = asyncio.get_running_loop().time
        self._settings = settings
        self._kube = kube
        self._operators = Credential(key="operator", tokens=operator_tokens(settings, clock=self._clock))
        self._cache: dict[tuple[str, Identity], _Cached] = {}
        self._lookups: dict[tuple[str, Identity], asyncio.Task[Credential]] = {}
        self._token_requests: set[Future[str]] = set()
        """Requests for ServiceAccount tokens. A thread waits for each."""

    async def find(self, namespace: str, identity: Identity) -> Credential:
        """Return the credential of *identity* in *namespace*. Raises AzureError if there is none."""
        try:
            return await self._find(namespace, identity)
        except AzureError as error:
            self._metrics.observe_token_failure("operator" if identity.is_operators else "namespace", error.reason)
            raise

    async def _find(self, namespace: str, identity: Identity) -> Credential:
        if identity.is_operators:
            if not self._settings.allows_operator_identity(namespace):
                raise IdentityNotAllowed(
                    f"Namespace {namespace} may not use the operator's Azure identity. Ask an administrator to add it to "
                    f"{PREFIX}OPERATOR_IDENTITY_NAMESPACES, or set spec.identity."
                )
            return self._operators
        key = (namespace, identity)
        cached = self._cache.get(key)
        now = self._clock()
        if cached is not None and now - cached.checked < RECHECK:
            return cached.credential
        if key not in self._lookups:  # a separate task, which outlives the first request
            self._lookups[key] = asyncio.create_task(self._look_up(namespace, identity))
        lookup = self._lookups[key]
        try:
            return await asyncio.shield(lookup)
        except asyncio.CancelledError:
            # When kopf restarts, it cancels tasks that it does not know. The caller is older, and continues.
            if not lookup.cancelled() or _is_cancelled():
                raise
            raise CredentialsUnavailable("The operator interrupted the lookup of the identity.") from None

    async def _look_up(self, namespace: str, identity: Identity) -> Credential:
        key = (namespace, identity)
        try:
            source = await self._read(namespace, identity)
            cached, now = self._cache.get(key), self._clock()
            metadata = source.get("metadata") or {}
            version = f"{namespace}/{identity}/{metadata.get('uid')}/{metadata.get('resourceVersion')}"
            if cached is None or cached.credential.key != version:
                credential = Credential(key=version, tokens=self._tokens(namespace, identity, source))
                self._cache = {known: each for known, each in self._cache.items() if now - each.checked < IDLE}
                cached = self._cache[key] = _Cached(credential, now)
            cached.checked = now
            return cached.credential
        finally:  # not in a callback, which runs later: the next request would join a finished task
            del self._lookups[key]

    def close(self) -> None:
        """Cancel all lookups of identities and tokens, because no caller waits for them."""
        for lookup in self._lookups.values():
            lookup.cancel()
        for token_request in tuple(self._token_requests):
            token_request.cancel()

    def drop(self, namespace: str, identity: Identity) -> None:
        """Reread a failing identity at its next use, so that a fix takes effect."""
        if cached := self._cache.get((namespace, identity)):
            cached.checked = self._clock() - RECHECK

    async def _read(self, namespace: str, identity: Identity) -> dict[str, Any]:
        if identity.secret_name is not None:
            what, read = f"Secret {namespace}/{identity.secret_name}", self._kube.read_secret
        else:
            what, read = f"ServiceAccount {namespace}/{identity.service_account_name}", self._kube.read_service_account
        name = identity.secret_name or identity.service_account_name or ""
        try:
            return await read(namespace, name)
        except ObjectNotFound:
            raise CredentialsNotFound(f"{what} does not exist. Create it, or correct spec.identity.") from None
        except Forbidden:
            raise IdentityNotAllowed(
                f"The operator is not allowed to use {what}. Add the Role of manifests/components/identity."
            ) from None
        except KubeError as error:
            raise CredentialsUnavailable(f"The API server did not return {what}.") from error

    def _tokens(self, namespace: str, identity: Identity, source: Mapping[str, Any]) -> TokenSource:
        """Return the tokens of a ServiceAccount, whose own token Entra exchanges, or of a service principal in a Secret."""
        metadata = source.get("metadata") or {}
        make: Callable[..., TokenCredential]
        if identity.service_account_name is not None:
            whose = f"ServiceAccount {namespace}/{identity.service_account_name}"
            annotations = metadata.get("annotations") or {}
            tenant_id = _required(annotations, TENANT_ID, f"{whose} has no annotation")
            client_id = _required(annotations, CLIENT_ID, f"{whose} has no annotation")
            assertion = self._assertion(namespace, identity.service_account_name)
            make = partial(ClientAssertionCredential, tenant_id, client_id, assertion)
            return IdentityTokenSource(self._settings, whose, make, clock=self._clock)
        whose = f"Secret {namespace}/{identity.secret_name}"
        if (metadata.get("labels") or {}).get(CREDENTIAL_LABEL) != "true":
            raise CredentialsNotFound(f'{whose} has no label {CREDENTIAL_LABEL}: "true". Add it to allow its use.')
        data = {name: value.decode(errors="replace") for name, value in secret_data(source).items()}
        tenant_id = _required(data, "AZURE_TENANT_ID", f"{whose} has no key")
        client_id = _required(data, "AZURE_CLIENT_ID", f"{whose} has no key")
        if certificate := data.get("AZURE_CLIENT_CERTIFICATE"):  # PEM with the private key
            make = partial(CertificateCredential, tenant_id, client_id, certificate_data=certificate.encode())
        else:
            secret = _required(data, "AZURE_CLIENT_SECRET", f"{whose} has neither AZURE_CLIENT_CERTIFICATE nor")
            make = partial(ClientSecretCredential, tenant_id, client_id, secret)
        return IdentityTokenSource(self._settings, whose, make, clock=self._clock)

    def _assertion(self, namespace: str, service_account: str) -> Callable[[], str]:
        """Return a function that requests a token of the ServiceAccount. azure-identity calls it in a thread."""
        loop = asyncio.get_running_loop()

        def get() -> str:
            request = self._kube.request_token(namespace, service_account, audience=AUDIENCE)
            token_request = asyncio.run_coroutine_threadsafe(request, loop)
            self._token_requests.add(token_request)
            try:
                return token_request.result(_TOKEN_TIMEOUT)
            except Forbidden:
                raise IdentityNotAllowed(
                    f"The operator is not allowed to create tokens of ServiceAccount {namespace}/{service_account}. "
                    "Add the Role of manifests/components/identity."
                ) from None
            except ObjectNotFound:
                raise CredentialsNotFound(
                    f"ServiceAccount {namespace}/{service_account} does not exist. Create it, or correct spec.identity."
                ) from None
            except (KubeError, TimeoutError, CancelledError) as error:
                raise CredentialsUnavailable(
                    f"The API server did not return a token for ServiceAccount {namespace}/{service_account}."
                ) from error
            finally:
                token_request.cancel()
                self._token_requests.discard(token_request)

        return get


def _is_cancelled() -> bool:
    """Return whether the current task is being cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _required(values: Mapping[str, str], name: str, complaint: str) -> str:
    value = values.get(name, "").strip()
    if not value:
        raise CredentialsNotFound(f"{complaint} {name}.")
    return value
