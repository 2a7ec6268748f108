"""Find the detail of a job whose outcome came from a list. It completes a finished status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backupjobwatch.domain.jobs.findings import JobSet
from backupjobwatch.domain.jobs.job import CANCELLED_CODES, Job, Outcome, outcome_of
from backupjobwatch.domain.jobs.payloads import mapping, mappings
from backupjobwatch.domain.status.mirroring import is_mirrored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.jobs.findings import Finding


def find_detail(watch: Watch, finding: Finding | None) -> Job | None:
    """Return the job of *finding* that completes the status of *watch*.

    None if the detail is not pending, or if Azure's answer contradicts the mirrored end.
    """
    if not watch.detail_pending:
        return None
    jobs = finding.jobs if isinstance(finding, JobSet) else (finding,)
    status = watch.status_for_target
    for job in jobs:
        if isinstance(job, Job) and not job.partial and job.ended and is_mirrored(job, status):
            return job if job.outcome is _mirrored_outcome(status) else None
    return None


def _mirrored_outcome(status: Mapping[str, Any]) -> Outcome:
    """Return the outcome of the mirrored job. A cancelled job is CANCELLED even if Azure reports another status."""
    outcome = outcome_of(mapping(status.get("job")).get("status"))
    errors = (*mappings(status.get("errors")), *mappings(status.get("warnings")))
    words = {str(error.get(name)).lower() for error in errors for name in ("code", "title")}
    # A truncated status may lack the error, but not the reason.
    is_cancelled = status.get("reason") == "JobCancelled" or not words.isdisjoint(CANCELLED_CODES)
    is_completed = outcome in (Outcome.COMPLETED, Outcome.COMPLETED_WITH_WARNINGS)
    return Outcome.CANCELLED if is_completed and is_cancelled else outcome
