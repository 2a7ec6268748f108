"""A work queue knows when no key is ready or being processed."""

from __future__ import annotations

import asyncio

import pytest

from backupjobwatch.kube.work_queue import WorkQueue
from tests.support.work_queues import pass_time, take


@pytest.fixture
def queue() -> WorkQueue[str]:
    return WorkQueue()


async def is_drained(queue: WorkQueue[str]) -> bool:
    """Tell whether ``drained`` returns without anything else happening."""
    waiting = asyncio.create_task(queue.drained())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if not waiting.done():
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return False
    return True


async def test_drained(queue: WorkQueue[str]) -> None:
    """A queue is drained when no key is ready, processed, or added while it was processed."""
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
    """Whoever waits for the queue to be drained goes on when the last of several workers is done."""
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
    """A key that is planned for later does not count until it is ready."""
    queue.add_after("a", 5)
    queue.add_rate_limited("b")
    assert await is_drained(queue)
    await pass_time(6)
    assert not await is_drained(queue)
    assert {await take(queue), await take(queue)} == {"a", "b"}
    assert await is_drained(queue)


async def test_a_removed_key_does_not_keep_a_queue_from_being_drained(queue: WorkQueue[str]) -> None:
    """A key that was removed before a worker took it does not count. One that is being processed does."""
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
    """Closing drops what is ready and dirty, and what is being processed goes on."""
    for key in ("a", "b"):
        queue.add(key)
    key = await queue.get()
    queue.add(key)
    queue.close()
    assert not await is_drained(queue)
    queue.done(key)
    assert await is_drained(queue)
