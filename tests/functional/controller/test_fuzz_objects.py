"""Objects that bypassed validation, by an older CRD or by hand, affect at most their own watch."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, given, settings

from backupjobwatch.app import Runtime
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.settings import Settings
from demo.simulator import AzureSimulator
from tests.functional.bad_objects import bodies
from tests.property.oracles import check_schema
from tests.support.builders import JOB_NAME, RESOURCE_GROUP, SUBSCRIPTION, VAULT, job_payload
from tests.support.canary import TOKEN
from tests.support.kubernetes import NAME, NAMESPACE, KubernetesApi
from tests.support.movable_loop import MovableLoop
from tests.support.scale import at_scale

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES: Final = at_scale(150, 5000)


class World:
    """A cluster, Azure, and the parts of an operator, in their own event loop."""

    def __init__(self) -> None:
        self._loop = MovableLoop()
        self._runner = asyncio.Runner(loop_factory=lambda: self._loop)
        self._stack = contextlib.AsyncExitStack()
        self._api, self._runtime = self._runner.run(self._open())

    def close(self) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.close()

    def live_through(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """Let the operator process *body*, and return the statuses that it writes."""
        return self._runner.run(self._live_through(body))

    async def _open(self) -> tuple[KubernetesApi, Runtime]:
        azure = AzureSimulator(tokens={TOKEN: "operator"})
        azure.add_vault(SUBSCRIPTION, RESOURCE_GROUP, VAULT).set_job(JOB_NAME, job_payload())
        await self._stack.enter_async_context(azure)
        api = await self._stack.enter_async_context(KubernetesApi(Path(os.environ["KUBECONFIG"])))
        settings = Settings(
            azure_endpoint=azure.url,
            development=True,
            development_token=TOKEN,  # type: ignore[arg-type]
            operator_identity_namespaces=("*",),
            azure_reads_per_second=25,
            azure_read_burst=250,
        )
        return api, await self._stack.enter_async_context(Runtime.open(settings))

    async def _live_through(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        uid = self._api.objects.plant((NAMESPACE, NAME), body)
        before = len(self._api.objects.history)
        watch, controller = Watch.from_body(self._api.get()), self._runtime.controller
        try:
            controller.on_event(watch)
            await self._rest()
            self._loop._advance(300)
            controller.tick(watch.uid)
            await self._rest()
            await self._runtime.resync.once()
            await self._rest()
        finally:
            controller.remove(uid)
            if any(each["metadata"]["uid"] == uid for each in self._api.objects.find(NAMESPACE)):
                self._api.delete()
        written = self._api.objects.history[before:]
        return [dict(change.after["status"]) for change in written if change.part == "status"]

    async def _rest(self) -> None:
        """Wait until nothing is queued and no request to Azure is in flight."""
        controller = self._runtime.controller
        async with asyncio.timeout(120):
            while True:
                await controller.queue.drained()
                reads = [task for reader in controller._poller._readers.values() for task in reader.tasks]
                if not reads:
                    return
                await asyncio.wait(reads)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


@settings(
    deadline=None,
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(body=bodies)
def test_any_object(world: World, caplog: pytest.LogCaptureFixture, body: dict[str, Any]) -> None:
    """Events, polls and resyncs of any object raise no error, and each written status matches the CRD schema."""
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        statuses = world.live_through(body)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    for status in statuses:
        check_schema(status)
