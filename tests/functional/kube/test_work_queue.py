"""The work queue behaves like client-go's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.kube.work_queue import BASE_DELAY, MAX_DELAY, QueueClosed, WorkQueue
from backupjobwatch.observability.metrics.instruments import Metrics
from tests.support.work_queues import pass_time, take

if TYPE_CHECKING:
    from tests.support.movable_loop import MovableLoop


def value(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(f"backupjobwatch_workqueue_{name}", {"queue": "ttl"})


@pytest.fixture
def queue() -> WorkQueue[str]:
    return WorkQueue(Metrics().queue("ttl"))


@pytest.fixture(autouse=True)
async def _still_clock() -> None:
    """Stop the clock between moves, so that a busy machine does not use up the delays."""
    loop: MovableLoop = asyncio.get_running_loop()  # type: ignore[assignment]
    loop.freeze()


async def test_a_key_is_queued_once(queue: WorkQueue[str]) -> None:
    """Adding a queued key changes nothing. Keys leave the queue in the order in which they were added."""
    for key in ("a", "b", "a"):
        queue.add(key)
    assert len(queue) == 2
    assert [await take(queue), await take(queue)] == ["a", "b"]
    assert len(queue) == 0


async def test_a_key_added_while_it_is_processed_is_requeued(queue: WorkQueue[str]) -> None:
    """A key added during its processing goes to no second worker. ``done`` requeues it once."""
    queue.add("a")
    key = await queue.get()
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    queue.done(key)
    assert len(queue) == 1
    assert await take(queue) == "a"
    assert len(queue) == 0


async def test_a_higher_priority_comes_first(queue: WorkQueue[str]) -> None:
    """The queue orders keys by priority. A key keeps the highest priority that it was added with."""
    queue.add("low")
    queue.add("raised")
    queue.add("high", priority=1)
    queue.add("raised", priority=2)
    queue.add("raised", priority=0)
    assert [await take(queue) for _ in range(3)] == ["raised", "high", "low"]


async def test_the_priority_of_a_dirty_key_is_kept(queue: WorkQueue[str]) -> None:
    """A key added during its processing keeps the highest priority that it was added with."""
    queue.add("a")
    key = await queue.get()
    queue.add("a", priority=5)
    queue.add("a")
    queue.add("b", priority=1)
    queue.done(key)
    assert [await take(queue), await take(queue)] == ["a", "b"]


async def test_the_earliest_delay_wins(queue: WorkQueue[str]) -> None:
    """The earliest of several delays of a key counts. The others add nothing later."""
    queue.add_after("a", 60)
    queue.add_after("a", 10)
    queue.add_after("a", 30)
    queue.add_after("b", 20)
    await pass_time(9.9)
    assert len(queue) == 0
    await pass_time(0.2)
    assert await take(queue) == "a"
    await pass_time(10)
    assert await take(queue) == "b"
    await pass_time(600)
    assert len(queue) == 0


async def test_a_key_added_now_has_no_delay_left(queue: WorkQueue[str]) -> None:
    """``add`` replaces a delay, because the earliest time wins."""
    queue.add_after("a", 10)
    queue.add("a")
    assert await take(queue) == "a"
    await pass_time(60)
    assert len(queue) == 0


async def test_a_delay_that_is_over_adds_at_once(queue: WorkQueue[str]) -> None:
    """A delay of zero or less adds the key immediately."""
    queue.add_after("a", 0)
    queue.add_after("b", -5)
    assert [await take(queue), await take(queue)] == ["a", "b"]


async def test_a_delay_that_ends_while_the_key_is_processed(queue: WorkQueue[str]) -> None:
    """A key whose delay ends during its processing is processed again, and never by two workers."""
    queue.add("a")
    key = await queue.get()
    queue.add_after("a", 5)
    await pass_time(6)
    assert len(queue) == 0
    queue.done(key)
    assert await take(queue) == "a"


async def test_retries_back_off() -> None:
    """Each retry of a key doubles its delay, up to a limit. ``forget`` resets the delay."""
    metrics = Metrics()
    queue: WorkQueue[str] = WorkQueue(metrics.queue("ttl"))
    for delay in (BASE_DELAY, 2 * BASE_DELAY, 4 * BASE_DELAY):
        queue.add_rate_limited("a")
        await pass_time(delay - 0.1)
        assert len(queue) == 0
        await pass_time(0.2)
        assert await take(queue) == "a"
    queue.forget("a")
    queue.add_rate_limited("a")
    await pass_time(BASE_DELAY)
    assert await take(queue) == "a"
    for _ in range(100):
        queue.add_rate_limited("b")
        queue.remove("c")
    await pass_time(MAX_DELAY)
    assert await take(queue) == "b"
    assert value(metrics, "retries_total") == 104


async def test_a_removed_key_does_not_come() -> None:
    """A removed key never leaves the queue, whether it is ready, delayed or dirty."""
    queue: WorkQueue[str] = WorkQueue(Metrics().queue("ttl"))
    queue.add("dirty")
    key = await queue.get()
    queue.add("dirty")
    queue.add("ready")
    queue.add_after("delayed", 5)
    for each in ("dirty", "ready", "delayed"):
        queue.remove(each)
    queue.done(key)
    await pass_time(10)
    queue.add("last")
    assert await take(queue) == "last"
    assert len(queue) == 0


async def test_waits_are_measured() -> None:
    """The wait of a key starts when it is ready and ends when a worker takes it. The depth counts only ready keys."""
    metrics = Metrics()
    queue: WorkQueue[str] = WorkQueue(metrics.queue("ttl"))
    queue.add_after("a", 10)
    assert value(metrics, "depth") == 0
    await pass_time(10)
    await pass_time(3)
    assert value(metrics, "depth") == 1
    assert await take(queue) == "a"
    assert value(metrics, "depth") == 0
    assert value(metrics, "queue_duration_seconds_count") == 1
    assert value(metrics, "queue_duration_seconds_sum") == pytest.approx(3, abs=0.5)


async def test_many_workers_share_the_keys() -> None:
    """One worker at a time processes a key, and all workers end when the queue is closed."""
    queue: WorkQueue[int] = WorkQueue(Metrics().queue("ttl"))
    active: set[int] = set()
    seen: list[int] = []

    async def work() -> None:
        while True:
            key = await queue.get()
            assert key not in active
            active.add(key)
            await asyncio.sleep(0)
            active.discard(key)
            seen.append(key)
            queue.done(key)
            if not len(queue) and not active:
                everything_done.set()

    everything_done = asyncio.Event()
    workers = [asyncio.create_task(work()) for _ in range(8)]
    for number in range(200):
        queue.add(number % 50)
        if number % 7 == 0:
            await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await everything_done.wait()
    assert set(seen) == set(range(50))
    queue.close()
    assert all(isinstance(end, QueueClosed) for end in await asyncio.gather(*workers, return_exceptions=True))


async def test_a_cancelled_worker_loses_no_key(queue: WorkQueue[str]) -> None:
    """The key of a cancelled worker goes to another worker."""
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert await take(queue) == "a"


async def test_a_closed_queue_takes_nothing(queue: WorkQueue[str]) -> None:
    """After ``close``, the queue ignores new keys, and ``get`` raises QueueClosed."""
    queue.add_after("b", 5)
    queue.close()
    queue.add("a")
    queue.add_after("a", 5)
    await pass_time(10)
    assert len(queue) == 0
    for _ in range(2):
        with pytest.raises(QueueClosed):
            await queue.get()
