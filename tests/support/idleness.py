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
_HELD: Final = 30
"""Consecutive quiet probes after which a request to Azure counts as held by the test.

They are counted instead of timed, because a process that is not scheduled for a while makes no progress.
"""
_DEAD: Final = 5.0
"""Seconds after which a loop that does not answer counts as ended."""
_MOST: Final = 30.0
"""Seconds after which the caller continues, so that its own time limit reports what it waits for."""


async def until_idle(loop: MovableLoop) -> None:
    """Wait until the event loop has no work, and its threads have no requests except those that tests hold."""
    last, quiet, idle = await _probe(loop), 0, 0
    end = time.monotonic() + _MOST
    while last is not None and idle < _PROBES and time.monotonic() < end:
        await asyncio.sleep(_PAUSE)
        now = await _probe(loop)
        quiet = quiet + 1 if now == last + 1 else 0  # the probe itself is one iteration
        idle = idle + 1 if quiet > _HELD or (quiet and not _is_requesting()) else 0
        last = now


async def until_rest_idle(loop: MovableLoop) -> None:
    """Wait until the running event loop *loop* has no work except for this call."""
    await asyncio.to_thread(asyncio.run, until_idle(loop))  # in a thread, because each wait is work for its loop


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
