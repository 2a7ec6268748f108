"""Delivers notifications, each in a task of its own, with retries.

No state is kept beyond the process: what is due follows from the objects. No reconciliation waits for a delivery.
"""

from __future__ import annotations

import asyncio
import contextlib
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
    from collections.abc import AsyncIterator, Callable, Mapping

    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.notify.receivers import Receivers
    from backupjobwatch.observability.metrics.instruments import Metrics

_log = logging.getLogger(__name__)

AT_ONCE: Final = 32
"""Attempts at one time."""
AT_ONCE_EACH: Final = 4
"""Of them for one namespace: its dead receivers do not hold up the others'."""


@dataclass(slots=True)
class _Batch:
    """What is due of one phase of one watch."""

    watch: Watch
    id: str
    tasks: dict[str, tuple[Notification, asyncio.Task[None]]] = field(default_factory=dict)
    deliveries: dict[str, DeliveryResult] = field(default_factory=dict)
    """Outcomes that the object does not have yet, and those of notices that are being retried."""

    def is_settled(self, name: str) -> bool:
        """Return whether there will be no other attempt for an entry."""
        return name in self.deliveries and not self.deliveries[name].retrying


class NotificationDispatcher:
    """Delivers what is due, and reports outcomes: when all of a watch are settled, and when an attempt fails anew."""

    def __init__(self, receivers: Receivers, metrics: Metrics) -> None:
        self._receivers = receivers
        self._metrics = metrics
        self._batches: dict[str, _Batch] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._turns_of: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        """By namespace, for as long as somebody has a turn or waits for one."""
        self._closed = False
        self.on_delivered: Callable[[Watch, tuple[DeliveryResult, ...]], None] = lambda *_: None
        """Called with a watch and the outcomes of its notices."""

    def sync(self, watch: Watch) -> None:
        """Start the deliveries that are due for *watch*, the latest snapshot, and cancel those that no longer are."""
        batch = self._batches.get(watch.uid)
        if batch is not None and (watch.deleting or batch.id != _id(watch)):
            self.remove(watch.uid)  # the phase or the target has changed
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
        elif not batch.tasks and outdated:  # the last delivery that the others waited for is no longer due
            self.on_delivered(watch, tuple(batch.deliveries.values()))

    def remove(self, uid: str) -> None:
        """Cancel the deliveries of a watch."""
        batch = self._batches.pop(uid, None)
        for _, task in batch.tasks.values() if batch else ():
            task.cancel()

    async def close(self) -> None:
        """Cancel all deliveries and start no more. The objects say what is due."""
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
        """Report that an attempt failed. Return False if the last one failed in the same way: that is no news."""
        known = batch.deliveries.get(notification.notify.name)
        if known is not None and known.failure == failure:
            return False
        self._note(batch, notification, failure, retrying=True)
        self.on_delivered(batch.watch, tuple(batch.deliveries.values()))
        return True

    async def _try(self, batch: _Batch, notification: Notification) -> str | None:
        """Attempt to deliver until that succeeds or the attempts are used up. Return why the last one failed."""
        watch = batch.watch
        whose = f"{watch.namespace}/{watch.name}: notification {notification.notify.name}"
        channel = notification.notify.receiver.channel
        about = watch_fields(watch, phase=notification.phase)
        attempt = 0
        while True:
            attempt += 1
            try:
                async with self._turn(watch.namespace):
                    await self._receivers.deliver(watch, notification)
            except DeliveryError as error:
                failure = error
            except Exception as error:  # noqa: BLE001 -- a defect, whose words may hold an address or a token
                _log.error("%s: a delivery failed: %s", whose, type(error).__name__, extra=about)
                failure = DeliveryRefused("The operator failed: see its log.")
            else:
                _log.info("%s: %s was delivered", whose, notification.id, extra=about)
                self._metrics.observe_notification(channel, "delivered")
                return None
            if attempt >= failure.attempts:
                attempts = f"{attempt} attempt{'s' if attempt > 1 else ''}"
                _log.warning("%s: given up after %s: %s", whose, attempts, failure, extra=about)
                self._metrics.observe_notification(channel, "failed")
                return f"{failure} Given up after {attempts}."
            delay = retry_delay(attempt, f"{notification.id}/{notification.notify.name}", failure.retry_after)
            level = logging.WARNING if self._note_retry(batch, notification, str(failure)) else logging.INFO
            _log.log(level, "%s: attempt %d failed: %s", whose, attempt, failure, extra=about)
            self._metrics.observe_notification(channel, "retried")
            await asyncio.sleep(delay.total_seconds())

    @contextlib.asynccontextmanager
    async def _turn(self, namespace: str) -> AsyncIterator[None]:
        async with self._turns_of.setdefault(namespace, asyncio.Semaphore(AT_ONCE_EACH)), self._turns:
            yield


def _cancel_outdated(batch: _Batch, notifications: Mapping[str, Notification]) -> bool:
    """Cancel the deliveries that are no longer due as they are, and drop those that ended. Return whether any was."""
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
