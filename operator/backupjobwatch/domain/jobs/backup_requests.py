"""The request that starts a backup, and the operation that its response names.

https://learn.microsoft.com/rest/api/backup/backups/trigger,
https://learn.microsoft.com/rest/api/dataprotection/backup-instances/adhoc-backup
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from backupjobwatch.domain.jobs.resource_ids import OperationId, VaultKind, fold_case, is_operation_id
from backupjobwatch.domain.jobs.times import format_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from backupjobwatch.domain.jobs.protected_items import ProtectedItem
    from backupjobwatch.domain.jobs.resource_ids import VaultId

_OBJECT_TYPES: Final = {"vm": "IaasVMBackupRequest", "azurefileshare": "AzureFileShareBackupRequest"}
_WORKLOAD: Final = "AzureWorkloadBackupRequest"
_WORKLOADS: Final = frozenset({"sqldatabase", "saphanadatabase"})
_COLLECTIONS: Final = {
    VaultKind.RECOVERY_SERVICES: ("operationsstatus", "operationresults"),
    VaultKind.BACKUP_VAULT: ("operationstatus", "operationresults"),
}

BACKUP_ACTIONS: Final[Mapping[VaultKind, str]] = {
    VaultKind.RECOVERY_SERVICES: (
        "Microsoft.RecoveryServices/Vaults/backupFabrics/protectionContainers/protectedItems/backup/action"
    ),
    VaultKind.BACKUP_VAULT: "Microsoft.DataProtection/backupVaults/backupInstances/backup/action",
}
"""The permission that starts a backup, by kind of vault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRequest:
    """A request that starts a backup of *item*."""

    item: ProtectedItem
    body: Mapping[str, Any] = field(hash=False)


def is_database(workload: str) -> bool:
    """Return whether *workload* of a Recovery Services vault has backup types such as Full and Log."""
    return fold_case(workload) in _WORKLOADS


def is_supported(item: ProtectedItem) -> bool:
    """Return whether this operator can start a backup of *item*. Backup vaults check it themselves."""
    workload = fold_case(item.workload)
    return item.vault.kind is VaultKind.BACKUP_VAULT or workload in _OBJECT_TYPES or workload in _WORKLOADS


def item_backup(item: ProtectedItem, *, retain_until: datetime | None = None) -> BackupRequest:
    """Return the request for a virtual machine or a file share. Azure keeps a backup for 30 days by default.

    Raises KeyError for any other workload.
    """
    properties = {"objectType": _OBJECT_TYPES[fold_case(item.workload)], **_expiry(retain_until)}
    return BackupRequest(item=item, body={"properties": properties})


def database_backup(
    item: ProtectedItem, *, backup_type: str = "Full", retain_until: datetime | None = None
) -> BackupRequest:
    """Return the request for a SQL or SAP HANA database. The policy decides how long to keep logs and differentials."""
    properties = {
        "objectType": _WORKLOAD,
        "backupType": backup_type,
        "enableCompression": False,
        **_expiry(retain_until),
    }
    return BackupRequest(item=item, body={"properties": properties})


def instance_backup(item: ProtectedItem, *, rule: str, retention_tag: str | None = None) -> BackupRequest:
    """Return the request for a backup instance of a Backup vault, by a *rule* of its policy."""
    trigger = {} if retention_tag is None else {"retentionTagOverride": retention_tag}
    return BackupRequest(item=item, body={"backupRuleOptions": {"ruleName": rule, "triggerOption": trigger}})


def operation_in(url: str | None, vault: VaultId) -> OperationId | None:
    """Return the operation in a URL of ``Azure-AsyncOperation`` or ``Location``, or None if it is not one of *vault*.

    Only its name is used: signed URLs expire, and a token must not go to another host.
    """
    try:
        segments = [unquote(segment) for segment in urlsplit(url or "").path.split("/")]
    except ValueError:
        return None
    folded = fold_case("/".join(segments))
    location = f"/subscriptions/{fold_case(vault.subscription_id)}/providers/microsoft.dataprotection/locations/"
    is_of_vault = folded.startswith(f"{vault.key}/") or (
        vault.kind is VaultKind.BACKUP_VAULT and folded.startswith(location)
    )
    if not is_of_vault or fold_case(segments[-2]) not in _COLLECTIONS[vault.kind] or not is_operation_id(segments[-1]):
        return None
    return OperationId(vault=vault, name=segments[-1])


def _expiry(retain_until: datetime | None) -> dict[str, str]:
    return {} if retain_until is None else {"recoveryPointExpiryTimeInUTC": format_time(retain_until)}
