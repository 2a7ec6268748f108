"""Leader election with a Lease (coordination.k8s.io/v1), following the rules of client-go.

The leader renews its Lease, and stops acting before a standby may acquire it. A standby may acquire the Lease if it has
not seen a renewal for the Lease's duration. https://pkg.go.dev/k8s.io/client-go/tools/leaderelection

``kubernetes.leaderelection`` and ``kubernetes.aio.leaderelection`` are not usable: they have no request timeouts, depend
on the wall clock, do not count transitions, and never release the Lease.

The code never compares clocks of two machines. The times in a Lease are informative. A standby measures on its own
monotonic clock when the Lease changed.
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

from backupjobwatch.clock import loop_time
from backupjobwatch.errors import Conflict, KubeError, LeaseLost, ObjectNotFound, SettingsError
from backupjobwatch.settings import PREFIX

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from backupjobwatch.kube.client import KubeClient
    from backupjobwatch.settings import Settings

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""File with the namespace of the pod."""


JITTER: Final = 0.2
"""Maximum jitter of the pause between two attempts of a standby, as a fraction of the retry period."""


def lease_namespace(settings: Settings, file: Path = NAMESPACE_FILE) -> str:
    """Return the namespace of the Lease. The default is the pod's. Raise SettingsError outside a pod."""
    if settings.lease_namespace:
        return settings.lease_namespace
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        raise SettingsError(
            f"{PREFIX}LEASE_NAMESPACE must be set outside a pod. Set it to the namespace of the Lease."
        ) from None


class LeaderElector:
    """A candidate of the election. After it loses the Lease, the process must exit and restart as a standby.

    A restart guarantees that no task of the former leader continues.
    """

    def __init__(self, settings: Settings, kube: KubeClient) -> None:
        """Raise SettingsError if the namespace of the Lease is unknown."""
        self.identity = f"{socket.gethostname()}_{uuid.uuid4()}"
        self.is_standby = asyncio.Event()
        """Set when another process holds the Lease."""
        self.elected = asyncio.Event()
        """Set when this process has acquired the Lease."""
        self.failure: Exception | None = None
        """Why leading ended before :meth:`close`: LeaseLost, or an unexpected error."""
        self._kube = kube
        self._namespace = lease_namespace(settings)
        self._name = settings.lease_name
        self._duration = settings.lease_duration.total_seconds()
        self._deadline = settings.lease_renew_deadline.total_seconds()
        self._retry = settings.lease_retry_period.total_seconds()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._may_hold = False  # True from the first attempt to write: a response may have been lost.
        # All times are on the event loop's clock, which may be read in any thread.
        self._now = asyncio.get_running_loop().time
        self._attempted = loop_time()
        self._renewed = -math.inf
        self._last_read = math.inf
        self._observed: Mapping[str, Any] = {}
        self._expiry = math.inf
        self._leader = ""
        self._last_error = ""

    @property
    def leading(self) -> bool:
        """Whether this process holds the Lease and has renewed it within the deadline."""
        return self._now() < self._renewed + self._deadline

    @property
    def alive(self) -> bool:
        """Whether attempts continue. Failed attempts count, because a restart does not fix an API server."""
        return self._task is None or loop_time() - self._attempted < self._duration + 2 * self._deadline

    def start(self, when_lost: Callable[[], Awaitable[None]]) -> None:
        """Start the election. *when_lost* must stop all work that only the leader may do."""
        self._task = asyncio.create_task(self._run(when_lost), name="elector")

    async def close(self) -> None:
        """Release the Lease, so that a standby takes over at once. Call this after this process has stopped acting."""
        self._closing.set()
        if self._task is None:
            return
        await self._task
        if self._may_hold and self.failure is None:
            try:
                await self._release()
            except (KubeError, TimeoutError) as error:
                _log.warning("Failed to release the Lease %s, which expires after its duration: %s", self, error)

    def __str__(self) -> str:
        return f"{self._namespace}/{self._name}"

    async def _run(self, when_lost: Callable[[], Awaitable[None]]) -> None:
        try:
            await self._acquire()
            if self.elected.is_set():
                await self._renew()
        except Exception as error:  # noqa: BLE001 -- after any error, this task no longer renews the Lease
            self.failure = error
            await when_lost()
        finally:
            self._renewed = -math.inf

    async def _acquire(self) -> None:
        while not self._closing.is_set():
            if await self._attempt():
                _log.info("Acquired the Lease %s as %s", self, self.identity)
                self.elected.set()
                return
            await self._sleep(self._standby_pause())

    def _standby_pause(self) -> float:
        """Return the seconds until the next attempt: the retry period with jitter, but not past the Lease's expiry.

        An expired Lease does not shorten the pause, because several standbys may be retrying.
        """
        pause = self._retry * random.uniform(1 - JITTER, 1.0)  # noqa: S311 -- not a secret
        left = self._expiry - loop_time()
        return min(pause, left) if left > 0 else pause

    async def _renew(self) -> None:
        try:
            async with asyncio.timeout_at(self._renewed + self._deadline) as limit:
                while not await self._sleep(self._retry):
                    await self._attempt()
                    limit.reschedule(self._renewed + self._deadline)
        except TimeoutError:
            raise LeaseLost(f"the Lease {self} was not renewed for {self._deadline:g} s") from None

    async def _sleep(self, seconds: float) -> bool:
        """Sleep. Return True at once when the elector closes."""
        try:
            # wait_for() would create a task, and while kopf stops it waits for tasks that it does not know.
            async with asyncio.timeout(max(seconds, 0.01)):
                await self._closing.wait()
        except TimeoutError:
            return False
        return True

    async def _attempt(self) -> bool:
        """Acquire or renew the Lease. Return False if that failed, or if another process holds it."""
        self._attempted = loop_time()
        try:
            is_held = await self._acquire_or_renew()
        except Conflict:  # Another process wrote first, or a response was lost. The next attempt reads the Lease.
            return False
        except (KubeError, TimeoutError) as error:
            text = str(error) or "timeout"
            if text != self._last_error:
                _log.warning("Failed to acquire or renew the Lease %s: %s", self, text)
            self._last_error = text
            return False
        self._last_error = ""
        return is_held

    async def _acquire_or_renew(self) -> bool:
        try:
            lease = await self._with_timeout(self._kube.read_lease(self._namespace, self._name))
        except ObjectNotFound:
            lease = {}
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        self._observe(spec)
        if holder not in ("", self.identity):
            if self.elected.is_set():
                raise LeaseLost(f"the Lease {self} is held by {holder} now")
            if loop_time() < self._expiry:
                self._become_standby(holder)
                return False
        renewed = loop_time()
        self._may_hold = True
        await self._write(lease, holder=self.identity, seconds=math.ceil(self._duration))
        self._renewed = renewed
        return True

    def _become_standby(self, leader: str) -> None:
        if leader != self._leader:
            _log.info("Became a standby: the Lease %s is held by %s", self, leader)
        self._leader = leader
        self.is_standby.set()

    def _observe(self, spec: Mapping[str, Any]) -> None:
        """Compute when the Lease expires unless it is renewed.

        A renewal counts from the previous read, which it followed, so that a takeover is not late by one read interval.
        It counts from at most one retry period ago, because reads may have been delayed.
        """
        now = loop_time()
        if spec != self._observed:
            self._observed = spec
            self._expiry = max(min(self._last_read, now), now - self._retry) + (
                spec.get("leaseDurationSeconds") or self._duration
            )
        self._last_read = now

    async def _release(self) -> None:
        try:
            lease = await self._with_timeout(self._kube.read_lease(self._namespace, self._name))
        except ObjectNotFound:
            return
        if (lease.get("spec") or {}).get("holderIdentity") == self.identity:
            await self._write(lease, holder="", seconds=1)
            _log.info("Released the Lease %s", self)

    async def _write(self, lease: Mapping[str, Any], *, holder: str, seconds: int) -> None:
        """Set the *holder* of *lease*. Raise Conflict if the Lease has changed since it was read."""
        before = lease.get("spec") or {}
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # MicroTime always has six digits.
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
        await self._with_timeout(self._kube.write_lease(metadata, spec))

    async def _with_timeout(self, request: Awaitable[_T]) -> _T:
        """Limit *request* to half the renew deadline, so that a request that hangs leaves time for a second one."""
        async with asyncio.timeout(self._deadline / 2):
            return await request
