"""A work queue is drained when no key is ready or being processed."""

from __future__ import annotations

import asyncio

import pytest

from backupjobwatch.kube.work_queue import WorkQueue
from backupjobwatch.observability.metrics.instruments import Metrics
from tests.support.work_queues import pass_time, take


@pytest.fixture
def queue() -> WorkQueue[str]:
    return WorkQueue(Metrics().queue("ttl"))


async def is_drained(queue: WorkQueue[str]) -> bool:
    """Return whether ``drained`` returns immediately."""
    waiting = asyncio.create_task(queue.drained())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if not waiting.done():
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return False
    return True


async def test_drained(queue: WorkQueue[str]) -> None:
    """A queue is drained when no key is ready, being processed, or added during its processing."""
    assert await is_drained(queue)
    queue.add("a")
    assert not await is_drained(queue)
    key = await queue.get()
    assert not await is_drained(queue)
    queue.add("a")
    queue.done(key)
    assert not await is_drained(queue)
    await take(queue)
    assert await is_drained(queue)


async def test_drained_wakes_up(queue: WorkQueue[str]) -> None:
    """``drained`` returns when the last of several workers is done."""
    for key in ("a", "b"):
        queue.add(key)
    first, second = await queue.get(), await queue.get()
    waiting = asyncio.create_task(queue.drained())
    queue.done(second)
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done(first)
    await asyncio.wait_for(waiting, 30)


async def test_delayed_keys_do_not_keep_a_queue_from_being_drained(queue: WorkQueue[str]) -> None:
    """A delayed key does not count until it is ready."""
    queue.add_after("a", 5)
    queue.add_rate_limited("b")
    assert await is_drained(queue)
    await pass_time(6)
    assert not await is_drained(queue)
    assert {await take(queue), await take(queue)} == {"a", "b"}
    assert await is_drained(queue)


async def test_a_removed_key_does_not_keep_a_queue_from_being_drained(queue: WorkQueue[str]) -> None:
    """A removed key does not count unless a worker is processing it."""
    queue.add("a")
    queue.remove("a")
    assert await is_drained(queue)
    queue.add("b")
    key = await queue.get()
    queue.remove("b")
    assert not await is_drained(queue)
    queue.done(key)
    assert await is_drained(queue)


async def test_a_closed_queue_is_drained_when_its_workers_are_done(queue: WorkQueue[str]) -> None:
    """``close`` drops ready and dirty keys. A key that is being processed still counts."""
    for key in ("a", "b"):
        queue.add(key)
    key = await queue.get()
    queue.add(key)
    queue.close()
    assert not await is_drained(queue)
    queue.done(key)
    assert await is_drained(queue)
