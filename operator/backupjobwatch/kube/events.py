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
    from backupjobwatch.observability.metrics.instruments import QueueInstruments

_log = logging.getLogger(__name__)

WORKERS: Final = 2
"""Maximum number of concurrent writes of Events. Statuses have more workers, because gates wait for them."""


class EventRecorder:
    """Writes each transition of a watch as one Event, and retries until the API server has it.

    The name of an Event depends only on its transition, so an Event that exists is not repeated after a restart.
    """

    def __init__(
        self, kube: KubeClient, queue_metrics: QueueInstruments, *, on_emitted: Callable[[Transition], None]
    ) -> None:
        """*on_emitted* is called with each transition whose Event is new to the API server."""
        self._kube = kube
        self._on_emitted = on_emitted
        self._queue: WorkQueue[tuple[str, str]] = WorkQueue(queue_metrics)
        self._pending: dict[str, dict[str, tuple[Watch, Transition]]] = {}
        """By uid of the watch and name of the Event."""
        self._workers = Workers(self._queue, self._process, name="events", count=WORKERS)
        self._idle = asyncio.Event()
        self._idle.set()

    def start(self) -> None:
        """Start the workers."""
        self._workers.start()

    def record(self, watch: Watch, transitions: Iterable[Transition]) -> None:
        """Queue an Event for each of *transitions*."""
        for transition in transitions:
            self._pending.setdefault(watch.uid, {})[transition.name] = (watch, transition)
            self._queue.add((watch.uid, transition.name))
            self._idle.clear()

    def has_pending(self, uid: str) -> bool:
        """Return whether an Event of this watch is still unwritten."""
        return uid in self._pending

    def remove(self, uid: str) -> None:
        """Drop the pending Events of a watch that no longer exists."""
        for name in self._pending.pop(uid, ()):
            self._queue.remove((uid, name))
        self._note_idle()

    async def close(self, drain_timeout: float) -> None:
        """Wait up to *drain_timeout* seconds for pending Events, then end the workers. The next process emits the missing ones."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), drain_timeout)
        await self._workers.close()

    async def _process(self, key: tuple[str, str]) -> None:
        uid, name = key
        event = self._pending.get(uid, {}).get(name)
        if event is None:
            return
        watch, transition = event
        try:
            is_new = await self._kube.create_event(watch, transition)
            if is_new:
                self._on_emitted(transition)
        except ObjectNotFound:  # the namespace no longer exists
            pass
        except KubeError as error:
            _log.warning(
                "%s/%s: failed to write the Event %s: %s", watch.namespace, watch.name, transition.reason, error
            )
            if name in self._pending.get(uid, {}):  # otherwise the watch was deleted
                self._queue.add_rate_limited(key)
            return
        except Exception:  # noqa: BLE001 -- a defect: it would fail again at each attempt
            _log.exception("Failed to write an Event: %s", name)
        pending = self._pending.get(uid, {})
        if pending.get(name) == event:  # otherwise it was recorded and queued again
            del pending[name]
            if not pending:
                del self._pending[uid]
            self._queue.forget(key)
            self._note_idle()

    def _note_idle(self) -> None:
        if not self._pending:
            self._idle.set()
