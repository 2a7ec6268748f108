"""One namespace requests polls of many watches by annotation. The watches of another are still polled."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from tests.functional.watch_groups import put_job, watch_name
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID
from tests.support.clock import OperatorClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi

LOUD, QUIET = "team-loud", "team-quiet"
MANY, FEW = 60, 5


class TwoTenants:
    """Two namespaces with the same Azure identity. Only one of them requests polls all the time."""

    def __init__(self, api: KubernetesApi, sim: AzureSimulator, clock: OperatorClock) -> None:
        self.api = api
        self.clock = clock
        self.loud, self.quiet = (
            sim.add_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, f"rsv-{name}") for name in (LOUD, QUIET)
        )
        self._requests = 0

    def create(self, namespace: str, vault: Vault, numbers: range, interval: str) -> None:
        """Create watches of running jobs."""
        for number in numbers:
            spec = {"jobResourceId": put_job(vault, number), "pollInterval": interval}
            self.api.create(spec, watch_name(number), namespace=namespace)

    def phases(self, namespace: str, numbers: range) -> set[str | None]:
        """Return the phases of watches."""
        bodies = (self.api.get(watch_name(number), namespace=namespace) for number in numbers)
        return {body["status"].get("phase") for body in bodies}

    async def request_polls(self) -> None:
        """Request a poll of each watch of the loud namespace, and advance the clock by ten seconds."""
        for number in range(MANY):
            self._requests += 1
            value = str(self._requests)
            self.api.annotate(watch_name(number), namespace=LOUD, reconcile_fluxcd_io__requestedAt=value)
        await self.clock.advance(10)


@contextlib.asynccontextmanager
async def two_tenants(api: KubernetesApi, sim: AzureSimulator, start: StartOperator) -> AsyncIterator[TwoTenants]:
    """Run an operator with watches of both namespaces, all Running."""
    async with start(azure_reads_per_second=1.0, azure_read_burst=10) as operator:
        clock = OperatorClock(operator)
        async with clock.frozen():
            tenants = TwoTenants(api, sim, clock)
            tenants.create(LOUD, tenants.loud, range(MANY), "5m")
            tenants.create(QUIET, tenants.quiet, range(FEW), "30s")
            tenants.create(QUIET, tenants.quiet, range(FEW, 2 * FEW), "5m")
            await clock.advance_until(
                lambda: tenants.phases(LOUD, range(MANY)) | tenants.phases(QUIET, range(2 * FEW)) == {"Running"},
                within=900,
                step=5,
            )
            yield tenants


async def test_polls_of_another_namespace(api: KubernetesApi, sim: AzureSimulator, start: StartOperator) -> None:
    """Requests get at most half of the budget, so the operator sees other jobs end within two intervals."""
    async with two_tenants(api, sim, start) as tenants:
        for _ in range(3):
            await tenants.request_polls()
        for number in range(FEW):
            put_job(tenants.quiet, number, "Completed")
        for _ in range(6):
            await tenants.request_polls()
        assert tenants.phases(QUIET, range(FEW)) == {"Succeeded"}
        handled = [
            api.get(watch_name(number), namespace=LOUD)["status"].get("lastHandledReconcileAt")
            for number in range(MANY)
        ]
        assert any(handled)


async def test_requests_of_another_namespace(api: KubernetesApi, sim: AzureSimulator, start: StartOperator) -> None:
    """Namespaces are served round-robin: a few requests do not queue behind hundreds of another namespace."""
    async with two_tenants(api, sim, start) as tenants:
        for _ in range(3):
            await tenants.request_polls()
        for number in range(FEW, 2 * FEW):
            api.annotate(watch_name(number), namespace=QUIET, reconcile_fluxcd_io__requestedAt="one")

        def handled() -> list[str | None]:
            bodies = (api.get(watch_name(number), namespace=QUIET) for number in range(FEW, 2 * FEW))
            return [body["status"].get("lastHandledReconcileAt") for body in bodies]

        async with asyncio.timeout(120):
            while handled() != ["one"] * FEW:
                await tenants.request_polls()
