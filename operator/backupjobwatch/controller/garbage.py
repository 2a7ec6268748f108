"""Python's search for garbage in circles, as thousands of watches want it.

https://docs.python.org/3/library/gc.html: by default Python looks through all there is a few times a minute, with ten
thousand watches for two seconds each time, and for a quarter of the time while they come in. Here that is done by the
clock, and seldom, which takes that next to nothing is left in circles: see ``kopf_handlers`` about those that kopf makes.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

COLLECT_EVERY: Final = 600.0
_SELDOM: Final = (5_000, 20, 100)
"""When Python looks by itself: at what has just come, often; at everything, hardly ever."""


@contextlib.asynccontextmanager
async def collecting(*, look_every: float = COLLECT_EVERY) -> AsyncIterator[None]:
    """Collect all garbage each *look_every* seconds, as long as this is entered."""
    thresholds = gc.get_threshold()
    gc.set_threshold(*_SELDOM)
    collector = asyncio.create_task(_collect(look_every), name="garbage")
    try:
        yield
    finally:
        collector.cancel()
        await asyncio.gather(collector, return_exceptions=True)
        gc.set_threshold(*thresholds)


async def _collect(look_every: float) -> None:
    while True:
        await asyncio.sleep(look_every)
        gc.collect()
