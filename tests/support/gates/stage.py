"""A cluster, Azure, Entra and the whole operator, which bring watches to their states."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from backupjobwatch.settings import Settings
from demo.simulator import AzureSimulator, EntraSimulator, ManualClock
from demo.simulator.tokens import TENANT_ID
from tests.support.azure import RESOURCE_GROUP, VAULT, payload
from tests.support.idleness import until_idle
from tests.support.kubernetes import KubernetesApi
from tests.support.operator import running_operator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from demo.simulator import Fault
    from tests.support.operator import Operator

NAMESPACE: Final = "team-a"
"""A namespace whose watches may use the operator's own identity."""
ON_DEMAND: Final = ("on-demand-1", "on-demand-2", "on-demand-3", "on-demand-4")
"""More of these. Watches in each may request one backup per hour."""
ACCOUNT: Final = "backup-reader"
_NAMES: Final = uuid.UUID("6d1f2a3b-4c5d-4e6f-8a7b-9c0d1e2f3a4b")
_WITHIN: Final = 120.0
"""Seconds. A scene waits at most twice, which is less than the time limit of a test."""


class Watch:
    """A watch in its own subscription, whose name determines all other names."""

    def __init__(self, name: str, api: KubernetesApi, sim: AzureSimulator, entra: EntraSimulator) -> None:
        self.name = name
        self.namespace = NAMESPACE
        self.api = api
        self.sim = sim
        self.subscription = self.guid("subscription")
        self.job = self.guid("job")
        self.operation = self.guid("operation")
        self.vault = sim.add_vault(self.subscription, RESOURCE_GROUP, VAULT)
        self.in_vault = {"subscriptionId": self.subscription, "resourceGroup": RESOURCE_GROUP, "name": VAULT}
        self._entra = entra

    def guid(self, what: str) -> str:
        """Return a GUID for this watch that is the same in every run."""
        return str(uuid.uuid5(_NAMES, f"{self.name} {what}"))

    def show(self, example: str, **properties: Any) -> None:
        """Let Azure return the job of a recorded example, with other *properties*."""
        recorded = payload(example)["properties"]
        self.vault.set_job(self.job, {"properties": {**recorded, **properties}})

    def trouble(self, fault: Fault, path: str = "") -> None:
        """Apply *fault* to every request for this watch whose path matches."""
        self.sim.faults.add(fault, path=f"{self.subscription}.*{path}", times=None)

    def create(self, *, name: str = "", checked: bool = True, **spec: Any) -> None:
        """Apply the watch, with its own job unless the spec has another source."""
        source = {} if {"jobName", "operationId", "latest", "onDemand"} & spec.keys() else self.source
        fields = {"pollInterval": "10s", **source, **spec}
        self.api.create(fields, name or self.name, namespace=self.namespace, checked=checked)

    @property
    def source(self) -> dict[str, str]:
        """The field that selects the watch's job."""
        return {"jobResourceId": self.vault.job_id(self.job)}

    def edit(self, **spec: Any) -> None:
        """Change fields of the spec."""
        self.api.edit(self.name, namespace=self.namespace, **spec)

    def restore(self, **status: Any) -> None:
        """Recreate the object with its status, like a cluster restore. The operator has no state for it."""
        body = self.api.get(self.name, namespace=self.namespace)
        self.api.delete(self.name, namespace=self.namespace)
        self.api.plant({**body, "status": {**body["status"], **status}})

    async def until(self, phase: str, reason: str, generation: int = 1) -> dict[str, Any]:
        """Wait for a state, and return the object."""
        expected = {"phase": phase, "reason": reason, "observedGeneration": generation}

        def find() -> dict[str, Any] | None:
            body = self.api.get(self.name, namespace=self.namespace)
            return body if expected.items() <= body.get("status", {}).items() else None

        try:
            return await self.api.until(find, within=_WITHIN)
        except AssertionError:
            status = self.api.get(self.name, namespace=self.namespace).get("status")
            raise AssertionError(f"{self.name} did not come to {expected}: {status}") from None

    def own_identity(self) -> None:
        """Move to a separate namespace with a ServiceAccount that can sign in."""
        self.namespace = f"tenant-{self.name}"
        application = self._entra.add_application(self.guid("client"))
        identities = self.api.identities
        identities.put_service_account(
            ACCOUNT, namespace=self.namespace, client_id=self.guid("client"), tenant_id=TENANT_ID
        )
        application.add_federated_credential(
            issuer=identities.issuer.url, subject=f"system:serviceaccount:{self.namespace}:{ACCOUNT}"
        )


class Stage:
    """All watches of a run."""

    def __init__(self, api: KubernetesApi, sim: AzureSimulator, entra: EntraSimulator) -> None:
        self.api = api
        self._sim = sim
        self._entra = entra

    def watch(self, name: str) -> Watch:
        """Return a watch that is not applied yet."""
        return Watch(name, self.api, self._sim, self._entra)


@contextlib.asynccontextmanager
async def open_stage() -> AsyncIterator[Stage]:
    """Run everything until the block ends, with the operator's time up to 80 times as fast."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            KubernetesApi(Path(os.environ["KUBECONFIG"])) as api,
            AzureSimulator(clock=ManualClock()) as sim,
            EntraSimulator(tokens=sim.tokens) as entra,
        ):
            entra.trust_issuer(api.identities.issuer.url, api.identities.issuer.public_pem)
            authority = Path(folder) / "entra.pem"
            authority.write_text(entra.ca_pem, encoding="utf-8")
            settings = Settings(
                azure_endpoint=sim.url,
                azure_authority=entra.url,
                azure_authority_ca_file=str(authority),
                development=True,
                development_token=SecretStr("demo-token"),
                operator_identity_namespaces=(NAMESPACE, *ON_DEMAND),
                on_demand_namespaces=ON_DEMAND,
                on_demand_requests_per_hour=1,
                probe_port=0,
                metrics_port=0,
            )
            async with running_operator(settings) as operator:
                await api.until(lambda: api.watched)
                passing = asyncio.create_task(_pass_time(operator))
                try:
                    yield Stage(api, sim, entra)
                finally:
                    passing.cancel()


async def _pass_time(operator: Operator) -> None:
    """Advance the operator's time by 10 s whenever it is idle, because a busy machine would be too slow otherwise."""
    while True:
        await until_idle(operator._loop)
        operator.advance(10)
        await asyncio.sleep(0.1)
