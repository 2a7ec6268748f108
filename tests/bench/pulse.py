"""Report the state of an operator without metrics: one line per second in a file."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import Final

VARIABLE: Final = "BENCH_PULSE"
"""The environment variable with the path of the file."""
_NAP: Final = 1.0


class Pulse:
    """Counts ticks, and measures the event-loop lag in the same way as backupjobwatch."""

    def __init__(self) -> None:
        self.ticks = 0
        self.ticked: set[str] = set()
        """The uids of objects whose timer has fired."""

    def tick(self, uid: str) -> None:
        """Count one tick. Thread-safe."""
        self.ticks += 1
        self.ticked.add(uid)

    async def beat(self) -> None:
        """Write one line per second until cancelled."""
        descriptor = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_CREAT)
        while True:
            began = time.monotonic()
            await asyncio.sleep(_NAP)
            lag = max(time.monotonic() - began - _NAP, 0.0)
            line = {"at": time.time(), "lag": lag, "ticks": self.ticks, "ticked": len(self.ticked)}
            os.write(descriptor, f"{json.dumps(line)}\n".encode())
