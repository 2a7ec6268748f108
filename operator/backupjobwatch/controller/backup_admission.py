"""Decides when a backup request may be recorded, so that it can be sent at once.

If the process is killed, a recorded request counts as lost, even if it was not sent. So a request is recorded only when
it can be sent at once. For that, its namespace must be below the limit, and a token, a connection and a worker must be free.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from backupjobwatch.clock import loop_time
from backupjobwatch.domain.jobs.durations import format_duration
from backupjobwatch.domain.polling.backup_plan import Admission, RequestContext
from backupjobwatch.errors import BackupLimitReached

if TYPE_CHECKING:
    from collections.abc import Callable

    from backupjobwatch.arm.backup_rates import BackupRate, BackupRates
    from backupjobwatch.arm.slots import Slots
    from backupjobwatch.controller.watch_state import WatchState
    from backupjobwatch.domain.api.backup_record import BackupRecord
    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.api.target import Identity
    from backupjobwatch.domain.jobs.backup_requests import BackupRequest
    from backupjobwatch.domain.polling.backup_limit import BackupLimit

WORKERS: Final = 4
"""Maximum number of concurrent requests for backups."""
HOLD: Final = 10.0
"""Seconds for which a token, a connection and a worker are kept for a request that is not recorded."""
BUSY: Final = 1.0
"""Minimum seconds between two decisions about a watch while all workers or connections are busy."""
DECISIONS: Final = 50.0
"""Maximum decisions per second about all waiting watches. Without it, 1,000 of them took 37 % of a core."""


@dataclass(slots=True)
class _Reservation:
    """A token, a connection and a worker for a request that is not recorded yet."""

    namespace: str
    request_id: str
    """ID of the request. It counts towards the limit of the namespace."""
    rate: BackupRate
    slots: Slots
    repeated: str | None
    """The ID, if the request repeats a refused one."""
    at: float = 0.0
    """When its token is valid, on the event loop's clock."""
    is_admitted: bool = False


class BackupAdmission:
    """The limits, tokens and workers for the requests of all watches."""

    def __init__(
        self,
        limit: BackupLimit,
        rates: BackupRates,
        *,
        allows: Callable[[str], bool],
        slots_of: Callable[[str, Identity], Slots],
    ) -> None:
        """*allows* returns whether a namespace may request backups.

        *slots_of* returns the slots for requests in flight of an identity in a namespace.
        """
        self.process = str(uuid.uuid4())
        """Unique ID of this process."""
        self._limit = limit
        self._allows = allows
        self._rates = rates
        self._slots_of = slots_of
        self._reservations: dict[str, _Reservation] = {}
        """By the uid of the watch."""
        self._sending: dict[str, Slots | None] = {}
        """The watches whose request is recorded and not answered yet, with the slots that it occupies."""
        self.is_stopped = False
        """Whether no more requests are admitted or sent."""

    def context(self, state: WatchState, *, deadline: datetime | None) -> RequestContext:
        """Return what the domain needs to know about the request of a watch."""
        return RequestContext(
            process=self.process,
            is_allowed=self._allows(state.watch.namespace),
            since=max(state.since, state.checked_after),
            deadline=deadline,
            result=state.backup_result,
            known=state.known_record,
        )

    def admit(
        self, watch: Watch, identity: Identity, request: BackupRequest, refused: BackupRecord | None
    ) -> Admission:
        """Decide whether *watch* may record *request* now. *refused* is the record of an earlier attempt."""
        now, rate = loop_time(), self._rates.rate_of(watch.namespace, identity, request)
        repeated = None if refused is None else refused.request_id
        reservation = self._reservations.get(watch.uid)
        if reservation is not None and reservation.repeated != repeated:  # the revision was edited
            self._drop(watch.uid)
            reservation = None
        request_id = repeated or str(uuid.uuid4()) if reservation is None else reservation.request_id
        error = self._limit_of(watch.namespace, request_id) or rate.pause_error()
        if error is not None:
            return Admission(error=error, wait=error.retry_after or timedelta(seconds=BUSY))
        if reservation is None:
            slots = self._slots_of(watch.namespace, identity)
            reservation = self._reservations[watch.uid] = _Reservation(
                watch.namespace, request_id, rate, slots, repeated
            )
            # Before its token is valid, so that no namespace reserves more tokens than its limit.
            self._count(reservation)
            self._delay(reservation, until=now + rate.bucket.take(now))
        if reservation.at <= now and not (self._has_worker(watch.uid) and reservation.slots.take_for_backup(watch.uid)):
            self._delay(reservation, until=now + max(BUSY, len(self._reservations) / DECISIONS))
        if reservation.at > now:
            return Admission(wait=timedelta(seconds=reservation.at - now + 0.001))  # rounding must not make it zero
        reservation.is_admitted = True
        self._count(reservation)
        return Admission(request_id=request_id)

    def note(self, watch: Watch, record: BackupRecord) -> None:
        """Count the recorded request of *watch* towards the limit, even if another process sent it."""
        if record.request_id is not None:
            self._limit.note(watch.namespace, record.request_id, record.requested_at, now=datetime.now(UTC))

    def begin(self, watch: Watch, record: BackupRecord) -> None:
        """Occupy a worker, because the request of *watch* is recorded."""
        reservation = self._reservations.get(watch.uid)
        if (
            reservation is not None and reservation.request_id != record.request_id
        ):  # an earlier write took effect after all
            self._drop(watch.uid)
        reservation = self._reservations.pop(watch.uid, None)
        self._sending[watch.uid] = self._sending.get(watch.uid) if reservation is None else reservation.slots
        self.note(watch, record)

    def end(self, watch: Watch, record: BackupRecord, *, is_refused: bool) -> None:
        """Release worker and connection. If the request *is_refused*, Azure has started no backup."""
        slots = self._sending.pop(watch.uid, None)
        if slots is not None:
            slots.end_backup(watch.uid)
        if is_refused:
            self._limit.forget(watch.namespace, record.request_id or "")

    def remove(self, uid: str) -> None:
        """Drop the reservation of a watch that no longer exists."""
        if uid in self._reservations:
            self._drop(uid)

    def _limit_of(self, namespace: str, request_id: str) -> BackupLimitReached | None:
        wait = self._limit.wait(namespace, request_id, now=datetime.now(UTC))
        if not wait:
            return None
        return BackupLimitReached(
            f"Namespace {namespace} has requested {self._limit.per_hour} backups within an hour "
            f"(BACKUPJOBWATCH_ON_DEMAND_REQUESTS_PER_HOUR). The next one is possible in {format_duration(wait)}.",
            retry_after=wait,
        )

    def _has_worker(self, uid: str) -> bool:
        busy = self._sending.keys() | {
            each for each, reservation in self._reservations.items() if reservation.is_admitted and each != uid
        }
        return not self.is_stopped and uid not in self._sending and len(busy) < WORKERS

    def _count(self, reservation: _Reservation) -> None:
        """Count the request of *reservation* towards the limit, from now on."""
        now = datetime.now(UTC)
        self._limit.forget(reservation.namespace, reservation.request_id)
        self._limit.note(reservation.namespace, reservation.request_id, now, now=now)

    def _delay(self, reservation: _Reservation, *, until: float) -> None:
        reservation.at = until
        asyncio.get_running_loop().call_at(reservation.at + HOLD, self._drop_expired)

    def _drop_expired(self) -> None:
        """Drop the reservations of watches that have not recorded their request, for example because they were suspended."""
        for uid, reservation in list(self._reservations.items()):
            if loop_time() >= reservation.at + HOLD:
                self._drop(uid)

    def _drop(self, uid: str) -> None:
        """Drop the reservation of a watch, with its token, its connection and its count."""
        reservation = self._reservations.pop(uid)
        reservation.rate.bucket.put_back()
        if uid not in self._sending:
            reservation.slots.end_backup(uid)
        self._limit.forget(reservation.namespace, reservation.request_id)
