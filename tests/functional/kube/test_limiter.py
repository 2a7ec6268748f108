"""Turns and queues: who may begin, and when."""

from __future__ import annotations

import asyncio

from backupjobwatch.kube.limiter import CROWD, Limiter, Queue


async def take(turns: Limiter, end: asyncio.Event) -> None:
    async with turns:
        await end.wait()


async def test_it_is_crowded_while_many_wait() -> None:
    """Those who have a turn do not make a crowd, nor does who has gone without waiting for his."""
    turns, end = Limiter(2), asyncio.Event()
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
    turns, end = Limiter(1), asyncio.Event()
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


async def test_one_by_one_while_others_come_before() -> None:
    """While anybody waits in the queue before, one at a time begins, so that none is forgotten; then all may."""
    gates, end = Limiter(1), asyncio.Event()
    words, spoken = Limiter(8), asyncio.Event()
    before: Queue[str] = Queue(gates)
    after: Queue[str] = Queue(words, before=before)
    crowd = [asyncio.create_task(take(gates, end)) for _ in range(1 + CROWD)]
    await asyncio.sleep(0)
    assert not after.holds("0", "free")

    assert before.holds("1", "status")
    assert words.idle
    assert not after.holds("0", "first")
    speaking = asyncio.create_task(take(words, spoken))
    await asyncio.sleep(0)
    assert not words.idle
    assert all([after.holds("2", "second"), after.holds("3", "third")])
    assert after.next() is None

    spoken.set()
    await speaking
    assert after.next() == "second"
    spoken.clear()
    speaking = asyncio.create_task(take(words, spoken))
    await asyncio.sleep(0)
    assert after.next() is None

    end.set()
    await asyncio.gather(*crowd)
    assert before.next() == "status"
    assert after.next() == "third"
    spoken.set()
    await speaking
