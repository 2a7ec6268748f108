"""Decides when a backup may be requested, before the request is recorded.

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

    from backupjobwatch.arm.backup_rates import BackupRates
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
"""Decisions per second about all watches meanwhile. Without it, those about 1,000 watches took 37 % of a core."""


@dataclass(slots=True)
class _Turn:
    """The turn of a request that is not recorded yet."""

    key: tuple[str, Identity, BackupRequest]
    """Namespace, identity and request, which determine the token."""
    request_id: str
    """ID of the request. It counts towards the limit of the namespace."""
    slots: Slots
    repeated: str | None
    """The ID, if the request repeats a refused one."""
    at: float = 0.0
    """When its token is valid, on the event loop's clock."""
    is_admitted: bool = False

    @property
    def namespace(self) -> str:
        return self.key[0]


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
        self._turns: dict[str, _Turn] = {}
        """By the uid of the watch."""
        self._sending: dict[str, Slots | None] = {}
        """The watches whose request is recorded and not answered yet, with the slots that it occupies."""
        self._is_stopped = False

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
        now, key = loop_time(), (watch.namespace, identity, request)
        repeated = None if refused is None else refused.request_id
        turn = self._turns.get(watch.uid)
        if turn is not None and turn.repeated != repeated:  # the revision was edited
            self._drop(watch.uid)
            turn = None
        request_id = repeated or str(uuid.uuid4()) if turn is None else turn.request_id
        error = self._limit_of(watch.namespace, request_id) or self._rates.pause_of(*key)
        if error is not None:
            return Admission(error=error, wait=error.retry_after or timedelta(seconds=BUSY))
        if turn is None:
            slots = self._slots_of(watch.namespace, identity)
            turn = self._turns[watch.uid] = _Turn(key, request_id, slots, repeated)
            self._count(turn)  # before its token is valid, so that no namespace reserves more tokens than its limit
            self._delay(turn, until=now + self._rates.reserve(*key))
        if turn.at <= now and not (self._has_worker(watch.uid) and turn.slots.take_for_backup(watch.uid)):
            self._delay(turn, until=now + max(BUSY, len(self._turns) / DECISIONS))
        if turn.at > now:
            return Admission(wait=timedelta(seconds=turn.at - now + 0.001))  # rounding must not make it zero
        turn.is_admitted = True
        self._count(turn)
        return Admission(request_id=request_id)

    def stop(self) -> None:
        """Admit no more requests."""
        self._is_stopped = True

    def note(self, watch: Watch, record: BackupRecord) -> None:
        """Count the recorded request of *watch* towards the limit, also if another process sent it."""
        if record.request_id is not None:
            self._limit.note(watch.namespace, record.request_id, record.requested_at, now=datetime.now(UTC))

    def begin(self, watch: Watch, record: BackupRecord) -> None:
        """Occupy a worker, because the request of *watch* is recorded."""
        turn = self._turns.get(watch.uid)
        if turn is not None and turn.request_id != record.request_id:  # an earlier write took effect after all
            self._drop(watch.uid)
        turn = self._turns.pop(watch.uid, None)
        self._sending[watch.uid] = self._sending.get(watch.uid) if turn is None else turn.slots
        self.note(watch, record)

    def end(self, watch: Watch, record: BackupRecord, *, is_refused: bool) -> None:
        """Release worker and connection. If the request *is_refused*, Azure has started no backup."""
        slots = self._sending.pop(watch.uid, None)
        if slots is not None:
            slots.end_backup(watch.uid)
        if is_refused:
            self._limit.forget(watch.namespace, record.request_id or "")

    def remove(self, uid: str) -> None:
        """Drop the turn of a watch that no longer exists."""
        if uid in self._turns:
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
        busy = self._sending.keys() | {each for each, turn in self._turns.items() if turn.is_admitted and each != uid}
        return not self._is_stopped and uid not in self._sending and len(busy) < WORKERS

    def _count(self, turn: _Turn) -> None:
        """Count the request of *turn* towards the limit, from now on."""
        now = datetime.now(UTC)
        self._limit.forget(turn.namespace, turn.request_id)
        self._limit.note(turn.namespace, turn.request_id, now, now=now)

    def _delay(self, turn: _Turn, *, until: float) -> None:
        turn.at = until
        asyncio.get_running_loop().call_at(turn.at + HOLD, self._drop_expired)

    def _drop_expired(self) -> None:
        """Drop the turns of watches that have not recorded their request, for example because they were suspended."""
        for uid, turn in list(self._turns.items()):
            if loop_time() >= turn.at + HOLD:
                self._drop(uid)

    def _drop(self, uid: str) -> None:
        """Drop the turn of a watch, with its token, its connection and its count."""
        turn = self._turns.pop(uid)
        self._rates.put_back(*turn.key)
        if uid not in self._sending:
            turn.slots.end_backup(uid)
        self._limit.forget(turn.namespace, turn.request_id)
