"""What both kinds of vault have in common: jobs and operations that live on a clock."""

import copy
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from demo.simulator.clock import SimulatedClock
from demo.simulator.operations import Operation, OperationState
from demo.simulator.timeline import Job

Starts = Literal["now", "when asked"]
Resource = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _LivingJob:
    job: Job
    started: int | None
    """None: it starts when it is first asked for."""


@dataclass(frozen=True, slots=True)
class _LivingOperation:
    operation: Operation
    jobs: tuple[Job, ...]
    """They start when it does."""
    started: int | None


class AnyVault(ABC):
    """A vault; its jobs and operations may be changed from any thread, at any time."""

    TYPE: ClassVar[str]
    """Its resource type."""
    LISTED_TYPE: ClassVar[str]
    """The type of a job in a list."""
    OPERATIONS: ClassVar[str]
    """The path segment that operations lie under."""

    def __init__(self, subscription_id: str, resource_group: str, name: str, *, clock: SimulatedClock) -> None:
        self.subscription_id = subscription_id
        self.resource_group = resource_group
        self.name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._jobs: dict[str, _LivingJob | Resource] = {}
        self._operations: dict[str, _LivingOperation | Resource] = {}

    @property
    def id(self) -> str:
        """The vault's resource ID."""
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/{self.TYPE}/{self.name}"
        )

    def job_id(self, job_name: str) -> str:
        """Give the resource ID of a job, whether it exists or not."""
        return f"{self.id}/backupJobs/{job_name}"

    def operation_id(self, operation_name: str) -> str:
        """Give the path of an operation's status, whether it exists or not."""
        return f"{self.id}/{self.OPERATIONS}/{operation_name}"

    def job_names(self) -> tuple[str, ...]:
        """Name all jobs, also those that cannot be seen yet."""
        with self._lock:
            return tuple(self._jobs)

    def add_job(self, job: Job, *, starts: Starts = "now") -> str:
        """Let a job begin its life now, or when somebody first asks for it by name; give its resource ID."""
        with self._lock:
            self._jobs[job.name.casefold()] = _LivingJob(job, self._clock.ticks() if starts == "now" else None)
        return self.job_id(job.name)

    def set_job(self, job_name: str, payload: Mapping[str, Any]) -> str:
        """
        Answer with exactly this job resource from now on; give its resource ID.

        ``id`` and ``name`` are put in; what else is in *payload*, the ``properties`` above all, is sent as it is.
        """
        if "properties" not in payload:
            raise ValueError("a job resource has properties; give {'properties': {...}}")
        job_type = {"name": job_name, "type": f"{self.TYPE}/backupJobs"}
        fixed = job_type | copy.deepcopy(dict(payload)) | {"name": job_name}
        with self._lock:
            self._jobs[job_name.casefold()] = fixed
        return self.job_id(job_name)

    def restart_job(self, job_name: str) -> None:
        """Let a job with a timeline live again from its start."""
        with self._lock:
            job = self._jobs[job_name.casefold()]
            if isinstance(job, _LivingJob):
                self._jobs[job_name.casefold()] = replace(job, started=self._clock.ticks())

    def delete_job(self, job_name: str) -> None:
        """Forget a job; Azure then answers 404. KeyError when there is none."""
        with self._lock:
            del self._jobs[job_name.casefold()]

    def find_job(self, job_name: str) -> dict[str, Any] | None:
        """Look up a job as it is now, without its ``id``; None when it is not there, or not visible yet."""
        with self._lock:
            job, now = self._jobs.get(job_name.casefold()), self._clock.ticks()
            if isinstance(job, _LivingJob) and job.started is None:
                job = self._jobs[job_name.casefold()] = replace(job, started=now)
        if job is None:
            return None
        resource = self._full(job, now) if isinstance(job, _LivingJob) else job
        return None if resource is None else copy.deepcopy(dict(resource))

    def list_jobs(self, wanted: Callable[[Resource], bool] | None = None) -> list[Resource]:
        """List all jobs that can be seen, in the vault's order, as a list tells them; not to be changed."""
        with self._lock:
            jobs, now = list(self._jobs.values()), self._clock.ticks()
        resources = (self._listed(job, now) for job in jobs)
        return self._in_order([one for one in resources if one is not None and (wanted is None or wanted(one))])

    def add_operation(self, operation: Operation, *jobs: Job, starts: Starts = "now") -> str:
        """
        Let an operation, and *jobs* with it, begin now, or when somebody first asks for the operation; give its path.

        Jobs that are to be seen only later have their ``visible_after``.
        """
        with self._lock:
            self._operations[operation.name.casefold()] = living = _LivingOperation(operation, jobs, None)
            if starts == "now":
                self._begin(living)
        return self.operation_id(operation.name)

    def set_operation(self, operation_name: str, payload: Mapping[str, Any]) -> str:
        """Answer with exactly this operation status from now on, but for ``id`` and ``name``; give its path."""
        with self._lock:
            self._operations[operation_name.casefold()] = copy.deepcopy(dict(payload)) | {"name": operation_name}
        return self.operation_id(operation_name)

    def delete_operation(self, operation_name: str) -> None:
        """Forget an operation. KeyError when there is none."""
        with self._lock:
            del self._operations[operation_name.casefold()]

    def find_operation(self, operation_name: str) -> dict[str, Any] | None:
        """Look up an operation's status as it is now, without its ``id``; None when there is none to be seen."""
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
        """Say what a GET tells of a job with a timeline."""

    @abstractmethod
    def _listed_properties(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Say what a list tells of a job."""

    @property
    @abstractmethod
    def _listed_duration(self) -> Callable[[int], str] | None:
        """How a list writes durations; None: as the job does."""

    @abstractmethod
    def _in_order(self, resources: list[Resource]) -> list[Resource]:
        """Sort a list."""

    @abstractmethod
    def _operation_status(self, state: OperationState, *, start: int) -> dict[str, Any]:
        """Say what a GET of an operation answers, but for ``id`` and ``name``."""

    def _full(self, living: _LivingJob, now: int) -> Resource | None:
        properties = living.job.properties_at(started=now if living.started is None else living.started, now=now)
        if properties is None:
            return None
        told = self._job_properties(properties)
        return {"name": living.job.name, "type": f"{self.TYPE}/backupJobs", "properties": told}

    def _listed(self, job: _LivingJob | Resource, now: int) -> Resource | None:
        if not isinstance(job, _LivingJob):
            return {**job, "properties": self._listed_properties(job["properties"])}
        if job.started is None:  # a list does not wake it
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
