"""Demands, and a recorder that records Azure's results in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backupjobwatch import errors
from backupjobwatch.domain.polling.demand import RunningJobs
from backupjobwatch.domain.polling.observations import JobList
from backupjobwatch.domain.polling.queries import JobWindow
from backupjobwatch.domain.polling.recording import ObservationRecorder, Update
from tests.support.polling import START, demands_of, job_id, running, vault_id, wall

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.domain.polling.demand import Request
    from backupjobwatch.domain.polling.demands import Demands
    from backupjobwatch.domain.polling.observations import Observation, Result
    from backupjobwatch.domain.polling.pauses import RequestKind
    from backupjobwatch.domain.polling.queries import Query

HEARTBEAT = 300.0
ID, OTHER = job_id(0), job_id(1)
VAULT = vault_id()
RUNNING = RunningJobs(VAULT)
WINDOW = JobWindow(VAULT, None)
DOWN, REFUSED = errors.AzureUnavailable("503"), errors.Throttled("429")


class Recorded:
    """Demands and the observations recorded in them."""

    def __init__(self, *queries: Query, **more: Any) -> None:
        self.demands: Demands = demands_of(*queries, **more)
        self.recorder = ObservationRecorder(demands=self.demands, heartbeat=HEARTBEAT)

    def record(self, read: Request, result: Result, sent: float = START, now: float | None = None) -> list[Update]:
        now = sent + 1 if now is None else now
        return list(self.recorder.record(read, result, sent=sent, time=wall(sent), now=now))

    def observed(self, query: Query) -> Observation:
        observation = self.demands.by_query[query].observation
        assert observation is not None
        return observation

    def running(self, *jobs: Job, sent: float = START, pages: int = 1) -> list[Update]:
        return self.record(RUNNING, JobList(jobs, pages), sent)

    def window(self, *jobs: Job, sent: float = START, pages: int = 1, window: JobWindow = WINDOW) -> list[Update]:
        return self.record(window, JobList(jobs, pages), sent)

    def wait_for_list(self, *job_ids: Any, now: float = START) -> None:
        for each in job_ids:
            self.demands.drop(each)
            self.demands.await_list(each, now)

    def known(self, *job_ids: Any, sent: float = START - 60) -> None:
        for each in job_ids:
            self.record(each, running(each), sent=sent)


def paused(given: Recorded, kind: RequestKind, *, now: float = START + 1) -> None:
    given.demands.pause(kind, REFUSED, seconds=60, now=now)
