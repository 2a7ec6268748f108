"""Tests move an operator's clock only while it has nothing to do."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.support.idleness import until_idle
from tests.support.movable_loop import MovableLoop

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def loop() -> Iterator[MovableLoop]:
    """An event loop that runs in another thread."""
    loop = MovableLoop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def test_work(loop: MovableLoop) -> None:
    """A loop with work is not idle."""

    async def work() -> None:
        for _ in range(50):
            await asyncio.sleep(0.002)

    working = asyncio.run_coroutine_threadsafe(work(), loop)
    await until_idle(loop)
    assert working.done()


async def test_request(loop: MovableLoop) -> None:
    """A loop whose threads send requests is not idle, unless a test holds their responses."""
    held = threading.Event()
    with ThreadPoolExecutor(2, thread_name_prefix="azure") as threads:
        request = threads.submit(time.sleep, 0.2)
        await until_idle(loop)
        assert request.done()
        waiting = threads.submit(held.wait)
        await until_idle(loop)
        assert not waiting.done()
        held.set()


async def test_timer_of_a_stopped_clock(loop: MovableLoop) -> None:
    """A timer that is almost due is no work while the clock stands still."""
    fired = threading.Event()

    def start() -> None:
        loop.freeze()
        loop.call_later(0.001, fired.set)

    loop.call_soon_threadsafe(start)
    async with asyncio.timeout(20):
        await until_idle(loop)
    assert not fired.is_set()
    loop.advance(0.01)
    await until_idle(loop)
    assert fired.is_set()


async def test_clock_continues(loop: MovableLoop) -> None:
    """A clock that was stopped continues from where it was."""
    loop.freeze()
    stopped = loop.time()
    await asyncio.sleep(0.1)
    thawed = time.monotonic()
    loop.thaw()
    assert stopped <= loop.time() <= stopped + time.monotonic() - thawed


async def test_ended_loop() -> None:
    """A loop that has ended is idle."""
    ended = MovableLoop()
    ended.close()
    await until_idle(ended)
