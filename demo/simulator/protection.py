"""What a vault protects: protected items, backup instances and backup policies, in the form of recorded responses."""

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

Properties = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedItem:
    """A protected item of a Recovery Services vault, or a backup instance of a Backup vault."""

    path: str
    """The path below the vault, decoded. Its last segment is the name."""
    properties: Properties

    @property
    def friendly_name(self) -> str:
        """The name that users know."""
        return str(self.properties["friendlyName"])

    @property
    def name(self) -> str:
        """The name in the resource ID."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def workload(self) -> str:
        """The type of the item: ``VM``, ``AzureFileShare``, ``SQLDataBase``, ``SAPHanaDatabase``, or a data source."""
        source = self.properties.get("dataSourceInfo", {})
        return str(self.properties.get("workloadType") or source.get("datasourceType"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedBackup:
    """A backup that a request started."""

    item: str
    """The path of the item below the vault."""
    client_request_id: str | None
    operation: str
    job: str
    """The name of the job. Its ``activityId`` is the client request ID."""


class Protection:
    """The items and policies of a vault, and the backups that requests have started. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: dict[str, ProtectedItem] = {}
        self._policies: dict[str, Properties] = {}
        self._started: list[StartedBackup] = []
        self.duration: float = 600.0
        """The simulated seconds that a backup takes."""
        self.ends_as = "Completed"
        """The status at the end of a backup."""
        self.names_job_after: float = 1.0
        """The simulated seconds until the operation names its job."""
        self.retry_after: int | None = None
        """The Retry-After of a 202, in seconds. None: Azure's own."""
        self.visible_after: float = 0.0
        """The simulated seconds until GETs and lists find the job of a backup."""

    def add(self, item: ProtectedItem) -> str:
        """Protect *item*, or replace it. Return its path below the vault."""
        with self._lock:
            self._items[item.path.casefold()] = item
        return item.path

    def change(self, path: str, **properties: Any) -> None:
        """Change properties of an item. Raise KeyError if it does not exist."""
        with self._lock:
            item = self._items[path.casefold()]
            self._items[path.casefold()] = replace(item, properties={**item.properties, **properties})

    def remove(self, path: str) -> None:
        """Delete an item. Raise KeyError if it does not exist."""
        with self._lock:
            del self._items[path.casefold()]

    def items(self) -> tuple[ProtectedItem, ...]:
        """Return all items, oldest first."""
        with self._lock:
            return tuple(self._items.values())

    def find(self, path: str) -> ProtectedItem | None:
        """Return the item at a path below the vault, in any letter case."""
        with self._lock:
            return self._items.get(path.casefold())

    def add_policy(self, name: str, properties: Properties) -> None:
        """Add a policy of a Backup vault."""
        with self._lock:
            self._policies[name.casefold()] = properties

    def find_policy(self, name: str) -> Properties | None:
        """Return the properties of a policy."""
        with self._lock:
            return self._policies.get(name.casefold())

    def note(self, backup: StartedBackup) -> None:
        """Record a backup that was started."""
        with self._lock:
            self._started.append(backup)

    def started(self, path: str | None = None) -> tuple[StartedBackup, ...]:
        """Return the backups that requests have started, oldest first: all, or those of one item."""
        with self._lock:
            return tuple(each for each in self._started if path is None or each.item.casefold() == path.casefold())


def virtual_machine(name: str, *, group: str = "rg-harbour-apps", **properties: Any) -> ProtectedItem:
    """Return a protected virtual machine."""
    container = f"iaasvmcontainerv2;{group};{name}"
    return _item(
        f"IaasVMContainer;{container}",
        f"VM;{container}",
        friendlyName=name,
        protectedItemType="Microsoft.Compute/virtualMachines",
        backupManagementType="AzureIaasVM",
        workloadType="VM",
        containerName=container,
        lastBackupStatus="Completed",
        **properties,
    )


def file_share(name: str, *, account: str = "stharbour01", group: str = "rg-harbour-apps") -> ProtectedItem:
    """Return a protected file share. Its ID does not contain its name."""
    container = f"StorageContainer;storage;{group};{account}"
    return _item(
        container,
        f"AzureFileShare;{hashlib.sha256(f'{account}/{name}'.encode()).hexdigest()}",
        friendlyName=name,
        protectedItemType="AzureFileShareProtectedItem",
        backupManagementType="AzureStorage",
        workloadType="AzureFileShare",
        containerName=container,
        lastBackupStatus="Completed",
    )


def database(
    name: str,
    *,
    server: str = "sql-host-1",
    instance: str = "MSSQLSERVER",
    group: str = "rg-harbour-apps",
    hana: bool = False,
) -> ProtectedItem:
    """Return a protected SQL Server or SAP HANA database."""
    container = f"VMAppContainer;compute;{group};{server}"
    workload = "SAPHanaDatabase" if hana else "SQLDataBase"
    return _item(
        container,
        f"{workload};{instance.lower()};{name}",
        friendlyName=name,
        serverName=server,
        parentName=instance,
        protectedItemType="AzureVmWorkloadSAPHanaDatabase" if hana else "AzureVmWorkloadSQLDatabase",
        backupManagementType="AzureWorkload",
        workloadType=workload,
        containerName=container,
        lastBackupStatus="Healthy",
        protectedItemHealthStatus="Healthy",
    )


def backup_instance(
    name: str,
    *,
    policy_id: str,
    friendly_name: str = "disk-harbour-01",
    source_type: str = "Microsoft.Compute/disks",
) -> ProtectedItem:
    """Return a backup instance of a Backup vault, by default of a disk."""
    source = {
        "objectType": "Datasource",
        "resourceID": f"/subscriptions/s/resourceGroups/rg-harbour-apps/providers/{source_type}/{friendly_name}",
        "resourceName": friendly_name,
        "resourceType": source_type,
        "datasourceType": source_type,
    }
    properties = {
        "friendlyName": friendly_name,
        "dataSourceInfo": source,
        "dataSourceSetInfo": {**source, "objectType": "DatasourceSet"},
        "policyInfo": {"policyId": policy_id, "policyVersion": ""},
        "protectionStatus": {"status": "ProtectionConfigured"},
        "currentProtectionState": "ProtectionConfigured",
        "provisioningState": "Succeeded",
        "objectType": "BackupInstance",
    }
    return ProtectedItem(path=f"backupInstances/{name}", properties=properties)


def backup_policy(*rules: str, tags: tuple[str, ...] = ("Default",)) -> Properties:
    """Return a policy of a Backup vault with backup rules of these names, and a retention rule for each tag."""
    store = {"dataStoreType": "OperationalStore", "objectType": "DataStoreInfoBase"}
    keeping = {
        "lifecycles": [
            {
                "deleteAfter": {"objectType": "AbsoluteDeleteOption", "duration": "P7D"},
                "targetDataStoreCopySettings": [],
                "sourceDataStore": store,
            }
        ]
    }
    backup: list[dict[str, Any]] = [
        {
            "name": rule,
            "objectType": "AzureBackupRule",
            "backupParameters": {"backupType": "Incremental", "objectType": "AzureBackupParams"},
            "dataStore": store,
            "trigger": {
                "objectType": "ScheduleBasedTriggerContext",
                "schedule": {"repeatingTimeIntervals": ["R/2026-01-04T04:00:00+00:00/PT4H"], "timeZone": "UTC"},
                "taggingCriteria": [
                    {"tagInfo": {"tagName": tag, "id": f"{tag}_"}, "isDefault": tag == "Default", "taggingPriority": 99}
                    for tag in tags
                ],
            },
        }
        for rule in rules
    ]
    retention: list[dict[str, Any]] = [
        {"name": tag, "objectType": "AzureRetentionRule", "isDefault": tag == "Default", **keeping} for tag in tags
    ]
    return {
        "policyRules": [*backup, *retention],
        "datasourceTypes": ["Microsoft.Compute/disks"],
        "objectType": "BackupPolicy",
    }


def _item(container: str, name: str, **properties: Any) -> ProtectedItem:
    path = f"backupFabrics/Azure/protectionContainers/{container}/protectedItems/{name}"
    common = {"protectionStatus": "Healthy", "protectionState": "Protected"}
    return ProtectedItem(path=path, properties={**common, **properties})
