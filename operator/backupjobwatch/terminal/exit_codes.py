"""Exit codes: they report the outcome of jobs to the script that waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.status.verdict import SUCCEEDED as SUCCEEDED_PHASE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SUCCEEDED: Final = 0
FAILED: Final = 1
"""The job, or the operation that starts it, failed or was cancelled."""
WARNINGS: Final = 2
"""The job completed with warnings, and warnings count as failure."""
UNCLEAR: Final = 3
"""The outcome is unknown: no such job, access refused, or a wrong command line or setting."""
TIMED_OUT: Final = 124
"""The job did not end in time. ``timeout`` of GNU coreutils uses the same number."""
INTERRUPTED: Final = 130
"""Ctrl-C: 128 and the number of SIGINT, as in shells."""

WARNED: Final = "JobCompletedWithWarnings"
"""The reason of a watch whose job completed with warnings. What Azure reports as its errors are these warnings."""
_CODES: Final = {
    "JobFailed": FAILED,
    "JobCancelled": FAILED,
    "OperationFailed": FAILED,
    WARNED: WARNINGS,
    "DeadlineExceeded": TIMED_OUT,
}
"""Exit codes by the reason of a failed watch. All other reasons are about requests, not about the job."""
_WORST_FIRST: Final = (FAILED, UNCLEAR, TIMED_OUT, WARNINGS, SUCCEEDED)


def exit_code(body: Mapping[str, Any], *, warnings_as_errors: bool = False) -> int | None:
    """Return the code of a BackupJobWatch's verdict, or None while its current spec has none.

    Warnings count as failure if the object's spec says so, or with *warnings_as_errors*.
    """
    watch = Watch.from_body(body)
    if not (watch.finished and watch.observed):
        return None
    reason = watch.status_for_target.get("reason")
    if watch.status_for_target["phase"] == SUCCEEDED_PHASE:
        return WARNINGS if warnings_as_errors and reason == WARNED else SUCCEEDED
    return _CODES.get(str(reason), UNCLEAR)


def worst(codes: Iterable[int]) -> int:
    """Return the code for several jobs: the most severe one, or ``UNCLEAR`` for no jobs.

    A failure comes first, because a script that waits again after 124 must not miss it. Then come an unknown outcome,
    a timeout, and warnings.
    """
    return min(codes, key=_WORST_FIRST.index, default=UNCLEAR)
