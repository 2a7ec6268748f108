"""Garbage in circles is collected by the clock, and a tick leaves none: so it may be seldom."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING
from weakref import ref

import kopf

from backupjobwatch.controller.garbage import collecting
from tests.support.builders import JOB_NAME, running_payload

if TYPE_CHECKING:
    from demo.simulator import AzureSimulator, Vault
    from tests.functional.conftest import StartOperator
    from tests.support.kubernetes import KubernetesApi


class Circle:
    """What only the collector can let go."""

    def __init__(self) -> None:
        self.itself = self


async def test_garbage_is_collected() -> None:
    """What is no longer used is gone after a while, though Python itself looks seldom."""
    async with collecting(look_every=0.05):
        gone = ref(Circle())
        assert gone() is not None
        async with asyncio.timeout(60):
            while gone() is not None:  # noqa: ASYNC110 -- nobody tells of it
                await asyncio.sleep(0.01)


async def test_what_was_is_put_back() -> None:
    """Whoever runs the operator within a process of his own finds Python's collector as it was."""
    before = gc.get_threshold()
    async with collecting():
        assert gc.get_threshold() != before
    assert gc.get_threshold() == before


async def test_a_tick_leaves_none(api: KubernetesApi, sim: AzureSimulator, vault: Vault, start: StartOperator) -> None:
    """What kopf makes for a tick is gone soon after it, though nobody looks for garbage meanwhile."""
    gc.collect()
    gc.disable()
    try:
        async with start() as operator:
            api.create({"jobResourceId": vault.set_job(JOB_NAME, running_payload()), "pollInterval": "10s"})
            await api.status(phase="Running")
            before = count_patches()
            await operator.poll(sim, 20)
            assert count_patches() <= before + 3
    finally:
        gc.enable()


def count_patches() -> int:
    return sum(isinstance(each, kopf.Patch) for each in gc.get_objects())
