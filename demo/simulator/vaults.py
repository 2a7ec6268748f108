"""Subscriptions, resource groups, vaults and the jobs in them."""

import copy
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from demo.simulator.clock import SimulatedClock
from demo.simulator.timeline import Job

JOB_TYPE = "Microsoft.RecoveryServices/vaults/backupJobs"
"""The resource type of a job in a Recovery Services vault."""


@dataclass(frozen=True, slots=True)
class _LivingJob:
    job: Job
    started: int | None
    """None: it starts when it is first asked for."""

    def resource(self, now: int) -> dict[str, Any] | None:
        properties = self.job.properties_at(started=now if self.started is None else self.started, now=now)
        return None if properties is None else {"name": self.job.name, "type": JOB_TYPE, "properties": properties}


@dataclass(frozen=True, slots=True)
class _FixedJob:
    payload: Mapping[str, Any]

    def resource(self, _now: int) -> dict[str, Any]:
        return copy.deepcopy(dict(self.payload))


class Vault:
    """A Recovery Services vault; its jobs may be changed from any thread, at any time."""

    def __init__(self, subscription_id: str, resource_group: str, name: str, *, clock: SimulatedClock) -> None:
        self.subscription_id = subscription_id
        self.resource_group = resource_group
        self.name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._jobs: dict[str, _LivingJob | _FixedJob] = {}

    @property
    def id(self) -> str:
        """The vault's resource ID."""
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.RecoveryServices/vaults/{self.name}"
        )

    def job_id(self, job_name: str) -> str:
        """Give the resource ID of a job, whether it exists or not."""
        return f"{self.id}/backupJobs/{job_name}"

    def job_names(self) -> tuple[str, ...]:
        """Name all jobs, also those that cannot be seen yet."""
        with self._lock:
            return tuple(self._jobs)

    def add_job(self, job: Job, *, starts: Literal["now", "when asked"] = "now") -> str:
        """Let a job begin its life now, or when somebody first asks for it; give its resource ID."""
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
        fixed = {"name": job_name, "type": JOB_TYPE} | copy.deepcopy(dict(payload)) | {"name": job_name}
        with self._lock:
            self._jobs[job_name.casefold()] = _FixedJob(fixed)
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
            return None if job is None else job.resource(now)


class Directory:
    """All that exists below a tenant. Names are found in any letter case, as Azure does."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._subscriptions: dict[str, dict[str, dict[str, Vault]]] = {}

    def add_resource_group(self, subscription_id: str, resource_group: str) -> None:
        """Make a resource group, and its subscription with it."""
        with self._lock:
            self._group(subscription_id, resource_group)

    def add_vault(self, subscription_id: str, resource_group: str, name: str) -> Vault:
        """Make a vault, and what it lies in; an existing one is given back as it is."""
        with self._lock:
            vaults = self._group(subscription_id, resource_group)
            fresh = Vault(subscription_id, resource_group, name, clock=self._clock)
            return vaults.setdefault(name.casefold(), fresh)

    def delete_vault(self, subscription_id: str, resource_group: str, name: str) -> None:
        """Forget a vault and its jobs. KeyError when there is none."""
        with self._lock:
            del self._group(subscription_id, resource_group)[name.casefold()]

    def has_subscription(self, subscription_id: str) -> bool:
        """Tell whether anything was made in the subscription."""
        with self._lock:
            return subscription_id.casefold() in self._subscriptions

    def has_resource_group(self, subscription_id: str, resource_group: str) -> bool:
        """Tell whether the resource group was made."""
        with self._lock:
            return resource_group.casefold() in self._subscriptions.get(subscription_id.casefold(), {})

    def find_vault(self, subscription_id: str, resource_group: str, name: str) -> Vault | None:
        """Look up a vault."""
        with self._lock:
            groups = self._subscriptions.get(subscription_id.casefold(), {})
            return groups.get(resource_group.casefold(), {}).get(name.casefold())

    def vaults(self) -> tuple[Vault, ...]:
        """List every vault."""
        with self._lock:
            return tuple(
                vault
                for groups in self._subscriptions.values()
                for vaults in groups.values()
                for vault in vaults.values()
            )

    def _group(self, subscription_id: str, resource_group: str) -> dict[str, Vault]:
        groups = self._subscriptions.setdefault(subscription_id.casefold(), {})
        return groups.setdefault(resource_group.casefold(), {})
