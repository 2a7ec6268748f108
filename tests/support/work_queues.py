"""A work queue for tests, which skips delays and processes one key at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backupjobwatch.kube.work_queue import WorkQueue
    from tests.support.movable_loop import MovableLoop


async def pass_time(seconds: float) -> None:
    """Move the event loop's clock, and run the due timers."""
    loop: MovableLoop = asyncio.get_running_loop()  # type: ignore[assignment]
    loop.advance(seconds)
    for _ in range(3):  # one pass each for the move, its timers, and the tasks that they wake
        await asyncio.sleep(0)


async def take(queue: WorkQueue[str]) -> str:
    """Process one key."""
    key = await asyncio.wait_for(queue.get(), 30)
    queue.done(key)
    return key
