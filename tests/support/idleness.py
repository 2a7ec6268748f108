"""Wait until an operator in another thread has nothing to do, however busy the machine is.

Tests move the operator's clock only then. Otherwise, its time would pass faster than it works: requests would time out, and
polls would become due that no test expects.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.support.movable_loop import MovableLoop

_PROBES: Final = 2
"""Consecutive probes that find nothing to do. An answer of a server in the test's event loop arrives before the second."""
_PAUSE: Final = 0.01
_HELD: Final = 0.5
"""Seconds after which a request to Azure counts as held by the test."""
_DEAD: Final = 5.0
"""Seconds after which a loop that does not answer counts as ended."""
_MOST: Final = 30.0
"""Seconds after which the caller continues, so that its own time limit reports what it waits for."""


async def until_idle(loop: MovableLoop) -> None:
    """Wait until the event loop has no work, and its threads have no requests except those that tests hold."""
    last, idle = await _probe(loop), 0
    end, held_from = time.monotonic() + _MOST, time.monotonic() + _HELD
    while last is not None and idle < _PROBES and time.monotonic() < end:
        await asyncio.sleep(_PAUSE)
        now = await _probe(loop)
        is_quiet = now == last + 1  # the probe itself is one iteration
        if not is_quiet:
            held_from = time.monotonic() + _HELD
        idle = idle + 1 if is_quiet and (time.monotonic() > held_from or not _is_requesting()) else 0
        last = now


async def _probe(loop: MovableLoop) -> int | None:
    """Return the number of iterations of a loop, which must run to answer, or None if it has ended."""
    answer = concurrent.futures.Future[int]()
    with contextlib.suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(lambda: answer.set_result(loop.iterations))
        await asyncio.wait([asyncio.wrap_future(answer)], timeout=_DEAD)
    return answer.result() if answer.done() else None


def _is_requesting() -> bool:
    """Return whether a thread sends a request to Azure, or processes the response."""
    frames = sys._current_frames()
    idents = (thread.ident for thread in threading.enumerate() if thread.name.startswith("azure_"))
    found = (frames.get(ident) for ident in idents if ident is not None)
    return any(frame is not None and frame.f_code.co_name != "_worker" for frame in found)
