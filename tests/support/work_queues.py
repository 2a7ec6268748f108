"""A work queue in tests: its delays pass at once, and one key is processed at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backupjobwatch.kube.work_queue import WorkQueue
    from tests.support.operator import MovableLoop


async def pass_time(seconds: float) -> None:
    """Move the event loop's clock and let the timers that are due run."""
    loop: MovableLoop = asyncio.get_running_loop()  # type: ignore[assignment]
    loop.advance(seconds)
    for _ in range(3):  # the move, its timers, and the tasks that these wake
        await asyncio.sleep(0)


async def take(queue: WorkQueue[str]) -> str:
    """Process one key."""
    key = await asyncio.wait_for(queue.get(), 30)
    queue.done(key)
    return key
