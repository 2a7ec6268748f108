"""The base class of both kinds of vault, with jobs and operations that change on a clock."""

import copy
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

from demo.simulator.clock import SimulatedClock
from demo.simulator.operations import Operation, OperationState
from demo.simulator.protection import Protection
from demo.simulator.timeline import Job

Starts = Literal["now", "when asked"]
Resource = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _LivingJob:
    job: Job
    started: int | None
    """None: the job starts at its first GET."""


@dataclass(frozen=True, slots=True)
class _LivingOperation:
    operation: Operation
    jobs: tuple[Job, ...]
    """Jobs that start together with the operation."""
    started: int | None


class AnyVault(ABC):
    """A vault with its jobs and operations. Thread-safe."""

    TYPE: ClassVar[str]
    """The resource type of the vault."""
    LISTED_TYPE: ClassVar[str]
    """The type of a job in a list."""
    OPERATIONS: ClassVar[str]
    """The path segment of operations."""

    def __init__(self, subscription_id: str, resource_group: str, name: str, *, clock: SimulatedClock) -> None:
        self.subscription_id = subscription_id
        self.resource_group = resource_group
        self.name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._jobs: dict[str, _LivingJob | Resource] = {}
        self._operations: dict[str, _LivingOperation | Resource] = {}
        self._secondary: dict[str, Self] = {}
        self.protection = Protection()
        """What the vault protects, and the backups that requests started."""

    @property
    def id(self) -> str:
        """The resource ID of the vault."""
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/{self.TYPE}/{self.name}"
        )

    def secondary(self, region: str) -> Self:
        """Return the vault's jobs and operations in a secondary region. Requests to the vault do not find them."""
        new = type(self)(self.subscription_id, self.resource_group, self.name, clock=self._clock)
        with self._lock:
            return self._secondary.setdefault(region, new)

    def job_id(self, job_name: str) -> str:
        """Return the resource ID of a job, which does not need to exist."""
        return f"{self.id}/backupJobs/{job_name}"

    def operation_id(self, operation_name: str) -> str:
        """Return the path of an operation's status, which does not need to exist."""
        return f"{self.id}/{self.OPERATIONS}/{operation_name}"

    def job_names(self) -> tuple[str, ...]:
        """Return the names of all jobs, including those that are not visible yet."""
        with self._lock:
            return tuple(self._jobs)

    def add_job(self, job: Job, *, starts: Starts = "now") -> str:
        """Add a job that starts now or at its first GET, and return its resource ID."""
        with self._lock:
            self._jobs[job.name.casefold()] = _LivingJob(job, self._clock.ticks() if starts == "now" else None)
        return self.job_id(job.name)

    def set_job(self, job_name: str, payload: Mapping[str, Any]) -> str:
        """
        Return exactly *payload* for GETs of a job from now on, and return the job's resource ID.

        The simulator sets ``id`` and ``name``. It sends all other fields unchanged, such as ``properties``.
        """
        if "properties" not in payload:
            raise ValueError("a job resource has properties; give {'properties': {...}}")
        job_type = {"name": job_name, "type": f"{self.TYPE}/backupJobs"}
        fixed = job_type | copy.deepcopy(dict(payload)) | {"name": job_name}
        with self._lock:
            self._jobs[job_name.casefold()] = fixed
        return self.job_id(job_name)

    def restart_job(self, job_name: str) -> None:
        """Restart a job with a timeline."""
        with self._lock:
            job = self._jobs[job_name.casefold()]
            if isinstance(job, _LivingJob):
                self._jobs[job_name.casefold()] = replace(job, started=self._clock.ticks())

    def delete_job(self, job_name: str) -> None:
        """Delete a job, so that a GET returns 404. Raise KeyError if it does not exist."""
        with self._lock:
            del self._jobs[job_name.casefold()]

    def find_job(self, job_name: str) -> dict[str, Any] | None:
        """Return the current state of a job without its ``id``, or None if it is not visible."""
        with self._lock:
            job, now = self._jobs.get(job_name.casefold()), self._clock.ticks()
            if isinstance(job, _LivingJob) and job.started is None:
                job = self._jobs[job_name.casefold()] = replace(job, started=now)
        if job is None:
            return None
        resource = self._full(job, now) if isinstance(job, _LivingJob) else job
        return None if resource is None else copy.deepcopy(dict(resource))

    def list_jobs(self, wanted: Callable[[Resource], bool] | None = None) -> list[Resource]:
        """Return the list entries of all visible jobs in the vault's order. The caller must not change them."""
        with self._lock:
            jobs, now = list(self._jobs.values()), self._clock.ticks()
        resources = (self._listed(job, now) for job in jobs)
        return self._in_order([one for one in resources if one is not None and (wanted is None or wanted(one))])

    def add_operation(self, operation: Operation, *jobs: Job, starts: Starts = "now") -> str:
        """
        Add an operation that starts with its *jobs* now or at its first GET, and return its path.

        Set ``visible_after`` of a job to make it visible later.
        """
        with self._lock:
            self._operations[operation.name.casefold()] = living = _LivingOperation(operation, jobs, None)
            if starts == "now":
                self._begin(living)
        return self.operation_id(operation.name)

    def set_operation(self, operation_name: str, payload: Mapping[str, Any]) -> str:
        """Return *payload* for GETs of an operation, but set ``id`` and ``name``. Return the operation's path."""
        with self._lock:
            self._operations[operation_name.casefold()] = copy.deepcopy(dict(payload)) | {"name": operation_name}
        return self.operation_id(operation_name)

    def delete_operation(self, operation_name: str) -> None:
        """Delete an operation. Raise KeyError if it does not exist."""
        with self._lock:
            del self._operations[operation_name.casefold()]

    def find_operation(self, operation_name: str) -> dict[str, Any] | None:
        """Return the current status of an operation without its ``id``, or None if it is not visible."""
        with self._lock:
            found = self._operations.get(operation_name.casefold())
            if isinstance(found, _LivingOperation) and found.started is None:
                found = self._begin(found)
            now = self._clock.ticks()
        if not isinstance(found, _LivingOperation):
            return None if found is None else copy.deepcopy(dict(found))
        start = now if found.started is None else found.started
        state = found.operation.state_at(now - start)
        if state is None:
            return None
        return {"name": found.operation.name} | self._operation_status(state, start=start)

    @abstractmethod
    def _job_properties(self, properties: dict[str, Any]) -> dict[str, Any]:
        """Return the properties in a GET response for a job with a timeline."""

    @abstractmethod
    def _listed_properties(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Return the properties of a job in a list."""

    @property
    @abstractmethod
    def _listed_duration(self) -> Callable[[int], str] | None:
        """The duration format of lists. None: the format of the job."""

    @abstractmethod
    def _in_order(self, resources: list[Resource]) -> list[Resource]:
        """Sort a list."""

    @abstractmethod
    def _operation_status(self, state: OperationState, *, start: int) -> dict[str, Any]:
        """Return the response to a GET of an operation, without ``id`` and ``name``."""

    def _full(self, living: _LivingJob, now: int) -> Resource | None:
        properties = living.job.properties_at(started=now if living.started is None else living.started, now=now)
        if properties is None:
            return None
        told = self._job_properties(properties)
        return {"name": living.job.name, "type": f"{self.TYPE}/backupJobs", "properties": told}

    def _listed(self, job: _LivingJob | Resource, now: int) -> Resource | None:
        if not isinstance(job, _LivingJob):
            return {**job, "properties": self._listed_properties(job["properties"])}
        if job.started is None:  # a list does not start the job
            return None
        properties = job.job.properties_at(started=job.started, now=now, duration_format=self._listed_duration)
        if properties is None:
            return None
        told = self._listed_properties(self._job_properties(properties))
        return {"name": job.job.name, "type": self.LISTED_TYPE, "properties": told}

    def _begin(self, living: _LivingOperation) -> _LivingOperation:
        now = self._clock.ticks()
        begun = self._operations[living.operation.name.casefold()] = replace(living, started=now)
        for job in living.jobs:
            self._jobs[job.name.casefold()] = _LivingJob(job, now)
        return begun
