"""The resync: lists all watches and processes missed changes, so that no event is essential.

A watch stream that reconnects does not report objects that were deleted meanwhile. kopf loses a timer if a watch is suspended
and resumed during one of its ticks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from backupjobwatch.clock import loop_time
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.polling.schedule import resync_pause
from backupjobwatch.errors import KubeError

if TYPE_CHECKING:
    from backupjobwatch.controller.controller import Controller
    from backupjobwatch.kube.client import KubeClient
    from backupjobwatch.observability.metrics.instruments import Metrics
    from backupjobwatch.settings import Settings

_log = logging.getLogger(__name__)


class Resync:
    """Lists all watches at an interval, and passes what events missed to the controller."""

    def __init__(self, settings: Settings, kube: KubeClient, controller: Controller, metrics: Metrics) -> None:
        self._metrics = metrics
        self._interval = settings.resync_interval
        self._scopes = settings.scopes
        self._kube = kube
        self._controller = controller
        self._attempted: float | None = None

    @property
    def alive(self) -> bool:
        """Whether resyncs are attempted. Failed attempts count, because a restart does not fix the API server."""
        return self._attempted is None or time.monotonic() - self._attempted < 3 * self._pause + 60

    @property
    def _pause(self) -> float:
        return resync_pause(self._interval, len(self._controller.uids)).total_seconds()

    async def run(self) -> None:
        """Resync until cancelled."""
        self._attempted = time.monotonic()
        while True:
            await asyncio.sleep(self._pause)
            self._attempted = time.monotonic()
            try:
                await self.once()
            except KubeError as error:
                _log.warning("Failed to list the watches: %s", error)

    async def once(self) -> None:
        """List all watches, enqueue those that differ, and remove those that no longer exist. Raises KubeError."""
        known, began = self._controller.uids, loop_time()
        present: dict[str, Watch] = {}
        for namespace in self._scopes:
            async for metadata in self._kube.list_metadata(namespace):
                watch = Watch.from_body({"metadata": metadata})
                present[watch.uid] = watch
        self._metrics.observe_resync(time.time())
        for uid in known - present.keys():
            _log.info("Removed a watch after a missed deletion event: uid %s", uid, extra={"watch": {"uid": uid}})
            self._controller.remove(uid)
        for watch in present.values():
            self._controller.resync(watch, listed_since=began)
