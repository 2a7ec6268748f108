"""Turns and queues: who may begin, and when."""

from __future__ import annotations

import asyncio

from backupjobwatch.turns import CROWD, Queue, Turns


async def take(turns: Turns, end: asyncio.Event) -> None:
    async with turns:
        await end.wait()


async def test_it_is_crowded_while_many_wait() -> None:
    """Those who have a turn do not make a crowd, nor does who has gone without waiting for his."""
    turns, end = Turns(2), asyncio.Event()
    tasks = [asyncio.create_task(take(turns, end)) for _ in range(2 + 2 * CROWD)]
    await asyncio.sleep(0)
    assert turns.crowded

    tasks[-1].cancel()
    await asyncio.gather(tasks[-1], return_exceptions=True)
    assert not turns.crowded

    end.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not turns.crowded


async def test_the_first_to_come_is_the_first_to_begin() -> None:
    """While it is crowded everybody is held and nobody may begin; then they do in their order, and each of them once."""
    turns, end = Turns(1), asyncio.Event()
    queue: Queue[str] = Queue(turns)
    assert not queue.holds("0", "early")
    assert queue.next() is None

    tasks = [asyncio.create_task(take(turns, end)) for _ in range(1 + CROWD)]
    await asyncio.sleep(0)
    assert all([queue.holds("1", "first"), queue.holds("2", "second"), queue.holds("3", "gone")])
    assert queue.holds("1", "first again")
    queue.drop("3")
    assert ("1" in queue, "3" in queue) == (True, False)
    assert queue.next() is None

    end.set()
    await asyncio.gather(*tasks)
    assert [queue.next(), queue.next(), queue.next()] == ["first", "second", None]
    assert "1" not in queue
