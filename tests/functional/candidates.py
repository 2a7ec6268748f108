"""Leader election candidates in an event loop with a movable clock, and a Lease of another holder."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.kube.client import KubeClient
from backupjobwatch.kube.leader_election import LeaderElector
from backupjobwatch.settings import Settings
from tests.support.idleness import until_rest_idle
from tests.support.movable_loop import MovableLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.support.kubernetes import KubernetesApi

    StartCandidate = Callable[..., Awaitable[LeaderElector]]

LEASE: Final = ("operators", "backupjobwatch")
READS: Final = "^GET .*/leases/backupjobwatch$"
WRITES: Final = "^(PUT|POST) .*/leases"
DURATION, DEADLINE, RETRY = 14, 10, 2
_ROUNDING: Final = 0.001
"""Seconds. Sums of times are inexact, and a timer would not be due."""
OTHER_HOLDER: Final[dict[str, Any]] = {
    "holderIdentity": "somebody",
    "leaseDurationSeconds": DURATION,
    "acquireTime": "2026-03-04T01:00:00.000000Z",
    "renewTime": "2026-03-04T01:00:00.000000Z",
    "leaseTransitions": 3,
}


@contextlib.asynccontextmanager
async def candidates() -> AsyncIterator[StartCandidate]:
    """Stop the clock, yield a function that starts candidates, and close them at the end."""
    async with contextlib.AsyncExitStack() as stack:
        loop = _loop()
        loop.freeze()

        async def start_candidate(**options: Any) -> LeaderElector:
            kube = await KubeClient.connect()
            stack.push_async_callback(kube.close)
            elector = LeaderElector(Settings(lease_namespace=LEASE[0], **options), kube)
            elector.start(nothing)
            stack.push_async_callback(elector.close)
            await until_rest_idle(loop)
            return elector

        yield start_candidate
        loop.thaw()


async def nothing() -> None:
    """Do nothing: no operator has to be stopped."""


async def advance(seconds: float) -> None:
    """Advance the clock, and let the candidates react while the clock stands still."""
    loop = _loop()
    loop._advance(seconds + _ROUNDING)
    await until_rest_idle(loop)


async def happened(event: asyncio.Event) -> None:
    async with asyncio.timeout(120):
        await event.wait()


async def lease_reads(api: KubernetesApi, times: int = 1) -> None:
    """Advance the clock by this many retry periods. Each has a read of the Lease."""
    for _ in range(times):
        before = len(api.traffic.matching(READS))
        await advance(RETRY)
        assert len(api.traffic.matching(READS)) > before


def _loop() -> MovableLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MovableLoop)
    return loop


def spec(api: KubernetesApi) -> dict[str, Any]:
    found: dict[str, Any] = api.leases.get(LEASE)["spec"]
    return found


async def start_standby(api: KubernetesApi, start_candidate: StartCandidate) -> LeaderElector:
    """Return a standby that has seen the Lease of another holder."""
    api.leases.put(LEASE, **OTHER_HOLDER)
    elector = await start_candidate()
    await happened(elector.is_standby)
    return elector
