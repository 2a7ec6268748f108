"""Sends the requests for backups that ``status.onDemand`` records, each at most once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from backupjobwatch.controller.backup_admission import WORKERS
from backupjobwatch.domain.api.backup_record import RecordState
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.resource_ids import OperationId
from backupjobwatch.domain.polling.backup_plan import RequestResult, may_send
from backupjobwatch.errors import (
    AzureError,
    InvalidSpec,
    KubeError,
    ObjectNotFound,
    PollDeferred,
    RequestUncertain,
)
from backupjobwatch.kube.work_queue import Workers, WorkQueue
from backupjobwatch.observability.logs import watch_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from backupjobwatch.controller.backup_admission import BackupAdmission
    from backupjobwatch.controller.protocols import ObjectClient
    from backupjobwatch.domain.api.backup_record import BackupRecord
    from backupjobwatch.domain.api.target import Identity
    from backupjobwatch.domain.jobs.backup_requests import BackupRequest
    from backupjobwatch.observability.metrics.instruments import Metrics

_log = logging.getLogger(__name__)

REMEMBERED: Final = 10_000
"""Maximum number of sent requests to remember. A request is sent within a minute of its record, so older ones cannot return."""


class BackupSender(Protocol):
    """A client of Azure."""

    async def request_backup(
        self,
        namespace: str,
        identity: Identity,
        request: BackupRequest,
        *,
        request_id: str,
        may_send: Callable[[], bool],
    ) -> OperationId:
        """Send *request* once, if *may_send* still returns true right before. Raises AzureError."""


class BackupRequester:
    """Sends a recorded request if this process wrote the record, has not sent it, and still leads."""

    def __init__(
        self,
        objects: ObjectClient,
        sender: BackupSender,
        metrics: Metrics,
        *,
        admission: BackupAdmission,
        is_leading: Callable[[], bool],
    ) -> None:
        self._objects = objects
        self._sender = sender
        self._metrics = metrics
        self._admission = admission
        self._is_leading = is_leading
        self._pending: dict[str, tuple[Watch, BackupRecord, BackupRequest | None]] = {}
        self._results: OrderedDict[tuple[str | None, int], RequestResult | None] = OrderedDict()
        """The requests that were or will be sent, by key. None until the result is known."""
        self._queue: WorkQueue[str] = WorkQueue(metrics.queue("backup"))
        self._workers = Workers(self._queue, self._process, name="backup", count=WORKERS)
        self.on_result: Callable[[str, RequestResult], None] = lambda *_: None
        """Called with the uid of a watch and the result of its request."""
        self.snapshot: Callable[[str], Watch | None] = lambda _: None
        """Returns the latest snapshot of a watch by its uid. Called in any thread."""

    def start(self) -> None:
        """Start the workers."""
        self._workers.start()

    def sync(self, watch: Watch, request: BackupRequest | None) -> None:
        """Queue the request that *watch* records, unless it was sent. *request* is what this process resolved."""
        record = watch.backup_record
        if record is None or record.request_id is None:
            return
        if record.state is not RecordState.REQUESTED or record.process != self._admission.process:
            if record.state is not RecordState.REFUSED:
                self._admission.note(watch, record)
            return
        if record.key not in self._results:
            self._admission.begin(watch, record)
            self._pending[watch.uid] = (watch, record, request)
            self._queue.add(watch.uid)
            if self._admission.is_stopped:
                self._refuse_pending()
        elif (result := self._results[record.key]) is not None:
            self.on_result(watch.uid, result)

    def remove(self, uid: str) -> None:
        """Drop a watch that no longer exists. A request in flight continues."""
        self._queue.remove(uid)
        self._admission.remove(uid)
        pending = self._pending.pop(uid, None)
        if pending is not None:
            watch, record, _ = pending
            self._admission.end(watch, record, is_refused=True)

    def stop(self) -> None:
        """Send no more requests. Those that were not sent are refused, so that the next leader repeats them."""
        self._admission.is_stopped = True
        self._queue.close()
        self._refuse_pending()

    async def close(self, drain_timeout: float) -> None:
        """Wait up to *drain_timeout* seconds for requests in flight. The next leader recovers the others."""
        self.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._queue.drained(), drain_timeout)
        await self._workers.close()

    async def _process(self, uid: str) -> None:
        pending = self._pending.pop(uid, None)
        if pending is None:
            return
        watch, record, request = pending
        if record.key in self._results:
            return
        self._remember(record)
        try:
            answer = await self._answer(watch, record, request)
        except Exception:  # noqa: BLE001 -- a defect before the request was sent
            _log.exception(
                "%s/%s: the backup was not requested", watch.namespace, watch.name, extra=watch_fields(watch)
            )
            answer = PollDeferred("The backup was not requested, because of an unexpected error.")
        self._report(watch, record, answer)

    def _refuse_pending(self) -> None:
        """Refuse the requests that no worker has taken."""
        while self._pending:
            _, (watch, record, _) = self._pending.popitem()
            if record.key not in self._results:
                self._remember(record)
                self._report(watch, record, PollDeferred("The backup was not requested, because the operator stopped."))

    def _report(self, watch: Watch, record: BackupRecord, answer: OperationId | AzureError) -> None:
        """Keep the result of a request, and pass it on."""
        result = RequestResult(record=record, answer=answer, received=datetime.now(UTC))
        self._results[record.key] = result
        is_refused = isinstance(answer, AzureError) and not isinstance(answer, RequestUncertain)
        self._admission.end(watch, record, is_refused=is_refused)
        kind = _kind(answer)
        self._metrics.observe_backup_request(kind)
        _log.log(
            logging.WARNING if kind == "uncertain" else logging.INFO, "%s/%s: backup request %s: %s%s",
            watch.namespace, watch.name, record.request_id, kind, f": {answer}" if isinstance(answer, AzureError) else "",
            extra={**watch_fields(watch), "client_request_id": record.request_id},
        )  # fmt: skip
        self.on_result(watch.uid, result)

    async def _answer(
        self, watch: Watch, record: BackupRecord, request: BackupRequest | None
    ) -> OperationId | AzureError:
        """Send the request of *record* if the watch still allows it. Return the answer, or why none was sent."""
        fresh = await self._read(watch)
        if fresh is None or fresh.backup_record != record or request is None or request.item.id != record.item:
            return PollDeferred("The backup was not requested, because the watch changed.")
        spec, request_id = fresh.parsed_spec, record.request_id or ""

        def is_still_ours() -> bool:
            latest, now = self.snapshot(watch.uid), datetime.now(UTC)
            return (
                not self._admission.is_stopped
                and self._is_leading()
                and all(
                    each is not None
                    and each.backup_record == record
                    and may_send(each, process=self._admission.process, now=now)
                    for each in (fresh, latest)
                )
            )

        if isinstance(spec, InvalidSpec) or not is_still_ours():
            return PollDeferred("The backup was not requested, because the watch changed.")
        try:
            return await self._sender.request_backup(
                watch.namespace, spec.identity, request, request_id=request_id, may_send=is_still_ours
            )
        except AzureError as error:
            error.__cause__ = error.__context__ = None  # their frames hold the token
            return error.with_traceback(None)
        except Exception:  # noqa: BLE001 -- a defect: the request may have been sent
            _log.exception("%s/%s: the backup request failed", watch.namespace, watch.name, extra=watch_fields(watch))
            return RequestUncertain("The request for the backup ended with an unexpected error.")

    async def _read(self, watch: Watch) -> Watch | None:
        """Read the object again: it may have been suspended, edited or deleted. None if it cannot be read."""
        try:
            fresh = Watch.from_body(await self._objects.read(watch.namespace, watch.name))
        except ObjectNotFound:
            return None
        except KubeError as error:
            _log.warning("%s/%s: not read: %s", watch.namespace, watch.name, error, extra=watch_fields(watch))
            return None
        return fresh if fresh.uid == watch.uid else None

    def _remember(self, record: BackupRecord) -> None:
        self._results[record.key] = None
        while len(self._results) > REMEMBERED:
            self._results.popitem(last=False)


def _kind(answer: OperationId | AzureError) -> str:
    """Return the label of the metric for *answer*."""
    if isinstance(answer, OperationId):
        return "accepted"
    if isinstance(answer, RequestUncertain):
        return "uncertain"
    return "not_sent" if not answer.is_from_request else "refused"
