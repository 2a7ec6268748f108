"""Exit codes: how a command that waits tells a script what became of the jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.status.verdict import SUCCEEDED as SUCCEEDED_PHASE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SUCCEEDED: Final = 0
FAILED: Final = 1
"""The job failed or was cancelled, or the operation that was to start it did or was."""
WARNINGS: Final = 2
"""It completed with warnings, and warnings count as failure."""
UNCLEAR: Final = 3
"""What became of the job cannot be told: it is not there, access to it is refused, or the command line is wrong."""
TIMED_OUT: Final = 124
"""It had not ended in time. The number is that of ``timeout`` in GNU coreutils."""
INTERRUPTED: Final = 130
"""Ctrl-C: 128 and the number of SIGINT, as shells have it."""

_WARNED: Final = "JobCompletedWithWarnings"
_CODES: Final = {
    "JobFailed": FAILED,
    "JobCancelled": FAILED,
    "OperationFailed": FAILED,
    _WARNED: WARNINGS,
    "DeadlineExceeded": TIMED_OUT,
}
"""By the reason of a watch that failed. All others are about asking, not about the job."""
_WORST_FIRST: Final = (FAILED, UNCLEAR, TIMED_OUT, WARNINGS, SUCCEEDED)


def exit_code(body: Mapping[str, Any], *, warnings_as_errors: bool = False) -> int | None:
    """Return the code that a BackupJobWatch's verdict has; None while there is none on its present spec.

    Warnings are failure where the object's spec says so, and with *warnings_as_errors* where it does not.
    """
    watch = Watch.from_body(body)
    if not (watch.finished and watch.observed):
        return None
    reason = watch.status_for_target.get("reason")
    if watch.status_for_target["phase"] == SUCCEEDED_PHASE:
        return WARNINGS if warnings_as_errors and reason == _WARNED else SUCCEEDED
    return _CODES.get(str(reason), UNCLEAR)


def worst(codes: Iterable[int]) -> int:
    """Return the code for several jobs: that of the one which most needs somebody to act; of none, ``UNCLEAR``.

    A failure comes first, since nothing that is tried again undoes it: a script which waits on after 124 must not miss
    one. Then what nobody can tell (something has to be mended), what takes too long (to wait again may do), warnings.
    """
    found = set(codes)
    return next((code for code in _WORST_FIRST if code in found), UNCLEAR)
