"""Delivers notifications: each in a task of its own, tried again and again, until all of a watch's are settled.

Nothing here is kept: what is due follows from the objects, and those who follow them bring every object here. No step, no
write and no deletion of an object waits for anything here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from backupjobwatch.core.notifications import Notice, Settled, due, notice_id
from backupjobwatch.core.schedule import retry_delay
from backupjobwatch.errors import DeliveryError, DeliveryRefused
from backupjobwatch.logs import watch_fields

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from backupjobwatch.core.watch import Watch
    from backupjobwatch.metrics.instruments import Metrics
    from backupjobwatch.notify.receivers import Receivers

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
    tasks: dict[str, tuple[Notice, asyncio.Task[None]]] = field(default_factory=dict)
    settled: dict[str, Settled] = field(default_factory=dict)
    """What is not yet seen in the object."""


class Courier:
    """Delivers what is due, and says what became of it when all of it is settled."""

    def __init__(self, receivers: Receivers, metrics: Metrics) -> None:
        self._receivers = receivers
        self._metrics = metrics
        self._batches: dict[str, _Batch] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._turns_of: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        """By namespace, for as long as somebody has a turn or waits for one."""
        self._closed = False
        self.on_settled: Callable[[Watch, tuple[Settled, ...]], None] = lambda *_: None
        """Called with a watch all of whose due notifications are settled."""

    def consider(self, watch: Watch) -> None:
        """Begin what is due by *watch*, as the cluster has it; end what no longer is."""
        batch = self._batches.get(watch.uid)
        if batch is not None and (watch.deleting or batch.id != _id(watch)):
            self.forget(watch.uid)  # the phase is over, or the target: what was not told of it is not
            batch = None
        if self._closed or not watch.observed:
            return
        notices = {notice.notify.name: notice for notice in due(watch)}
        if batch is None:
            if not notices:
                return
            batch = self._batches[watch.uid] = _Batch(watch, _id(watch))
        batch.watch = watch
        batch.settled = {name: settled for name, settled in batch.settled.items() if name in notices}
        outdated = [name for name, (notice, task) in batch.tasks.items() if task.done() or notices.get(name) != notice]
        for name in outdated:
            _, task = batch.tasks.pop(name)
            task.cancel()
        for name, notice in notices.items():
            if name not in batch.tasks and name not in batch.settled:
                self._start(batch, notice)
        if not batch.tasks and not batch.settled:
            del self._batches[watch.uid]
        elif not batch.tasks and outdated:  # the others had waited for what is no longer in the spec
            self.on_settled(watch, tuple(batch.settled.values()))

    def forget(self, uid: str) -> None:
        """End what is under way for a watch that is no more: it cannot be written down."""
        batch = self._batches.pop(uid, None)
        for _, task in batch.tasks.values() if batch else ():
            task.cancel()

    async def close(self) -> None:
        """End what is under way, and begin nothing more. Nothing is lost: see the objects."""
        self._closed = True
        for uid in list(self._batches):
            self.forget(uid)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, batch: _Batch, notice: Notice) -> None:
        task = asyncio.create_task(self._deliver(batch, notice))
        batch.tasks[notice.notify.name] = (notice, task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, batch: _Batch, notice: Notice) -> None:
        # kopf cancels every task that it finds when it fails: what is due is begun again as it lists the objects anew.
        failure = await self._try(batch.watch, notice)
        name = notice.notify.name
        now = datetime.now(UTC)
        batch.settled[name] = Settled(name=name, id=notice.id, phase=notice.phase, time=now, failure=failure)
        del batch.tasks[name]
        if not batch.tasks:
            self.on_settled(batch.watch, tuple(batch.settled.values()))

    async def _try(self, watch: Watch, notice: Notice) -> str | None:
        """Try until it is delivered, or given up; then why."""
        whose = f"{watch.namespace}/{watch.name}: notification {notice.notify.name}"
        channel = notice.notify.receiver.channel
        about = watch_fields(watch, phase=notice.phase)
        attempt = 0
        while True:
            attempt += 1
            try:
                async with self._turn(watch.namespace):
                    await self._receivers.deliver(watch, notice)
            except DeliveryError as error:
                failure = error
            except Exception as error:  # noqa: BLE001 -- a defect, whose words may hold an address or a token
                _log.error("%s: a delivery failed: %s", whose, type(error).__name__, extra=about)
                failure = DeliveryRefused("The operator failed: see its log.")
            else:
                _log.info("%s: %s was delivered", whose, notice.id, extra=about)
                self._metrics.observe_notification(channel, "delivered")
                return None
            if attempt >= failure.attempts:
                attempts = f"{attempt} attempt{'s' if attempt > 1 else ''}"
                _log.warning("%s: given up after %s: %s", whose, attempts, failure, extra=about)
                self._metrics.observe_notification(channel, "failed")
                return f"{failure} Given up after {attempts}."
            delay = retry_delay(attempt, f"{notice.id}/{notice.notify.name}", failure.retry_after)
            _log.info("%s: attempt %d failed: %s", whose, attempt, failure, extra=about)
            self._metrics.observe_notification(channel, "retried")
            await asyncio.sleep(delay.total_seconds())

    @contextlib.asynccontextmanager
    async def _turn(self, namespace: str) -> AsyncIterator[None]:
        async with self._turns_of.setdefault(namespace, asyncio.Semaphore(AT_ONCE_EACH)), self._turns:
            yield


def _id(watch: Watch) -> str:
    return notice_id(watch, str(watch.own_status.get("phase")))
