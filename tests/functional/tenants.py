"""Namespaces with their own Azure identities: their objects in the cluster and applications in Entra."""

from __future__ import annotations

import contextlib
import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from demo.simulator.tokens import TENANT_ID
from tests.support.canary import WORD
from tests.support.identities import new_certificate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from demo.simulator import AzureSimulator, EntraSimulator
    from demo.simulator.applications import Application
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi
    from tests.support.operator import Operator

ACCOUNT: Final = "backup-reader"
SECRET: Final = "backup-credential"
CLIENT_SECRET: Final = f"client-secret-{WORD}"
"""The prefix of every client secret."""

_numbers = itertools.count(1)
certificate = functools.cache(new_certificate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One namespace and its application in Entra."""

    namespace: str
    client_id: str
    api: KubernetesApi
    entra: EntraSimulator

    @property
    def application(self) -> Application:
        return self.entra.add_application(self.client_id)

    @property
    def subject(self) -> str:
        return f"system:serviceaccount:{self.namespace}:{ACCOUNT}"

    def annotate(self, **annotations: str) -> None:
        """Create or update the ServiceAccount. *annotations* override the correct values; an empty one is omitted."""
        right = {"client_id": self.client_id, "tenant_id": TENANT_ID}
        named = {name: value for name, value in {**right, **annotations}.items() if value}
        self.api.identities.put_service_account(ACCOUNT, namespace=self.namespace, **named)

    def trust(self) -> None:
        """Let the ServiceAccount sign in as the application, by a federated credential."""
        self.application.add_federated_credential(issuer=self.api.identities.issuer.url, subject=self.subject)

    def put_secret(self, labels: Mapping[str, str] | None = None, **data: str) -> None:
        """Create or update the Secret. Keys with an empty value are omitted."""
        right = {"AZURE_TENANT_ID": TENANT_ID, "AZURE_CLIENT_ID": self.client_id}
        named = {name: value for name, value in {**right, **data}.items() if value}
        self.api.identities.put_secret(SECRET, named, namespace=self.namespace, labels=labels)

    def put_client_secret(self, text: str = f"{CLIENT_SECRET}-1", *, known: bool = True) -> None:
        """Store a client secret in the Secret, and add it to the application in Entra if it is *known*."""
        self.put_secret(AZURE_CLIENT_SECRET=text)
        if known:
            self.application.add_secret(text)

    def watch(self, job_id: str, kind: str = "serviceAccountName", name: str = "nightly", **spec: Any) -> None:
        """Create a watch that uses one of the namespace's identities."""
        identity = {kind: ACCOUNT if kind == "serviceAccountName" else SECRET}
        spec = {"jobResourceId": job_id, "pollInterval": "10s", "identity": identity, **spec}
        self.api.create(spec, name, namespace=self.namespace)

    def reads(self) -> int:
        """Count the operator's reads of ServiceAccounts and Secrets."""
        return len(self.api.traffic.matching(f"^GET .*/{self.namespace}/(serviceaccounts|secrets)/"))


class Tenants:
    """The namespaces of a test, and the operator that serves them."""

    def __init__(self, api: KubernetesApi, sim: AzureSimulator, entra: EntraSimulator, start: StartOperator) -> None:
        self.api = api
        self.sim = sim
        self.entra = entra
        self._start = start
        self.options: dict[str, Any] = {}
        entra.trust_issuer(api.identities.issuer.url, api.identities.issuer.public_pem)

    def add(self, namespace: str = "team-a") -> Tenant:
        """Add a namespace with an annotated ServiceAccount that may sign in."""
        client_id = f"c11e0000-5e1f-4000-8000-{next(_numbers):012}"
        tenant = Tenant(namespace=namespace, client_id=client_id, api=self.api, entra=self.entra)
        tenant.trust()
        tenant.annotate()
        return tenant

    @contextlib.asynccontextmanager
    async def operator(self, **options: Any) -> AsyncIterator[Operator]:
        """Run an operator that signs in to this Entra and shares its own identity with no namespace."""
        values = {"operator_identity_namespaces": "", **self.options, **options}
        async with self._start(**values) as operator:
            yield operator
