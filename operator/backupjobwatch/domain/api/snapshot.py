"""An immutable snapshot of a BackupJobWatch object."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.constants import MAX_REQUESTED_AT, REQUESTED_AT
from backupjobwatch.domain.api.backup_record import BackupRecord, parse_record
from backupjobwatch.domain.api.ownership import find_owner
from backupjobwatch.domain.api.spec import WatchSpec, parse_spec, read_revision, target_digest
from backupjobwatch.domain.api.stored_status import read_status
from backupjobwatch.domain.jobs.findings import PinnedJob
from backupjobwatch.domain.jobs.latest_job import LatestJob
from backupjobwatch.domain.jobs.latest_window import NOT_STORED, check_reach, check_started_after
from backupjobwatch.domain.jobs.payloads import mapping
from backupjobwatch.domain.jobs.times import parse_time
from backupjobwatch.errors import InvalidSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

FINISHED_PHASES: Final = frozenset({"Succeeded", "Failed"})
DETAIL_WITHIN: Final = timedelta(hours=1)
"""How long after ``completionTime`` the operator tries to read the detail of the job."""
_OF_SPEC: Final = ("spec", "parsed_spec", "target")
"""Attributes that depend only on the spec."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """A snapshot of one BackupJobWatch."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    deleting: bool
    """Whether the object has a deletion timestamp."""
    owner: str | None
    """The GitOps tool or controller that would recreate the object."""
    requested_at: str | None
    """The annotation that requests a poll, truncated to the length of its echo in the status."""
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    created: datetime

    @classmethod
    def from_body(cls, body: Mapping[str, Any], *, earlier: Watch | None = None) -> Watch:
        """Take a snapshot. A malformed object does not raise.

        Unchanged parts are shared with an *earlier* snapshot of the object, so that they are not parsed again.
        """
        metadata = mapping(body.get("metadata"))
        spec = mapping(body.get("spec"))
        requested_at = mapping(metadata.get("annotations")).get(REQUESTED_AT)
        generation = metadata.get("generation")
        uid, resource_version = str(metadata.get("uid") or ""), str(metadata.get("resourceVersion") or "")
        known = earlier if earlier is not None and earlier.uid == uid else None
        status = known.status if known is not None and known.resource_version == resource_version != "" else None
        watch = cls(
            namespace=str(metadata.get("namespace") or ""),
            name=str(metadata.get("name") or ""),
            uid=uid,
            generation=generation if isinstance(generation, int) else 1,
            resource_version=resource_version,
            deleting=metadata.get("deletionTimestamp") is not None,
            owner=find_owner(metadata),
            requested_at=requested_at[:MAX_REQUESTED_AT] if isinstance(requested_at, str) else None,
            spec=spec,
            status=read_status(body.get("status")) if status is None else status,
            created=parse_time(metadata.get("creationTimestamp")) or NOT_STORED,
        )
        if known is not None and known.generation == watch.generation and known.spec == watch.spec:
            vars(watch).update({name: vars(known)[name] for name in _OF_SPEC if name in vars(known)})
        return watch

    @cached_property
    def target(self) -> str:
        """Digest of the target fields of the spec."""
        return target_digest(self.spec)

    @cached_property
    def started(self) -> datetime | None:
        """When this target was first polled. The deadline counts from it."""
        return parse_time(self.status_for_target.get("watchStartTime"))

    @cached_property
    def parsed_spec(self) -> WatchSpec | InvalidSpec:
        """The parsed spec, or the error in it."""
        try:
            spec = parse_spec(self.spec)
            if isinstance(spec.source, LatestJob):
                check_started_after(spec.source, created=self.created)
        except InvalidSpec as error:
            return error.with_traceback(None)  # The traceback would keep this snapshot alive.
        return spec

    def spec_at(self, now: datetime) -> WatchSpec | InvalidSpec:
        """Return the spec, or the error in it at *now*. A spec becomes invalid when Azure no longer lists its job."""
        spec = self.parsed_spec
        if isinstance(spec, InvalidSpec) or spec.suspend or self.pinned or not isinstance(spec.source, LatestJob):
            return spec
        try:
            check_reach(
                spec.source, created=self.search_start or now, searched=parse_time(self.searched_until), now=now
            )
        except InvalidSpec as error:
            return error.with_traceback(None)
        return spec

    @property
    def revision(self) -> str | None:
        """``spec.revision``, unless it is invalid."""
        return read_revision(self.spec)

    @property
    def search_start(self) -> datetime | None:
        """Default of ``spec.latest.startedAfter``. None until the status has the time of the edit."""
        if self.lacks_edit_time:
            return None
        return parse_time(self.status_for_target.get("targetEditTime")) or self.created

    @property
    def lacks_edit_time(self) -> bool:
        """Whether the status needs the time of the edit, which starts the search for jobs.

        This applies to watches with a revision or ``completedWithin``.
        """
        if self.status_for_target:
            return False
        starts_with_edit = (
            self.revision is not None or mapping(self.spec.get("latest")).get("completedWithin") is not None
        )
        if not self.is_retargeted:
            # Without a status, an edited object may have had another target.
            return starts_with_edit and self.generation != 1
        return starts_with_edit or "revision" in self.status or "targetEditTime" in self.status

    @property
    def searched_until(self) -> str | None:
        """Time until which the vault's list had no job that matches ``spec.latest``."""
        status = self.status_for_target
        # Earlier versions wrote no searchedUntil. Their WaitingForJob always meant a list without such a job.
        until_last_poll = status.get("lastPollTime") if status.get("reason") == "WaitingForJob" else None
        return status.get("searchedUntil") or until_last_poll

    @property
    def version(self) -> int:
        """The resourceVersion as a number, which is higher in the later of two snapshots.

        https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
        """
        return int(self.resource_version) if self.resource_version.isdecimal() else 0

    @cached_property
    def status_for_target(self) -> Mapping[str, Any]:
        """The status if it is about the current target, else an empty one."""
        return self.status if self.status.get("target") == self.target else {}

    @property
    def is_retargeted(self) -> bool:
        """Whether the status is about an earlier target."""
        return self.status.get("target") not in (None, self.target)

    @cached_property
    def finished(self) -> bool:
        """Whether the watch has a final phase for the current target."""
        return self.status_for_target.get("phase") in FINISHED_PHASES

    @property
    def detail_pending(self) -> bool:
        """Whether the verdict comes from a list entry, and the operator must still read the detail of the job."""
        return self.finished and self.status_for_target.get("detailPending") is True

    def awaits_detail(self, now: datetime) -> bool:
        """Return whether the detail is pending and the watch finished less than ``DETAIL_WITHIN`` ago."""
        completed = parse_time(self.status_for_target.get("completionTime"))
        # A completionTime in the future comes from a clock that was ahead. Without abs(), the operator would try for longer.
        return self.detail_pending and completed is not None and abs(now - completed) < DETAIL_WITHIN

    @property
    def seen(self) -> bool:
        """Whether Azure has shown the job at least once."""
        return "job" in self.status_for_target

    @cached_property
    def pinned(self) -> tuple[PinnedJob, ...]:
        """The resolved jobs of the watch. Empty before that, or if the status does not list all of them."""
        jobs = self.status_for_target.get("jobs") or ()
        if self.status_for_target.get("jobsTotal", len(jobs)) != len(jobs):
            return ()
        return tuple(PinnedJob(name=job["name"], error_code=job.get("errorCode")) for job in jobs)

    @cached_property
    def backup_record(self) -> BackupRecord | None:
        """The record of the backup request for this revision. It outlives every other edit."""
        stored = self.status.get("onDemand")
        record = None if stored is None else parse_record(stored)
        return record if record is not None and record.revision == self.revision else None

    @property
    def observed(self) -> bool:
        """Whether the status is about the current generation."""
        return bool(self.status.get("observedGeneration") == self.generation)

    @property
    def request_pending(self) -> bool:
        """Whether the annotation requests a poll that the status has not acknowledged."""
        return self.requested_at is not None and self.requested_at != self.status.get("lastHandledReconcileAt")

    @property
    def is_idle(self) -> bool:
        """Whether the watch needs no timer until the object is edited."""
        suspended = self.status_for_target.get("reason") == "Suspended"
        done = self.finished and not self.detail_pending
        return self.deleting or (self.observed and not self.request_pending and (done or suspended))
