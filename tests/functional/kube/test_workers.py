"""Workers continue to process the keys of a queue if one key fails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.kube.work_queue import BASE_DELAY, QueueClosed, Workers, WorkQueue
from backupjobwatch.observability.metrics.instruments import Metrics

if TYPE_CHECKING:
    from tests.support.movable_loop import MovableLoop

COUNT = 3


async def test_a_defect_does_not_end_the_workers(caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected failure is logged, and its key is retried. The other keys do not wait for it."""
    queue, failed, done = WorkQueue[int](Metrics().queue("ttl")), set[int](), set[int]()
    keys, all_done = set(range(2 * COUNT)), asyncio.Event()

    async def process(key: int) -> None:
        if key not in failed:
            failed.add(key)
            raise RuntimeError
        done.add(key)
        if done == keys:
            all_done.set()

    workers = Workers(queue, process, name="test", count=COUNT)
    workers.start()
    for key in keys:
        queue.add(key)
    await asyncio.wait_for(queue.drained(), 30)
    assert (failed, done) == (keys, set())
    assert caplog.text.count("failed to process") == len(keys)

    loop: MovableLoop = asyncio.get_running_loop()  # type: ignore[assignment]
    loop.advance(BASE_DELAY)
    await asyncio.wait_for(all_done.wait(), 30)
    await workers.close()


async def test_close_cancels_what_is_processed() -> None:
    """``close`` cancels the processing of keys. Afterwards the queue takes no more keys."""
    queue, begun, ended = WorkQueue[str](Metrics().queue("ttl")), asyncio.Event(), list[str]()

    async def process(key: str) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(key)

    workers = Workers(queue, process, name="test", count=COUNT)
    workers.start()
    queue.add("a")
    await asyncio.wait_for(begun.wait(), 30)
    await workers.close()
    assert ended == ["a"]
    queue.add("b")
    with pytest.raises(QueueClosed):
        await asyncio.wait_for(queue.get(), 30)
