"""The kinds of AzureError that the code raises, which are those with their own reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from backupjobwatch.errors import (
    AzureError,
    BackupConflict,
    BackupLimitReached,
    InvalidTarget,
    JobListTooLong,
    NoRequest,
    NotPolledYet,
    RequestUncertain,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def _raised(kind: type[AzureError]) -> Iterator[type[AzureError]]:
    if "reason" in vars(kind):
        yield kind
    for child in kind.__subclasses__():
        yield from _raised(child)


KINDS: Final = tuple(_raised(AzureError))
NO_REQUEST: Final = tuple(_raised(NoRequest))
"""The kinds that are raised without a request to Azure."""
OF_REQUESTS: Final = (InvalidTarget, RequestUncertain)
"""The kinds that the request for a backup raises. The watch reports them as a failure or as waiting."""
WHILE_PENDING: Final = (BackupConflict, BackupLimitReached, JobListTooLong, NotPolledYet)
"""The kinds that occur only until the operator has found the job."""
