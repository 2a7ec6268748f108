"""A model of processes, an API server and Azure, in which any step of ``spec.onDemand`` can fail."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import WatchSpec
from backupjobwatch.domain.jobs.observations import PinnedJob
from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId
from backupjobwatch.domain.polling.backup_plan import RequestContext, RequestResult, may_send, with_result
from backupjobwatch.domain.polling.observations import ItemList, JobList, observe
from backupjobwatch.domain.polling.queries import JobWindow, ProtectedItems
from backupjobwatch.domain.polling.requirements import required_queries
from backupjobwatch.domain.status.assessment import Times, assess
from backupjobwatch.domain.status.next_status import next_status
from backupjobwatch.domain.status.verdict import deadline
from backupjobwatch.errors import AuthorizationFailed, AzureError, NotPolledYet, RequestUncertain
from tests.support.builders import NOW, edit, job, running_job, watch_body
from tests.support.on_demand import RSV, on_demand_spec, vm

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.polling.observations import Observation
    from backupjobwatch.domain.polling.queries import Query

ANSWERS: Final = ("accepted", "lost", "lost, not started", "refused", "refused connection")
"""What becomes of a request: Azure accepts it, the answer is lost, or Azure has certainly started nothing."""


@dataclass(slots=True)
class Process:
    """One process of the operator. Two may run at the same time, for example a deposed leader."""

    view: Watch
    name: str = field(default_factory=lambda: str(uuid.uuid4()))
    result: RequestResult | None = None
    pinned: tuple[PinnedJob, ...] = ()
    sent: set[object] = field(default_factory=set)


@dataclass(slots=True)
class World:
    """The object, Azure's jobs, and the processes."""

    body: dict[str, Any] = field(default_factory=lambda: watch_body({**on_demand_spec(), "revision": "v0"}))
    now: Any = NOW
    jobs: dict[str, Job] = field(default_factory=dict)
    operations: dict[str, str] = field(default_factory=dict)
    posts: list[tuple[str, str, bool]] = field(default_factory=list)
    """Request ID, revision, and whether the request may have started a backup."""
    processes: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.processes = [Process(Watch.from_body(self.body)) for _ in range(2)]

    def reconcile(self, index: int, *, is_answer_lost: bool) -> None:
        """Plan and write as the reconciler does, from a view that may be stale."""
        process = self.processes[index]
        watch = process.view
        spec = watch.parsed_spec
        assert isinstance(spec, WatchSpec)
        if watch.finished:
            return
        if spec.suspend:
            record = with_result(watch.backup_record, process.result)
            self._write(
                process, next_status(watch, NotPolledYet(), consecutive_failures=0, now=self.now, record=record)
            )
            return
        observations: dict[Query, Observation] = {}
        for _ in range(5):
            context = RequestContext(
                process=process.name,
                request_id=str(uuid.uuid4()),
                is_allowed=True,
                deadline=deadline(watch, spec),
                result=process.result,
            )
            required = required_queries(watch, spec, observations, now=self.now, pinned=process.pinned, context=context)
            process.pinned = required.pinned
            known, observations = observations, {query: self._observe(query) for query in required.queries}
            if observations.keys() == known.keys():
                break
        times = Times(now=self.now.timestamp(), since=0)
        assessed = assess(watch, spec, required, observations, now=self.now, times=times, waiting_for="")
        if assessed.observation is None:
            return
        status = next_status(
            watch,
            assessed.observation,
            consecutive_failures=assessed.consecutive_failures,
            now=self.now,
            pinned=process.pinned,
            record=required.record,
            enforce_deadline=assessed.enforce_deadline,
        )
        self._write(process, status, is_answer_lost=is_answer_lost)

    def send(self, index: int, answer: str, *, is_killed: bool) -> None:
        """Send the recorded request as the requester does, after another read of the object."""
        process, fresh = self.processes[index], Watch.from_body(self.body)
        record = process.view.backup_record
        if record is None or record.key in process.sent or fresh.backup_record != record:
            return
        if not may_send(fresh, process=process.name, now=self.now):
            return
        process.sent.add(record.key)
        request_id = str(record.request_id)
        self.posts.append((request_id, str(fresh.revision), not answer.startswith("refused")))
        result: OperationId | AzureError = RequestUncertain("504")
        if answer in ("accepted", "lost"):
            operation, name = str(uuid.uuid4()), str(uuid.uuid4())
            self.operations[operation] = name
            self.jobs[name] = running_job(name=name, activityId=request_id)
            result = OperationId(vault=RSV, name=operation) if answer == "accepted" else result
        elif answer == "refused":
            result = AuthorizationFailed("403")
        if is_killed:
            self.restart(index)
        else:
            process.result = RequestResult(record=record, answer=result, received=self.now)

    def follow(self, index: int) -> None:
        """Make the usual steps in their order."""
        self.refresh(index)
        self.reconcile(index, is_answer_lost=False)
        self.send(index, "accepted", is_killed=False)
        for _ in range(2):
            self.reconcile(index, is_answer_lost=False)

    def restart(self, index: int) -> None:
        """Replace a process by a new one."""
        self.processes[index] = Process(Watch.from_body(self.body))

    def refresh(self, index: int) -> None:
        """Deliver the latest object to a process."""
        process, watch = self.processes[index], Watch.from_body(self.body)
        if watch.target != process.view.target:
            process.pinned = ()
        process.view = watch

    def schedule(self) -> None:
        """Start a scheduled backup of the same item."""
        name = str(uuid.uuid4())
        self.jobs[name] = running_job(name=name, activityId=str(uuid.uuid4()))

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

    def _observe(self, query: Query) -> Observation:
        result: Any = JobList(tuple(self.jobs.values()))
        if isinstance(query, ProtectedItems):
            result = ItemList((vm(),))
        elif isinstance(query, OperationId):
            result = (PinnedJob(name=self.operations[query.name]),)
        elif isinstance(query, JobId):
            result = self.jobs[query.key]
        else:
            assert isinstance(query, JobWindow)
        return observe(None, result, sent=self.now.timestamp(), time=self.now)


def _next_version(body: dict[str, Any]) -> dict[str, Any]:
    version = str(int(body["metadata"]["resourceVersion"]) + 1)
    return {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
