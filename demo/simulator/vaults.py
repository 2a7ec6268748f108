"""Recovery Services vaults and Backup vaults (Microsoft.DataProtection), with their response formats."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, ClassVar

from demo.simulator.any_vault import AnyVault, Resource
from demo.simulator.formats import parse_timestamp, ticks_of, timespan, timestamp
from demo.simulator.operations import OperationState
from demo.simulator.timeline import NO_TIME

_NULLS: Mapping[str, Any] = dict.fromkeys(
    (
        "sourceDataStoreName", "destinationDataStoreName", "etag", "endTime", "restoreType", "rehydrationPriority",
        "progressUrl", "isCrossRegionRestore", "errorDetails", "extendedInfo",
    )
)  # fmt: skip
"""Properties that a Backup vault sends as null if they are unknown. Other vaults omit them."""


class Vault(AnyVault):
    """A Recovery Services vault."""

    TYPE: ClassVar[str] = "Microsoft.RecoveryServices/vaults"
    LISTED_TYPE: ClassVar[str] = f"{TYPE}/backupJobs"
    OPERATIONS: ClassVar[str] = "backupOperations"

    def _job_properties(self, properties: dict[str, Any]) -> dict[str, Any]:
        return properties

    def _listed_properties(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Omit ``extendedInfo`` but keep ``errorDetails``, as in recorded lists."""
        return {name: value for name, value in properties.items() if name != "extendedInfo"}

    @property
    def _listed_duration(self) -> Callable[[int], str] | None:
        return None

    def _in_order(self, resources: list[Resource]) -> list[Resource]:
        """Sort the newest job first."""
        return sorted(resources, key=lambda resource: start_of(resource["properties"]), reverse=True)

    def _operation_status(self, state: OperationState, *, start: int) -> dict[str, Any]:
        """Set the end of a finished operation to its start, as observed in Azure."""
        start_time = timestamp(start)
        status = {
            "startTime": start_time,
            "endTime": NO_TIME if state.running else start_time,
            "status": state.status,
        }
        properties = state.properties
        if properties is None and len(state.jobs) == 1 and not state.failed_jobs:
            properties = {"objectType": "OperationStatusJobExtendedInfo", "jobId": state.jobs[0]}
        elif properties is None and (state.jobs or state.failed_jobs):
            properties = {
                "objectType": "OperationStatusJobsExtendedInfo",
                "jobIds": list(state.jobs),
                "failedJobsError": dict(state.failed_jobs),
            }
        return status | _present(properties=properties, error=state.error)


class BackupVault(AnyVault):
    """A Backup vault for AKS, disks, blobs and PostgreSQL. It sends unknown values as null."""

    TYPE: ClassVar[str] = "Microsoft.DataProtection/backupVaults"
    OPERATIONS: ClassVar[str] = "operationStatus"
    LISTED_TYPE: ClassVar[str] = "Microsoft.DataProtection/BackupVaults/backupJobs"
    """Azure uses this spelling and that of ``TYPE``. The simulator uses this one in lists."""
    LISTED_DAYS: ClassVar[int] = 14
    """Lists of real Backup vaults cover about 14 days: the oldest job is 13 full days old."""

    def list_jobs(self, wanted: Callable[[Resource], bool] | None = None) -> list[Resource]:
        """Return the jobs of the last 14 days, and those without a known start time."""
        since = self._clock.ticks() - ticks_of(self.LISTED_DAYS * 86400)

        def is_listed(job: Resource) -> bool:
            start = start_of(job["properties"])
            return (start == 0 or start >= since) and (wanted is None or wanted(job))

        return super().list_jobs(is_listed)

    def _job_properties(self, properties: dict[str, Any]) -> dict[str, Any]:
        vault = {"subscriptionId": self.subscription_id, "vaultName": self.name, "supportedActions": []}
        properties = {**_NULLS, **vault, **properties}
        # Azure reports no duration until the job has ended.
        zero = "00:00:00" if ":" in str(properties.get("duration")) else "PT0S"
        return properties if properties["endTime"] else {**properties, "duration": zero}

    def _listed_properties(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        return {**properties, "extendedInfo": None}

    @property
    def _listed_duration(self) -> Callable[[int], str] | None:
        """Observed lists use .NET's format only. GETs use both formats."""
        return timespan

    def _in_order(self, resources: list[Resource]) -> list[Resource]:
        """Return the jobs unsorted: Azure does not guarantee any order."""
        return resources

    def _operation_status(self, state: OperationState, *, start: int) -> dict[str, Any]:
        """Spell InProgress as Inprogress, as Backup vaults do."""
        status = {
            "status": "Inprogress" if state.running else state.status,
            "startTime": timestamp(start),
            "endTime": f"{NO_TIME}Z" if state.running else timestamp(start + ticks_of(state.after)),
        }
        properties = state.properties
        if properties is None and state.jobs:
            properties = {"objectType": "OperationJobExtendedInfo", "jobId": self.job_id(state.jobs[0])}
        return status | _present(properties=properties, error=state.error)


def start_of(properties: Mapping[str, Any]) -> int:
    """Return the start time of a job in ticks, or 0 if its properties do not contain it."""
    return _parsed(properties.get("startTime"))


@lru_cache(maxsize=65536)
def _parsed(text: str | None) -> int:
    try:
        return parse_timestamp(text or "")
    except ValueError:
        return 0


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
