"""Observations: Azure's last result for a query, and the failures of the latest attempts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from backupjobwatch.domain.jobs.backup_policies import BackupPolicy
from backupjobwatch.domain.jobs.findings import OperationFailure, PinnedJob, Waiting
from backupjobwatch.domain.jobs.job import Job
from backupjobwatch.errors import AzureError, Grace

if TYPE_CHECKING:
    from datetime import datetime

    from backupjobwatch.domain.jobs.protected_items import ProtectedItem

MIN_CONSECUTIVE_FAILURES: Final = 3
"""Minimum number of consecutive failures before grace can fail a watch. Two polls far apart prove little."""
NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class JobList:
    """The jobs in a list of a vault."""

    jobs: tuple[Job, ...]
    pages: int = field(default=1, compare=False)
    """How many pages the list had."""


@dataclass(frozen=True, slots=True)
class ItemList:
    """The protected items of a vault."""

    items: tuple[ProtectedItem, ...]


Answer = Job | JobList | ItemList | BackupPolicy | tuple[PinnedJob, ...] | Waiting | OperationFailure
Result = Answer | AzureError


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The results and failures of a query so far. Times that are floats are seconds on the monotonic clock."""

    answer: Answer | None = None
    """The last result other than an error."""
    error: AzureError | None = None
    """The error of the last attempt; None if it succeeded."""
    sent: float
    """When the last request was sent; for a list, the request for its first page."""
    time: datetime
    """The same on the wall clock."""
    detail_sent: float = NEVER
    """When the last request that returned the job with full detail was sent."""
    ended_since: float | None = None
    """When a list first showed that the job has ended, if only lists have shown it so far."""
    failures: tuple[float, ...] = ()
    """When the latest consecutive failures with ``Grace.ALWAYS`` were sent."""
    failures_until_seen: tuple[float, ...] = ()
    """The same for failures that count for grace until the job was seen. Includes ``failures``."""
    unanswered: int = 0
    """Consecutive attempts without a response from Azure."""
    counted: int | None = None
    """The last distinct response of Entra that was counted (``AzureError.response_number``)."""

    @property
    def result(self) -> Result | None:
        """The result of the last attempt."""
        return self.answer if self.error is None else self.error

    @property
    def job(self) -> Job | None:
        """The job as last seen."""
        return self.answer if isinstance(self.answer, Job) else None

    @property
    def is_final(self) -> bool:
        """Whether the result is final: the job has ended, and its detail is complete."""
        return self.job is not None and not self.job.partial and self.job.ended

    def failures_since(self, since: float, *, seen: bool) -> int:
        """Return the consecutive failures since *since*, for a watch that has *seen* its job or not."""
        return sum(sent >= since for sent in (self.failures if seen else self.failures_until_seen))


def operation_result(
    observation: Observation | None,
) -> tuple[PinnedJob, ...] | Waiting | OperationFailure | AzureError | None:
    """Return the last result of the query for an operation: its jobs, or why they are not known yet."""
    result = None if observation is None else observation.result
    return result if isinstance(result, tuple | Waiting | OperationFailure | AzureError) else None


def observe(previous: Observation | None, result: Result, *, sent: float, time: datetime) -> Observation:
    """Return the observation after a request that was sent at *sent* returned *result*."""
    if isinstance(result, AzureError):
        return _observe_failure(previous, result, sent=sent, time=time)
    if isinstance(result, Job) and result.partial:
        return _observe_entry(previous, result, sent=sent, time=time)
    return Observation(answer=result, sent=sent, time=time, detail_sent=sent if isinstance(result, Job) else NEVER)


def _observe_failure(previous: Observation | None, error: AzureError, *, sent: float, time: datetime) -> Observation:
    error = error.with_traceback(None)  # The traceback would keep the frames of the request alive.
    failed = replace(previous or Observation(sent=sent, time=time), error=error, sent=sent, time=time)
    if error.response_number is not None and error.response_number == failed.counted:
        return failed  # several attempts share one response
    always = error.grace is Grace.ALWAYS
    until_seen = always or error.grace is Grace.UNTIL_SEEN
    return replace(
        failed,
        failures=(*failed.failures, sent)[-MIN_CONSECUTIVE_FAILURES:] if always else (),
        failures_until_seen=(*failed.failures_until_seen, sent)[-MIN_CONSECUTIVE_FAILURES:] if until_seen else (),
        unanswered=0 if error.answered else failed.unanswered + 1,
        counted=error.response_number,
    )


def _observe_entry(previous: Observation | None, entry: Job, *, sent: float, time: datetime) -> Observation:
    """Return the observation after a list showed *entry*. It keeps the detail of a job that has not changed."""
    known = None if previous is None else previous.job
    detail_sent = NEVER if previous is None else previous.detail_sent
    if known is not None and not known.partial and not differs(known, entry):
        answer = known if known.duration == entry.duration else replace(known, duration=entry.duration)
        return Observation(answer=answer, sent=sent, time=time, detail_sent=detail_sent)
    ended_since = None
    if entry.ended:
        ended_since = sent if previous is None or previous.ended_since is None else previous.ended_since
    return Observation(answer=entry, sent=sent, time=time, detail_sent=detail_sent, ended_since=ended_since)


def differs(known: Job, entry: Job) -> bool:
    """Return whether *entry* of a list shows that the job has changed since *known* was read."""
    return (known.status, known.end_time, known.operation) != (entry.status, entry.end_time, entry.operation)


def has_changed(previous: Observation | None, current: Observation) -> bool:
    """Return whether *current* differs from *previous*, apart from times and durations. Errors always do."""
    if previous is None or previous.error is not None or current.error is not None:
        return True
    if current.time < previous.time:  # the wall clock was set back, and the status has a time in the future
        return True
    before, after = previous.job, current.job
    if before is None or after is None:
        return previous.answer != current.answer
    return before is not after and before.steady != after.steady
