"""A model of processes, an API server and Azure, in which any step of ``spec.onDemand`` can fail."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import WatchSpec
from backupjobwatch.domain.jobs.findings import PinnedJob
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId
from backupjobwatch.domain.polling.backup_plan import (
    Admission,
    RequestContext,
    RequestResult,
    find_record,
    may_send,
    with_result,
)
from backupjobwatch.domain.polling.observations import ItemList, JobList, observe
from backupjobwatch.domain.polling.queries import JobWindow, ProtectedItems
from backupjobwatch.domain.polling.requirements import required_queries
from backupjobwatch.domain.status.assessment import Assessment, Times, assess
from backupjobwatch.domain.status.next_status import next_status
from backupjobwatch.domain.status.verdict import deadline
from backupjobwatch.errors import AuthorizationFailed, AzureError, NotPolledYet, RequestUncertain
from tests.support.builders import NOW, edit, job, running_job, watch_body
from tests.support.on_demand import RSV, on_demand_spec, vm

if TYPE_CHECKING:
    from datetime import datetime

    from backupjobwatch.domain.api.backup_record import BackupRecord
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.polling.observations import Observation
    from backupjobwatch.domain.polling.queries import Query

ANSWERS: Final = ("accepted", "lost", "lost, not started", "refused", "refused connection")
"""What becomes of a request: Azure accepts it, the answer is lost, or Azure has certainly started nothing."""


@dataclass(slots=True)
class Process:
    """One process of the operator. Two may run at the same time, for example a deposed leader."""

    view: Watch
    skew: timedelta = timedelta()
    """How far its clock is ahead."""
    name: str = field(default_factory=lambda: str(uuid.uuid4()))
    result: RequestResult | None = None
    known: BackupRecord | None = None
    """The latest record that it has seen in the object."""
    pinned: tuple[PinnedJob, ...] = ()
    sent: set[object] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.known = self.view.backup_record

    def see(self, watch: Watch) -> None:
        """Replace the view with a newer object."""
        if watch.uid != self.view.uid:
            self.result, self.pinned, self.known = None, (), None
        elif watch.target != self.view.target:
            self.pinned = ()
        self.view, self.known = watch, watch.backup_record or self.known


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A request for a backup that Azure received."""

    uid: str
    """The UID of the object that it was sent for."""
    revision: str | None
    request_id: str
    process: str
    may_run: bool
    """Whether it may have started a backup."""


@dataclass(slots=True)
class World:
    """The object, Azure's jobs, and the processes."""

    body: dict[str, Any] = field(default_factory=lambda: watch_body({**on_demand_spec(), "revision": "v0"}))
    now: Any = NOW
    """Azure's clock."""
    jobs: dict[str, Job] = field(default_factory=dict)
    started: dict[str, datetime] = field(default_factory=dict)
    """When each job started."""
    operations: dict[str, str] = field(default_factory=dict)
    posts: list[Post] = field(default_factory=list)
    is_busy: bool = False
    """Whether no request may be sent, for example because Azure throttles them."""
    cleared: Counter[str] = field(default_factory=Counter)
    """How often the status of each object was cleared, by uid."""
    processes: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.processes = [Process(Watch.from_body(self.body)) for _ in range(2)]

    def reconcile(self, index: int, *, is_answer_lost: bool) -> None:
        """Plan and write as the reconciler does, from a view that may be stale."""
        process = self.processes[index]
        watch, now = process.view, self.now + process.skew
        spec = watch.parsed_spec
        assert isinstance(spec, WatchSpec)
        if watch.finished:
            return
        if spec.suspend:
            record = with_result(find_record(watch, process.known), process.result)
            self._write(process, next_status(watch, Assessment(finding=NotPolledYet()), now=now, record=record))
            return
        observations: dict[Query, Observation] = {}
        for _ in range(5):
            context = RequestContext(
                process=process.name,
                admission=Admission() if self.is_busy else Admission(request_id=str(uuid.uuid4())),
                is_allowed=True,
                deadline=deadline(watch, spec),
                result=process.result,
                known=process.known,
            )
            required = required_queries(watch, spec, observations, now=now, pinned=process.pinned, context=context)
            process.pinned = required.pinned
            known, observations = observations, {query: self._observe(query, now) for query in required.queries}
            if observations.keys() == known.keys():
                break
        times = Times(now=now.timestamp(), since=0)
        assessed = assess(watch, spec, required, observations, now=now, times=times, waiting_for="")
        if assessed.finding is None:
            return
        status = next_status(watch, assessed, now=now, pinned=process.pinned, record=required.record)
        self._write(process, status, is_answer_lost=is_answer_lost)

    def send(self, index: int, answer: str, *, is_killed: bool) -> None:
        """Send the recorded request as the requester does, after another read of the object."""
        process, fresh = self.processes[index], Watch.from_body(self.body)
        record, now = process.view.backup_record, self.now + process.skew
        if record is None or record.key in process.sent or fresh.uid != process.view.uid:
            return
        if fresh.backup_record != record or not may_send(fresh, process=process.name, now=now):
            return
        process.sent.add(record.key)
        request_id = str(record.request_id)
        self.posts.append(
            Post(
                uid=fresh.uid,
                revision=fresh.revision,
                request_id=request_id,
                process=process.name,
                may_run=not answer.startswith("refused"),
            )
        )
        result: OperationId | AzureError = RequestUncertain("504")
        if answer in ("accepted", "lost"):
            operation, name = str(uuid.uuid4()), str(uuid.uuid4())
            self.operations[operation] = name
            self._start(name, request_id)
            result = OperationId(vault=RSV, name=operation) if answer == "accepted" else result
        elif answer == "refused":
            result = AuthorizationFailed("403")
        if is_killed:
            self.restart(index)
        else:
            process.result = RequestResult(record=record, answer=result, received=now)

    def follow(self, index: int) -> None:
        """Make the usual steps in their order."""
        self.refresh(index)
        self.reconcile(index, is_answer_lost=False)
        self.send(index, "accepted", is_killed=False)
        for _ in range(2):
            self.reconcile(index, is_answer_lost=False)

    def restart(self, index: int, skew: int = 0) -> None:
        """Replace a process by a new one, whose clock is *skew* minutes ahead."""
        self.processes[index] = Process(Watch.from_body(self.body), skew=timedelta(minutes=skew))

    def refresh(self, index: int) -> None:
        """Deliver the latest object to a process."""
        self.processes[index].see(Watch.from_body(self.body))

    def schedule(self) -> None:
        """Start a scheduled backup of the same item."""
        self._start(str(uuid.uuid4()), str(uuid.uuid4()))

    def clear(self) -> None:
        """Clear the status, as a user with the permission can."""
        self.cleared[self.body["metadata"]["uid"]] += 1
        self.body = _next_version({**self.body, "status": {}})

    def restore(self) -> None:
        """Delete the object, and create it again without its status, as Velero does."""
        self.clear()
        self.body["metadata"]["uid"] = str(uuid.uuid4())

    def occupy(self) -> None:
        """Admit no requests, or admit them again."""
        self.is_busy = not self.is_busy

    def complete(self) -> None:
        """End every job."""
        self.jobs = {name: job(name=name, activityId=each.activity_id) for name, each in self.jobs.items()}

    def wait(self, minutes: int) -> None:
        """Let time pass."""
        self.now += timedelta(minutes=minutes)

    def edit(self, **fields: Any) -> None:
        """Edit the spec."""
        self.body = _next_version(edit(self.body, **fields))

    def _write(self, process: Process, status: dict[str, Any], *, is_answer_lost: bool = False) -> None:
        if process.view.resource_version == self.body["metadata"]["resourceVersion"]:
            self.body = _next_version({**self.body, "status": status})
            if is_answer_lost:
                return
        self.refresh(self.processes.index(process))

    def _start(self, name: str, activity_id: str) -> None:
        self.jobs[name], self.started[name] = running_job(name=name, activityId=activity_id), self.now

    def _observe(self, query: Query, now: datetime) -> Observation:
        result: Any
        if isinstance(query, ProtectedItems):
            result = ItemList((vm(),))
        elif isinstance(query, OperationId):
            result = (PinnedJob(name=self.operations[query.name]),)
        elif isinstance(query, JobId):
            result = self.jobs[query.key]
        else:
            assert isinstance(query, JobWindow)
            since = query.first_day or NOW
            result = JobList(tuple(job for name, job in self.jobs.items() if self.started[name] >= since))
        return observe(None, result, sent=now.timestamp(), time=now)


def _next_version(body: dict[str, Any]) -> dict[str, Any]:
    version = str(int(body["metadata"]["resourceVersion"]) + 1)
    return {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
