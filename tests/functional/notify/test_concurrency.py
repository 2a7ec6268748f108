"""Concurrency limits of deliveries per namespace."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

from tests.functional.notifying import EVERYBODYS_TURN, SETTINGS, webhook
from tests.support.builders import JOB_NAME, job_payload
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from demo.simulator import Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi


def semaphores() -> int:
    gc.collect()
    return sum(isinstance(each, asyncio.Semaphore) for each in gc.get_objects())


async def test_namespaces_that_come_and_go(api: KubernetesApi, vault: Vault, start: StartOperator) -> None:
    """The operator keeps no state of a namespace whose watches are gone, so memory does not grow."""
    job_id = vault.set_job(JOB_NAME, job_payload())
    async with Receiver() as receiver, start(**SETTINGS, **EVERYBODYS_TURN):
        before = semaphores()
        for number in range(50):
            spec = {"jobResourceId": job_id, "notify": [webhook(receiver.url)], "ttlSecondsAfterFinished": 0}
            api.create(spec, namespace=f"preview-{number}")
        await api.until(lambda: not api.objects.find(None))
        assert len(receiver.deliveries) == 50
        assert semaphores() < before + 25
