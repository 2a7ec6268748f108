"""
Parse the ``$filter`` of a job list as a Recovery Services vault does.

A filter consists of ``name eq 'value'`` clauses, joined by `` and ``. ``startTime`` and ``endTime`` limit the time at
which jobs started, although the comparison is ``eq``. Their values are in UTC, with a 12-hour clock:
``startTime eq '2026-03-04 01:38:04 PM'``. Any other filter is rejected.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from demo.simulator.formats import TICKS, ticks_at
from demo.simulator.vaults import start_of

VALUES: Final[Mapping[str, frozenset[str]]] = {
    "status": frozenset({"InProgress", "Completed", "Failed", "CompletedWithWarnings", "Cancelled", "Cancelling"}),
    "backupManagementType": frozenset(
        {
            "AzureIaasVM", "MAB", "DPM", "AzureBackupServer", "AzureSql", "AzureStorage", "AzureWorkload",
            "DefaultBackup",
        }
    ),
    "operation": frozenset(
        {
            "Register", "UnRegister", "ConfigureBackup", "Backup", "Restore", "DisableBackup", "DeleteBackupData",
            "CrossRegionRestore", "Undelete", "UpdateCustomerManagedKey", "BackupDataMove",
        }
    ),
}  # fmt: skip
"""The allowed values for each name. A job with the operation ``Backup (Full)`` does not match ``Backup``."""

_NAMES: Final = {*VALUES, "jobId", "startTime", "endTime"}
_CLAUSE = re.compile(r"(\w+) eq '([^']*)'")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d) (0[1-9]|1[0-2])(:\d\d:\d\d) (AM|PM)")

Wanted = Callable[[Mapping[str, Any]], bool]


class InvalidFilter(ValueError):
    """Azure would reject the filter."""


def parse_filter(text: str) -> Wanted:
    """Parse a filter, and return a function that returns whether a job matches."""
    clauses = [_CLAUSE.fullmatch(clause) for clause in text.split(" and ")]
    wanted = {clause[1]: clause[2] for clause in clauses if clause is not None}
    if None in clauses or len(wanted) != len(clauses) or not wanted.keys() <= _NAMES:
        raise InvalidFilter(text)
    for name in wanted.keys() & VALUES.keys():
        if wanted[name] not in VALUES[name]:
            raise InvalidFilter(wanted[name])
    since, until = (_bound(wanted.pop(name, None)) for name in ("startTime", "endTime"))
    if since is not None and until is not None and since > until:
        raise InvalidFilter(text)
    job_name = wanted.pop("jobId", None)

    def is_selected(job: Mapping[str, Any]) -> bool:
        properties, start = job["properties"], start_of(job["properties"])
        return (
            (job_name is None or job["name"].casefold() == job_name.casefold())
            and (since is None or start >= since)
            and (until is None or start < until + TICKS)  # a bound includes its whole second
            and all(properties.get(name) == value for name, value in wanted.items())
        )

    return is_selected


def _bound(text: str | None) -> int | None:
    if text is None:
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        raise InvalidFilter(text)
    hour = int(match[2]) % 12 + (12 if match[4] == "PM" else 0)
    try:
        return ticks_at(datetime.fromisoformat(f"{match[1]} {hour:02}{match[3]}").replace(tzinfo=UTC))
    except ValueError as error:
        raise InvalidFilter(text) from error
