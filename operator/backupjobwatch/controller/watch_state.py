"""The in-memory state of one watch. It can be lost at any time, because it can be rebuilt from the object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.api.backup_record import RecordState
from backupjobwatch.domain.api.spec import poll_interval
from backupjobwatch.domain.polling.backup_plan import find_record, with_result
from backupjobwatch.domain.polling.observations import NEVER
from backupjobwatch.domain.status.assessment import Times
from backupjobwatch.domain.status.summary import summarize

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from backupjobwatch.domain.api.backup_record import BackupRecord
    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.jobs.backup_requests import BackupRequest
    from backupjobwatch.domain.jobs.findings import PinnedJob
    from backupjobwatch.domain.polling.backup_plan import RequestResult
    from backupjobwatch.domain.polling.queries import Requirements
    from backupjobwatch.domain.status.notifications import DeliveryResult
    from backupjobwatch.domain.status.summary import Summary

REQUEST_INTERVAL: Final = 10.0
"""Minimum seconds between two polls by annotation. Users can set the annotation at any rate."""


@dataclass(slots=True, kw_only=True)
class WatchState:
    """One watch, by uid. Times are seconds on the event loop's clock.

    Events can replace the snapshot whenever a reconcile waits for the API server.
    """

    watch: Watch
    """The latest snapshot."""
    stored_at: float
    """When it was stored."""
    since: float
    """When the watch was first seen with its current target, or was resumed."""
    is_outdated: bool = False
    """Whether the object has to be read again before the next reconcile."""
    is_new: bool = True
    """Whether the watch has not been reconciled by this process yet."""
    fresh_after: float = NEVER
    """When the target was edited. Results of earlier requests are about another target."""
    edited_at: float = NEVER
    """When the spec was edited, which requests a poll. Earlier results still count."""
    deadline_since: float | None = None
    """When the deadline was first seen to have passed."""
    requested: str | None = None
    """The annotation of the latest request for a poll."""
    request_at: float = NEVER
    """When that poll may be sent."""
    pinned: tuple[PinnedJob, ...] = ()
    """Resolved jobs that are not in the status yet."""
    deliveries: tuple[DeliveryResult, ...] = ()
    """Results of deliveries that are not in the status yet."""
    backup_record: BackupRecord | None = None
    """The record of the backup request that is not in the status yet."""
    backup_request: BackupRequest | None = None
    """The request to send when that record is written."""
    recheck_at: datetime | None = None
    """When the requirements change without an observation."""
    known_record: BackupRecord | None = None
    """The latest record seen in the object. It outlives a status that is cleared."""
    is_admission_denied: bool = False
    """Whether a limit or a pause has delayed the backup request."""
    checked_after: float = NEVER
    """The backup request may depend only on results of requests sent at this time or later."""
    backup_result: RequestResult | None = None
    """The latest result of a backup request in this process."""
    unconfirmed: Watch | None = None
    """The snapshot before a write with an unknown outcome."""
    synced_version: str = ""
    """The resourceVersion that the dispatcher, the TTL controller and the backup requester have."""
    interval: timedelta | None = None
    """The poll interval; None if the watch is not polled."""
    summary: Summary = field(init=False)
    """What metrics report. It is computed here, so that a scrape does not compute thousands."""

    def __post_init__(self) -> None:
        self._derive()
        self._note_request(self.stored_at)
        if self.watch.is_retargeted:
            self.fresh_after = self.since

    def store(self, watch: Watch, now: float, *, is_read: bool = False) -> bool:
        """Store a snapshot if it is newer. Always store one that *is_read* with a GET or PUT. Return whether it was stored."""
        is_known = watch.resource_version == self.watch.resource_version
        if not is_read and (is_known or watch.version < self.watch.version):
            return False
        is_other_target = watch.target != self.watch.target
        if watch.generation != self.watch.generation:
            self.edited_at = now
        self.watch, self.stored_at, self.is_outdated = watch, now, False
        if is_other_target:
            self.since, self.pinned, self.backup_record, self.deadline_since = now, (), None, None
            self.fresh_after = now if watch.is_retargeted else NEVER
            record = watch.backup_record
            if record is not None and record.state is RecordState.REFUSED:
                self.backup_result = None  # an edit repeats the request, even if Azure had refused the item
        self._note_request(now)
        self._derive()
        return True

    def suspend(self, now: float) -> None:
        """Ignore the results so far, because the watch is suspended. Only results after its resumption count."""
        self.since, self.deadline_since = now, None
        self.note_result()

    def note_result(self) -> None:
        """Note the result of the backup request of a watch that no longer requires anything."""
        self.backup_record = with_result(find_record(self.watch, self.known_record), self.backup_result)

    def note(self, required: Requirements) -> None:
        """Keep what *required* resolved until it is in the status."""
        self.pinned, self.backup_record = required.pinned, required.record
        self.backup_request = required.request or self.backup_request
        self.recheck_at = required.recheck_at

    @property
    def has_result(self) -> bool:
        """Whether the result of a backup request is not in the status yet."""
        stored, latest = self.watch.backup_record, self.backup_record
        if stored is None or latest is None:
            return False
        return stored.key == latest.key and stored.state is not latest.state

    def times(self, now: float) -> Times:
        """Return the times that an assessment at *now* needs."""
        return Times(now=now, since=self.since, fresh_after=self.fresh_after, deadline_since=self.deadline_since)

    def _note_request(self, now: float) -> None:
        if self.watch.request_pending and self.watch.requested_at != self.requested:
            self.requested = self.watch.requested_at
            self.request_at = max(now, self.request_at + REQUEST_INTERVAL)

    def _derive(self) -> None:
        self.interval = None if self.watch.is_idle else poll_interval(self.watch.spec)
        self.summary = summarize(self.watch)
        self.known_record = self.watch.backup_record or self.known_record
