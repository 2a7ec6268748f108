"""Emit Kubernetes Events from a separate queue, so that no status waits for an Event."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from backupjobwatch.errors import KubeError, ObjectNotFound
from backupjobwatch.kube.work_queue import Workers, WorkQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.status.transitions import Transition
    from backupjobwatch.kube.client import KubeClient
    from backupjobwatch.kube.work_queue import QueueMetrics

_log = logging.getLogger(__name__)

WORKERS: Final = 2
"""Maximum number of concurrent writes of Events. Statuses have more workers, because gates wait for them."""


class EventRecorder:
    """Writes each transition of a watch as one Event, and retries until the API server has it.

    The name of an Event depends only on its transition, so an Event that exists is not repeated after a restart.
    """

    def __init__(
        self,
        kube: KubeClient,
        *,
        on_emitted: Callable[[Transition], None],
        queue_metrics: QueueMetrics | None = None,
    ) -> None:
        """*on_emitted* is called with each transition whose Event is new to the API server."""
        self._kube = kube
        self._on_emitted = on_emitted
        self._queue: WorkQueue[str] = WorkQueue(queue_metrics)
        self._pending: dict[str, tuple[Watch, Transition]] = {}
        self._of_watch: dict[str, set[str]] = {}
        self._workers = Workers(self._queue, self._process, name="events", count=WORKERS)
        self._idle = asyncio.Event()
        self._idle.set()

    def start(self) -> None:
        """Start the workers."""
        self._workers.start()

    def record(self, watch: Watch, transitions: Iterable[Transition]) -> None:
        """Queue an Event for each of *transitions*."""
        for transition in transitions:
            self._pending[transition.name] = (watch, transition)
            self._of_watch.setdefault(watch.uid, set()).add(transition.name)
            self._queue.add(transition.name)
            self._idle.clear()

    def has_pending(self, uid: str) -> bool:
        """Return whether an Event of this watch is still unwritten."""
        return uid in self._of_watch

    def remove(self, uid: str) -> None:
        """Drop the pending Events of a watch that no longer exists."""
        for name in self._of_watch.pop(uid, ()):
            del self._pending[name]
            self._queue.remove(name)
        self._note_idle()

    async def close(self, patience: float) -> None:
        """Give pending Events *patience* seconds, then end the workers. The next process emits the missing ones."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), patience)
        await self._workers.close()

    async def _process(self, name: str) -> None:
        try:
            await self._emit(name)
        except Exception:  # noqa: BLE001 -- a defect: it would fail again at each attempt
            _log.exception("Failed to write an Event: %s", name)
            self._drop(name)

    async def _emit(self, name: str) -> None:
        if name not in self._pending:
            return
        watch, transition = self._pending[name]
        try:
            is_new = await self._kube.create_event(watch, transition)
        except ObjectNotFound:  # the namespace no longer exists
            is_new = False
        except KubeError as error:
            _log.warning(
                "%s/%s: failed to write the Event %s: %s", watch.namespace, watch.name, transition.reason, error
            )
            if name in self._pending:  # otherwise the watch was deleted
                self._queue.add_rate_limited(name)
            return
        if self._pending.get(name) == (watch, transition):  # otherwise it was recorded and queued again
            self._drop(name)
        if is_new:
            self._on_emitted(transition)

    def _drop(self, name: str) -> None:
        """Drop an Event that was written, or that can never be written."""
        if name not in self._pending:
            return
        watch, _ = self._pending.pop(name)
        names = self._of_watch[watch.uid]
        names.discard(name)
        if not names:
            del self._of_watch[watch.uid]
        self._queue.forget(name)
        self._note_idle()

    def _note_idle(self) -> None:
        if not self._pending:
            self._idle.set()
