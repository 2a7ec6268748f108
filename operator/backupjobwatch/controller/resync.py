"""The sweep: compares what exists with what is followed, so that nothing depends on having seen an event.

Seen to happen: a watch stream that reconnects does not tell of objects deleted meanwhile, and kopf loses a timer when
a suspension and its end cross a running tick.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.polling.schedule import sweep_pause
from backupjobwatch.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backupjobwatch.controller.controller import Roster
    from backupjobwatch.kube.client import Store
    from backupjobwatch.observability.metrics.instruments import Metrics
    from backupjobwatch.settings import Settings

_log = logging.getLogger(__name__)


class Sweep:
    """Lists the watches now and then, and mends the roster."""

    def __init__(self, settings: Settings, store: Store, roster: Roster, metrics: Metrics) -> None:
        self._metrics = metrics
        self._interval = settings.sweep_interval
        self._scopes = settings.scopes
        self._store = store
        self._roster = roster
        self._attempted: float | None = None

    @property
    def alive(self) -> bool:
        """Whether sweeps are being attempted, once begun; failing ones count, as no restart mends an API server."""
        return self._attempted is None or time.monotonic() - self._attempted < 3 * self._pause + 60

    @property
    def _pause(self) -> float:
        return sweep_pause(self._interval, len(self._roster.uids)).total_seconds()

    async def run(self) -> None:
        """Sweep for ever."""
        self._attempted = time.monotonic()
        while True:
            await asyncio.sleep(self._pause)
            self._attempted = time.monotonic()
            try:
                await self.once()
            except StoreError as error:
                _log.warning("The watches could not be listed: %s", error)

    async def once(self) -> None:
        """List the watches; follow what was missed, and forget what is gone. StoreError where that fails."""
        followed = self._roster.uids
        present = {metadata.uid: metadata for namespace in self._scopes async for metadata in self._list(namespace)}
        self._metrics.observe_sweep(time.time())
        for uid in followed - present.keys():
            _log.info("A watch (uid %s) is gone, and its deletion was missed", uid, extra={"watch": {"uid": uid}})
            self._roster.forget(uid)
        for metadata in present.values():
            if self._roster.needs_a_look(metadata):
                await self._roster.look(metadata.namespace, metadata.name)

    async def _list(self, namespace: str | None) -> AsyncIterator[Watch]:
        async for metadata in self._store.list_metadata(namespace):
            yield Watch.from_body({"metadata": metadata})
