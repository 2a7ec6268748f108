"""How often the operator repeats requests while the API server, or a proxy in front of it, misbehaves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backupjobwatch.controller.kopf_handlers import RECONNECT_EVERY
from tests.support.builders import JOB_NAME, job_payload

if TYPE_CHECKING:
    from demo.simulator import Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi

STREAMS = 4


def streams(api: KubernetesApi) -> int:
    return sum(request.query.get("watch") == "true" for request in api.traffic.requests)


async def test_watch_streams_that_end_at_once(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """Streams that the server closes immediately are reopened once per second. Later streams deliver events."""
    async with start():
        began, before = asyncio.get_running_loop().time(), streams(api)
        api.streams.ending = True
        api.cut_streams()
        await api.until(lambda: streams(api) >= before + STREAMS)
        assert asyncio.get_running_loop().time() - began > (STREAMS - 2) * RECONNECT_EVERY
        api.streams.ending = False
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
        await api.status(phase="Succeeded")


async def test_watch_streams_that_are_refused(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """Streams that end with 410 are reopened once per second, each after a list."""
    async with start():
        began, before = asyncio.get_running_loop().time(), streams(api)
        api.objects.compacted = api.objects.version + 1000
        api.cut_streams()
        await api.until(lambda: streams(api) >= before + STREAMS)
        assert asyncio.get_running_loop().time() - began > (STREAMS - 2) * RECONNECT_EVERY
        api.objects.compacted = 0
        api.create({"jobResourceId": vault.set_job(JOB_NAME, job_payload())})
        await api.status(phase="Succeeded")
