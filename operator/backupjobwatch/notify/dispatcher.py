"""Deliver notifications with retries, each in its own task.

The objects determine what is due, so no state outlives the process. No reconciliation waits for a delivery.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from backupjobwatch.domain.polling.schedule import retry_delay
from backupjobwatch.domain.status.notifications import DeliveryResult, Notification, due, notification_id
from backupjobwatch.errors import DeliveryError, DeliveryRefused
from backupjobwatch.observability.logs import watch_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.notify.receivers import Receivers
    from backupjobwatch.observability.metrics.instruments import Metrics

_log = logging.getLogger(__name__)

AT_ONCE: Final = 32
"""Concurrency limit of attempts."""
AT_ONCE_EACH: Final = 4
"""Concurrency limit per namespace, so that unreachable receivers of a namespace do not delay other namespaces."""


@dataclass(slots=True)
class _Batch:
    """The notifications that are due for a phase of a watch."""

    watch: Watch
    id: str
    tasks: dict[str, tuple[Notification, asyncio.Task[None]]] = field(default_factory=dict)
    deliveries: dict[str, DeliveryResult] = field(default_factory=dict)
    """Results that the object does not have yet, and results of notifications that are being retried."""

    def is_settled(self, name: str) -> bool:
        """Return whether no attempt follows for an entry."""
        return name in self.deliveries and not self.deliveries[name].retrying


class NotificationDispatcher:
    """Deliver due notifications. Report results when all of a watch are settled, or when an attempt fails with a new error."""

    def __init__(self, receivers: Receivers, metrics: Metrics) -> None:
        self._receivers = receivers
        self._metrics = metrics
        self._batches: dict[str, _Batch] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._limit = asyncio.Semaphore(AT_ONCE)
        self._namespace_limits: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        """By namespace. An entry exists while an attempt holds it or waits for it."""
        self._closed = False
        self.on_delivered: Callable[[Watch, tuple[DeliveryResult, ...]], None] = lambda *_: None
        """Called with a watch and the results of its notifications."""

    def sync(self, watch: Watch) -> None:
        """Start the deliveries that are due for the snapshot *watch*, and cancel those that are no longer due."""
        batch = self._batches.get(watch.uid)
        if batch is not None and (watch.deleting or batch.id != _id(watch)):
            self.remove(watch.uid)  # The phase or the target has changed.
            batch = None
        if self._closed or not watch.observed:
            return
        notifications = {notification.notify.name: notification for notification in due(watch)}
        if batch is None:
            if not notifications:
                return
            batch = self._batches[watch.uid] = _Batch(watch, _id(watch))
        batch.watch = watch
        batch.deliveries = {name: deliveries for name, deliveries in batch.deliveries.items() if name in notifications}
        outdated = _cancel_outdated(batch, notifications)
        for name, notification in notifications.items():
            if name not in batch.tasks and not batch.is_settled(name):
                self._start(batch, notification)
        if not batch.tasks and not batch.deliveries:
            del self._batches[watch.uid]
        elif not batch.tasks and outdated:  # The delivery that delayed the report of the results is no longer due.
            self.on_delivered(watch, tuple(batch.deliveries.values()))

    def remove(self, uid: str) -> None:
        """Cancel the deliveries of a watch."""
        batch = self._batches.pop(uid, None)
        for _, task in batch.tasks.values() if batch else ():
            task.cancel()

    async def close(self) -> None:
        """Cancel all deliveries and start no new ones."""
        self._closed = True
        for uid in list(self._batches):
            self.remove(uid)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, batch: _Batch, notification: Notification) -> None:
        task = asyncio.create_task(self._deliver(batch, notification))
        batch.tasks[notification.notify.name] = (notification, task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, batch: _Batch, notification: Notification) -> None:
        # When kopf fails, it cancels every task. The deliveries start again when it lists the objects.
        failure = await self._try(batch, notification)
        self._note(batch, notification, failure)
        del batch.tasks[notification.notify.name]
        if not batch.tasks:
            self.on_delivered(batch.watch, tuple(batch.deliveries.values()))

    def _note(self, batch: _Batch, notification: Notification, failure: str | None, *, retrying: bool = False) -> None:
        name, now = notification.notify.name, datetime.now(UTC)
        batch.deliveries[name] = DeliveryResult(
            name=name, id=notification.id, phase=notification.phase, time=now, failure=failure, retrying=retrying
        )

    def _note_retry(self, batch: _Batch, notification: Notification, failure: str) -> bool:
        """Report a failed attempt. Return False if the previous attempt failed in the same way."""
        known = batch.deliveries.get(notification.notify.name)
        if known is not None and known.failure == failure:
            return False
        self._note(batch, notification, failure, retrying=True)
        self.on_delivered(batch.watch, tuple(batch.deliveries.values()))
        return True

    async def _try(self, batch: _Batch, notification: Notification) -> str | None:
        """Attempt to deliver until an attempt succeeds or none are left. Return why the last one failed."""
        watch = batch.watch
        whose = f"{watch.namespace}/{watch.name}: notification {notification.notify.name}"
        channel = notification.notify.receiver.channel
        about = watch_fields(watch, phase=notification.phase)
        attempt = 0
        while True:
            attempt += 1
            try:
                async with (
                    self._namespace_limits.setdefault(watch.namespace, asyncio.Semaphore(AT_ONCE_EACH)),
                    self._limit,
                ):
                    await self._receivers.deliver(watch, notification)
            except DeliveryError as error:
                failure = error
            except Exception as error:  # noqa: BLE001 -- a bug. Its message may contain an address or a token
                _log.error("%s: failed to deliver: %s", whose, type(error).__name__, extra=about)
                failure = DeliveryRefused("The operator failed. See its log.")
            else:
                _log.info("%s: delivered %s", whose, notification.id, extra=about)
                self._metrics.observe_notification(channel, "delivered")
                return None
            if attempt >= failure.attempts:
                attempts = f"{attempt} attempt{'s' if attempt > 1 else ''}"
                _log.warning("%s: failed after %s: %s", whose, attempts, failure, extra=about)
                self._metrics.observe_notification(channel, "failed")
                return f"{failure} The operator made {attempts} and stopped."
            delay = retry_delay(attempt, f"{notification.id}/{notification.notify.name}", failure.retry_after)
            level = logging.WARNING if self._note_retry(batch, notification, str(failure)) else logging.INFO
            _log.log(level, "%s: attempt %d failed: %s", whose, attempt, failure, extra=about)
            self._metrics.observe_notification(channel, "retried")
            await asyncio.sleep(delay.total_seconds())


def _cancel_outdated(batch: _Batch, notifications: Mapping[str, Notification]) -> bool:
    """Cancel deliveries that are no longer due or have changed, and drop finished ones. Return whether there were any."""
    outdated = [
        name
        for name, (notification, task) in batch.tasks.items()
        if task.done() or notifications.get(name) != notification
    ]
    for name in outdated:
        _, task = batch.tasks.pop(name)
        task.cancel()
        if not batch.is_settled(name):
            batch.deliveries.pop(name, None)
    return bool(outdated)


def _id(watch: Watch) -> str:
    return notification_id(watch, str(watch.status_for_target.get("phase")))
