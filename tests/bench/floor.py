"""The floor: a kopf operator whose timers do nothing, and thus the minimum cost of a kopf operator.

To minimize the costs of start-up and peaks, it adds no finalizers and spreads its ticks over the interval.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
from typing import Any, Final

import kopf

from tests.bench.pulse import Pulse

INTERVAL: Final = 30.0
PULSE: Final = Pulse()
BACKGROUND: Final[set[asyncio.Task[None]]] = set()


@kopf.on.startup()
async def begin(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.posting.enabled = False
    BACKGROUND.add(asyncio.create_task(PULSE.beat()))


@kopf.timer(
    *("azurebackup.dev", "v1alpha1", "backupjobwatches"),
    interval=INTERVAL,
    sharp=True,
    initial_delay=lambda **_: random.uniform(0, INTERVAL),
)
async def poll(uid: str, **_: Any) -> None:
    PULSE.tick(uid)


def main() -> None:
    registry = kopf.get_default_registry()
    handlers = registry._spawning._handlers
    handlers[:] = [dataclasses.replace(handler, requires_finalizer=False) for handler in handlers]
    kopf.run(clusterwide=True, standalone=True)


if __name__ == "__main__":
    main()
