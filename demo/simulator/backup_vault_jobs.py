"""Fictional Backup vault jobs for the demo: a backup, a restore and a failed backup of an AKS cluster."""

from typing import Any, Final

from demo.simulator.formats import iso8601_duration, timespan
from demo.simulator.protection import backup_instance, backup_policy
from demo.simulator.server import AzureSimulator
from demo.simulator.timeline import Job, State
from demo.simulator.vaults import BackupVault

SUBSCRIPTION_ID: Final = "00000000-0000-0000-0000-000000000000"
RESOURCE_GROUP: Final = "rg-harbour-clusters"
VAULT: Final = "bv-harbour"
_GROUP: Final = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/{RESOURCE_GROUP}/providers"


def _aks(operation: str, activity_id: str) -> dict[str, Any]:
    return {
        "activityID": activity_id,
        "backupInstanceId": f"{_GROUP}/Microsoft.DataProtection/backupVaults/{VAULT}/backupInstances/aks-harbour-daily",
        "policyId": f"{_GROUP}/Microsoft.DataProtection/backupVaults/{VAULT}/backupPolicies/aks-daily",
        "policyName": "aks-daily",
        "dataSourceId": f"{_GROUP}/Microsoft.ContainerService/managedClusters/aks-harbour",
        "dataSourceName": "aks-harbour",
        "dataSourceSetName": "aks-harbour",
        "dataSourceType": "Microsoft.ContainerService/managedClusters",
        "dataSourceLocation": "northeurope",
        "sourceResourceGroup": RESOURCE_GROUP,
        "sourceSubscriptionID": SUBSCRIPTION_ID,
        "backupInstanceFriendlyName": "aks-harbour/daily",
        "progressEnabled": False,
        "operationCategory": operation,
        "operation": operation,
        "isUserTriggered": True,
        "destinationDataStoreName": "OperationalTierStore",
    }


def _tasks(*tasks: tuple[str, str, str | None]) -> list[dict[str, Any]]:
    """Return tasks from their names, statuses and progress."""
    return [
        {"taskId": number, "taskName": name, "taskStatus": status, "taskProgress": progress, "additionalDetails": None}
        for number, (name, status, progress) in enumerate(tasks, start=1)
    ]


def _extended(*tasks: tuple[str, str, str | None], **more: Any) -> dict[str, Any]:
    nulls = {"backupInstanceState": None, "additionalDetails": None, "warningDetails": None}
    return {"extendedInfo": {**nulls, "subTasks": _tasks(*tasks), **more}}


AKS_BACKUP: Final = Job(
    name="92db7f35-508a-46c6-bbfd-c71afe536901",
    duration_format=timespan,
    properties=_aks("Backup", "92db7f35-17a2-11f1-8a11-0a58a9feac02"),
    timeline=(
        State(status="InProgress", properties=_extended(("Trigger Backup", "InProgress", None))),
        State(
            status="Completed",
            after=188.3166312,
            ended=True,
            properties=_extended(
                ("Trigger Backup", "Completed", None),
                backupInstanceState="ProtectionConfigured",
                dataTransferredInBytes=73400320,
                targetRecoverPoint={
                    "recoveryPointID": "92db7f35508a46c6bbfdc71afe536901",
                    "recoveryPointTime": "2026-03-04T01:03:08.3166312Z",
                },
            ),
        ),
    ),
)

AKS_RESTORE: Final = Job(
    name="a3ec8046-619b-47d7-8c0e-d82b0f647a02",
    duration_format=iso8601_duration,
    properties=_aks("Restore", "a3ec8046-17a2-11f1-8a11-0a58a9feac02") | {"supportedActions": [""]},
    timeline=(
        State(
            status="InProgress",
            properties=_extended(("Trigger Restore", "InProgress", "25%"), ("Restore Volumes", "NotStarted", None)),
        ),
        State(
            status="CompletedWithWarnings",
            after=137.3225761,
            ended=True,
            properties=_extended(
                ("Trigger Restore", "Completed", "100%"),
                ("Restore Volumes", "CompletedWithWarnings", "100%"),
                recoveryDestination=f"{_GROUP}/Microsoft.ContainerService/managedClusters/aks-harbour-dr",
                sourceRecoverPoint={
                    "recoveryPointID": "9f74e372000000000000000000000001",
                    "recoveryPointTime": "2026-03-03T22:00:49.5729763Z",
                },
                warningDetails=[
                    {
                        "resourceName": "ledger/pvc-data",
                        "warning": {
                            "code": "UserWarningVolumeSkipped",
                            "message": "The volume's storage class does not exist in the target cluster.",
                            "target": "",
                            "isRetryable": False,
                            "isUserError": True,
                            "recommendedAction": ["Map the storage class.", "Retry the restore."],
                            "properties": None,
                            "details": None,
                            "innerError": None,
                        },
                    }
                ],
            ),
        ),
    ),
)

AKS_FAILED: Final = Job(
    name="b4fd9157-72ac-48e8-9d1f-e93c10758b03",
    duration_format=timespan,
    properties=_aks("Backup", "b4fd9157-17a2-11f1-8a11-0a58a9feac02"),
    timeline=(
        State(status="InProgress", properties=_extended(("Trigger Backup", "InProgress", None))),
        State(
            status="Failed",
            after=295.6132424,
            ended=True,
            properties={
                "errorDetails": [
                    {
                        "code": "UserErrorKubernetesBackupExtensionHasErrors",
                        "message": "The Backup extension installed in the cluster has some internal errors.",
                        "target": "",
                        "isRetryable": True,
                        "isUserError": True,
                        "recommendedAction": ["Delete the extension, and then install the extension again."],
                        "properties": {"ActivityId": "b4fd9157"},
                        "details": None,
                        "innerError": {
                            "code": "ExtensionUnhealthy",
                            "additionalInfo": {"DetailedNonLocalisedMessage": "A pod of the extension is pending."},
                            "embeddedInnerError": {
                                "code": "PodPending",
                                "additionalInfo": None,
                                "embeddedInnerError": None,
                            },
                        },
                    }
                ],
                **_extended(("Trigger Backup", "Failed", None), backupInstanceState="ProtectionError"),
            },
        ),
    ),
)

BACKUP_VAULT_JOBS: Final = (AKS_BACKUP, AKS_RESTORE, AKS_FAILED)


def add_backup_vault_jobs(simulator: AzureSimulator) -> BackupVault:
    """Add a Backup vault with these jobs, which start now, and an instance whose backup can be started."""
    vault = simulator.add_backup_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, VAULT)
    for job in BACKUP_VAULT_JOBS:
        vault.add_job(job)
    vault.protection.add_policy("aks-daily", backup_policy("BackupHourly"))
    instance = "aks-harbour-daily-a4500001-5e1f-4000-8000-000000000001"
    vault.protection.add(
        backup_instance(
            instance,
            policy_id=f"{vault.id}/backupPolicies/aks-daily",
            friendly_name="aks-harbour/daily",
            source_type="Microsoft.ContainerService/managedClusters",
        )
    )
    return vault
