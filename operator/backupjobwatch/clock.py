"""The clock that all delays and ages use, and that tests can move."""

from __future__ import annotations

import asyncio


def loop_time() -> float:
    """Return the time of the running event loop, in seconds. It is monotonic."""
    return asyncio.get_running_loop().time()
