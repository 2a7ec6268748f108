"""Which error of two regions counts, if a job is read in both."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from backupjobwatch.errors import AzureError

if TYPE_CHECKING:
    from collections.abc import Iterator

VAULT_PAUSED: Final = (
    "Azure throttles requests to the vault's region, and the secondary region does not return the job."
)
"""Message if the vault's region received no request."""


@contextmanager
def preferring(trouble: AzureError | None) -> Iterator[None]:
    """Raise *trouble* with the first region instead of a conclusive error, such as a 404, of the second one.

    The first region may know the job, so the second one cannot rule it out while the first one is down or throttled.
    """
    try:
        yield
    except AzureError as error:
        if trouble is None or trouble.is_conclusive or not error.is_conclusive:
            raise
        raise trouble from None
