"""Who acts: of several operators the one that holds a Lease (coordination.k8s.io/v1). The others stand by.

The rules are client-go's (https://pkg.go.dev/k8s.io/client-go/tools/leaderelection): the holder renews its Lease, and
stops before others may take it; they may when they have not seen it renewed for its duration. The code is our own:
``kubernetes.leaderelection`` and ``kubernetes.aio.leaderelection`` have no time-outs, so that one request that hangs
outlasts every deadline, reckon with the wall clock, count no transitions, and never release the Lease.

No two clocks are compared. The times in a Lease are for people; a candidate goes by when, on its own monotonic clock,
it saw the Lease change.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import socket
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from backupjobwatch.errors import Conflict, KubeError, LeaseLost, ObjectNotFound, SettingsError
from backupjobwatch.settings import PREFIX

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from backupjobwatch.kube.client import KubeClient
    from backupjobwatch.settings import Settings

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""Where a pod finds the name of its own namespace."""


JITTER: Final = 0.2
"""Fraction of the retry period by which the pause between two attempts of a standby varies."""


def lease_namespace(settings: Settings, file: Path = NAMESPACE_FILE) -> str:
    """Return where the Lease is: as set, else the pod's own namespace. SettingsError where there is neither."""
    if settings.lease_namespace:
        return settings.lease_namespace
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        raise SettingsError(f"{PREFIX}LEASE_NAMESPACE: write the Lease's namespace; this is no pod") from None


class LeaderElector:
    """One candidate, and its one term: once lost, the Lease is not sought again, as the process is to end.

    That is the surest way to have nothing go on that began before; Kubernetes starts it anew, to stand by.
    """

    def __init__(self, settings: Settings, kube: KubeClient) -> None:
        """SettingsError where it is not known in which namespace the Lease is."""
        self.identity = f"{socket.gethostname()}_{uuid.uuid4()}"
        self.standing_by = asyncio.Event()
        """Set once somebody else was seen to hold the Lease."""
        self.elected = asyncio.Event()
        """Set once the Lease was ours."""
        self.failure: Exception | None = None
        """Why the term ended before :meth:`close`: LeaseLost, or a defect."""
        self._kube = kube
        self._namespace = lease_namespace(settings)
        self._name = settings.lease_name
        self._duration = settings.lease_duration.total_seconds()
        self._deadline = settings.lease_renew_deadline.total_seconds()
        self._retry = settings.lease_retry_period.total_seconds()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._claimed = False  # whether the Lease may be ours: an answer may have been lost
        # All on the event loop's clock.
        self._attempted = _clock()
        self._renewed = -math.inf
        self._looked = math.inf
        self._seen: Mapping[str, Any] = {}
        self._until = math.inf
        self._leader = ""
        self._trouble = ""

    @property
    def leading(self) -> bool:
        """Whether the Lease is ours and was renewed within the deadline."""
        return _clock() < self._renewed + self._deadline

    @property
    def alive(self) -> bool:
        """Whether attempts are being made; failing ones count, as no restart mends an API server."""
        return self._task is None or _clock() - self._attempted < self._duration + 2 * self._deadline

    def start(self, when_lost: Callable[[], Awaitable[None]]) -> None:
        """Stand for election, and hold the Lease from then on. *when_lost* stops all that only the leader may do."""
        self._task = asyncio.create_task(self._run(when_lost), name="elector")

    async def close(self) -> None:
        """Hold the Lease no longer: who stands by takes over at once. Nothing may go on that only the leader may do."""
        self._closing.set()
        if self._task is None:
            return
        await self._task
        if self._claimed and self.failure is None:
            try:
                await self._release()
            except (KubeError, TimeoutError) as error:
                _log.warning("The Lease %s could not be released, and has to run out: %s", self, error)

    def __str__(self) -> str:
        return f"{self._namespace}/{self._name}"

    async def _run(self, when_lost: Callable[[], Awaitable[None]]) -> None:
        try:
            await self._stand()
            if self.elected.is_set():
                await self._lead()
        except Exception as error:  # noqa: BLE001 -- whatever it is, nobody renews the Lease from now on
            self.failure = error
            await when_lost()
        finally:
            self._renewed = -math.inf

    async def _stand(self) -> None:
        while not self._closing.is_set():
            if await self._attempt():
                _log.info("Leading: the Lease %s is held by this operator, %s", self, self.identity)
                self.elected.set()
                return
            await self._rest(self._standby_pause())

    def _standby_pause(self) -> float:
        """Return the seconds until the next attempt: the retry period with jitter, but not past the Lease's expiry.

        An expired Lease does not shorten the pause. The last attempt has failed, and several standbys may be retrying.
        """
        pause = self._retry * random.uniform(1 - JITTER, 1.0)  # noqa: S311 -- no secret
        left = self._until - _clock()
        return min(pause, left) if left > 0 else pause

    async def _lead(self) -> None:
        try:
            async with asyncio.timeout_at(self._renewed + self._deadline) as limit:
                while not await self._rest(self._retry):
                    await self._attempt()
                    limit.reschedule(self._renewed + self._deadline)
        except TimeoutError:
            raise LeaseLost(f"the Lease {self} was not renewed for {self._deadline:g} s") from None

    async def _rest(self, seconds: float) -> bool:
        """Wait; True where it is time to close."""
        try:
            # Not wait_for(): it makes a task, and kopf, as it stops, waits for tasks that it does not know.
            async with asyncio.timeout(max(seconds, 0.01)):
                await self._closing.wait()
        except TimeoutError:
            return False
        return True

    async def _attempt(self) -> bool:
        """Take or renew the Lease; False where that could not be done, or is not for us to do."""
        self._attempted = _clock()
        try:
            held = await self._take()
        except Conflict:  # somebody was quicker, or an answer of ours was lost: the next look tells
            return False
        except (KubeError, TimeoutError) as error:
            text = str(error) or "no answer"
            if text != self._trouble:
                _log.warning("The Lease %s cannot be had: %s", self, text)
            self._trouble = text
            return False
        self._trouble = ""
        return held

    async def _take(self) -> bool:
        try:
            lease = await self._ask(self._kube.read_lease(self._namespace, self._name))
        except ObjectNotFound:
            lease = {}
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        self._note(spec)
        if holder not in ("", self.identity):
            if self.elected.is_set():
                raise LeaseLost(f"the Lease {self} is held by {holder} now")
            if _clock() < self._until:
                self._stand_by(holder)
                return False
        renewed = _clock()
        self._claimed = True
        await self._write(lease, holder=self.identity, seconds=math.ceil(self._duration))
        self._renewed = renewed
        return True

    def _stand_by(self, leader: str) -> None:
        if leader != self._leader:
            _log.info("Standing by: the Lease %s is held by %s", self, leader)
        self._leader = leader
        self.standing_by.set()

    def _note(self, spec: Mapping[str, Any]) -> None:
        """Work out until when the Lease is its holder's, from how long it has looked as it does.

        A renewal happened after the look before, and that is when it is dated to, so that a take-over is not late by
        the time between two looks; but to no more than one retry ago, as the looks may have been held up.
        """
        now = _clock()
        if spec != self._seen:
            self._seen = spec
            self._until = max(min(self._looked, now), now - self._retry) + (
                spec.get("leaseDurationSeconds") or self._duration
            )
        self._looked = now

    async def _release(self) -> None:
        try:
            lease = await self._ask(self._kube.read_lease(self._namespace, self._name))
        except ObjectNotFound:
            return
        if (lease.get("spec") or {}).get("holderIdentity") == self.identity:
            await self._write(lease, holder="", seconds=1)
            _log.info("The Lease %s is released", self)

    async def _write(self, lease: Mapping[str, Any], *, holder: str, seconds: int) -> None:
        """Make *lease* ours, or nobody's, if it is still as it was read: its resourceVersion is the fence."""
        before = lease.get("spec") or {}
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # MicroTime: six digits, always
        same = before.get("holderIdentity") == holder
        spec = {
            **before,
            "holderIdentity": holder,
            "leaseDurationSeconds": seconds,
            "acquireTime": before.get("acquireTime") or now if same else now,
            "renewTime": now,
            "leaseTransitions": (before.get("leaseTransitions") or 0) + (bool(before) and bool(holder) and not same),
        }
        metadata = {**lease.get("metadata", {}), "namespace": self._namespace, "name": self._name}
        await self._ask(self._kube.write_lease(metadata, spec))

    async def _ask(self, request: Awaitable[_T]) -> _T:
        """Wait for an answer for half the deadline, so that one request that hangs is not the end."""
        async with asyncio.timeout(self._deadline / 2):
            return await request


def _clock() -> float:
    return asyncio.get_running_loop().time()
