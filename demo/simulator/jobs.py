"""
The jobs of the demo, all in the vault of Azure's documentation page.

The first job ends with the exact values of the example on that page. The other jobs are fictional. The failed job
has Azure's error. The text of the warning is invented.
Sources: https://learn.microsoft.com/azure/backup/backup-azure-arm-userestapi-managejobs and
https://learn.microsoft.com/azure/backup/backup-azure-vms-troubleshoot.
"""

from dataclasses import replace
from typing import Any, Final, Literal

from demo.simulator.formats import timespan
from demo.simulator.protection import database, virtual_machine
from demo.simulator.server import AzureSimulator
from demo.simulator.timeline import Job, Properties, State, Transfer
from demo.simulator.vaults import Vault

SUBSCRIPTION_ID: Final = "00000000-0000-0000-0000-000000000000"
RESOURCE_GROUP: Final = "Default-RecoveryServices-ResourceGroup-centralindia"
VAULT: Final = "abdemovault"

SNAPSHOT: Final = "Take Snapshot"
TO_VAULT: Final = "Transfer data to vault"
FROM_VAULT: Final = "Transfer data from vault"


def _tasks(*tasks: tuple[str, str], duration: str = "PT0S") -> list[dict[str, str]]:
    """Return tasks from their names and statuses. VM backup tasks always have a duration of zero in Azure."""
    return [{"taskId": task_id, "duration": duration, "status": status} for task_id, status in tasks]


def _vm(name: str, operation: str, activity_id: str) -> dict[str, Any]:
    return {
        "jobType": "AzureIaaSVMJob",
        "containerName": f"iaasvmcontainerv2;harbour-apps;{name}",
        "virtualMachineVersion": "Compute",
        "entityFriendlyName": name,
        "backupManagementType": "AzureIaasVM",
        "operation": operation,
        "activityId": activity_id,
    }


def _backup_info(snapshot: str, transfer: str, **properties: str) -> dict[str, Any]:
    return {"tasksList": _tasks((SNAPSHOT, snapshot), (TO_VAULT, transfer)), "propertyBag": properties}


def _running(extended_info: Properties) -> dict[str, Any]:
    return {"actionsInfo": [1], "extendedInfo": extended_info}


def _documented_info(snapshot: str, transfer: str, **properties: str) -> dict[str, Any]:
    return {
        "extendedInfo": {
            "tasksList": _tasks((SNAPSHOT, snapshot), (TO_VAULT, transfer), duration="00:00:00"),
            "propertyBag": {"VM Name": "uttestvmub1", **properties},
        }
    }


DOCUMENTED: Final = Job(
    name="7ddead57-bcb9-4269-ac31-6a1b57588700",
    start_time="2018-05-21T08:35:40.9488967Z",
    duration_format=timespan,
    properties={
        "jobType": "AzureIaaSVMJob",
        "actionsInfo": [1],
        "virtualMachineVersion": "Compute",
        "entityFriendlyName": "uttestvmub1",
        "backupManagementType": "AzureIaasVM",
        "operation": "Backup",
        "activityId": "7df8e874-1d66-4f81-8e91-da2fe054811d",
    },
    timeline=(
        State(status="InProgress", properties=_documented_info("InProgress", "NotStarted")),
        State(status="InProgress", after=240.0, properties=_documented_info("Completed", "InProgress")),
        State(
            status="Completed",
            after=1223.0896697,
            ended=True,
            properties=_documented_info("Completed", "Completed", **{"Backup Size": "2332 MB"}),
        ),
    ),
)

_COPYING: Final = Transfer(begins=20.0, ends=1500.0, gigabytes=24.8, task_id=FROM_VAULT)


def _disks(task_status: str) -> dict[str, Any]:
    return {
        "tasksList": _tasks((FROM_VAULT, task_status)),
        "propertyBag": {
            "Job Type": "Recover disks",
            "Target Storage Account Name": "stharbourrestore",
            "Recovery point time ": "3/3/2026 1:00:31 AM",
        },
        "internalPropertyBag": {"restoreLocationType": "RestoreDisks"},
    }


RESTORE: Final = Job(
    name="2f6b1c9e-50d4-4a7e-8c31-9be07c1d4a02",
    properties=_vm("vm-harbour-02", "Restore", "2f6b1c9e-17a2-11f1-8a11-0a58a9feac02") | {"isUserTriggered": True},
    timeline=(
        State(status="InProgress", transfer=_COPYING, properties=_running(_disks("InProgress"))),
        State(
            status="Completed", after=1510.5, ended=True, transfer=_COPYING, properties=_running(_disks("Completed"))
        ),
    ),
)

FAILED: Final = Job(
    name="3c0f7d11-8e2a-4b60-9d45-61f2a8b3c703",
    properties=_vm("vm-harbour-03", "Backup", "3c0f7d11-17a2-11f1-8a11-0a58a9feac02"),
    timeline=(
        State(status="InProgress", properties=_running(_backup_info("InProgress", "NotStarted"))),
        State(
            status="Failed",
            after=903.0000001,
            ended=True,
            properties={
                "errorDetails": [
                    {
                        "errorCode": 400239,
                        "errorTitle": "UserErrorGuestAgentStatusUnavailable",
                        "errorString": "VM agent is unable to communicate with the Azure Backup Service.",
                        "recommendations": [
                            "Ensure the VM has network connectivity and the VM agent is latest and running.",
                            "For more information, refer to http://go.microsoft.com/fwlink/?LinkId=800034",
                        ],
                    },
                    {"errorCode": 0, "errorString": None, "recommendations": None},
                ],
                "extendedInfo": {
                    **_backup_info("Failed", "Skipped", **{"VM Name": "vm-harbour-03"}),
                    "dynamicErrorMessage": "",
                },
            },
        ),
    ),
)

COMPLETED_WITH_WARNINGS: Final = Job(
    name="4d9a2e64-07b8-4c15-a1f3-72c5b9e8d104",
    properties=_vm("vm-harbour-04", "Backup", "4d9a2e64-17a2-11f1-8a11-0a58a9feac02"),
    timeline=(
        State(status="InProgress", properties=_running(_backup_info("InProgress", "NotStarted"))),
        State(
            status="InProgress",
            after=300.0,
            properties=_running(_backup_info("CompletedWithWarnings", "InProgress")),
        ),
        State(
            status="CompletedWithWarnings",
            after=2282.5,
            ended=True,
            properties={
                "errorDetails": [
                    {
                        "errorCode": 400600,
                        "errorTitle": "ExtensionSnapshotConsistencyDowngraded",
                        "errorString": "The snapshot is file-system consistent, but not application consistent.",
                        "recommendations": ["Check the VM snapshot extension.", "Retry the backup."],
                    }
                ],
                "extendedInfo": {
                    **_backup_info("CompletedWithWarnings", "Completed", **{"VM Name": "vm-harbour-04"}),
                    "dynamicErrorMessage": "A VSS writer in the VM timed out.",
                },
            },
        ),
    ),
)

SQL_FULL_BACKUP: Final = Job(
    name="5e7b3f90-1c46-4d82-b7e9-83d6ca1f2505",
    properties={
        "jobType": "AzureWorkloadJob",
        "workloadType": None,
        "entityFriendlyName": "ledger",
        "backupManagementType": "AzureWorkload",
        "operation": "Backup",
        "isUserTriggered": True,
        "actionsInfo": [1],
        "activityId": "5e7b3f90-17a2-11f1-8a11-0a58a9feac02",
    },
    timeline=(
        State(
            status="InProgress",
            properties={
                "extendedInfo": {"tasksList": [{"taskId": TO_VAULT, "status": "InProgress"}], "propertyBag": {}},
            },
        ),
        State(
            status="Completed",
            after=121.0890126,
            ended=True,
            properties={
                "workloadType": "SQLDataBase",
                "entityFriendlyName": "ledger [vm-harbour-sql]",
                "operation": "Backup (Full)",
                "extendedInfo": {
                    "tasksList": [{"taskId": TO_VAULT, "status": "Completed"}],
                    "propertyBag": {"Data Transferred (in MB)": "12.0884"},
                },
            },
        ),
    ),
)
"""When the job ends, Azure adds the host to the name and the type to the operation."""

CANCELLED: Final = Job(
    name="6fa84c02-2d57-4e93-88ca-94e7db203606",
    properties=_vm("vm-harbour-06", "Restore", "6fa84c02-17a2-11f1-8a11-0a58a9feac02"),
    timeline=(
        State(
            status="InProgress",
            properties=_running({"tasksList": _tasks((FROM_VAULT, "InProgress")), "propertyBag": {}}),
        ),
        State(
            status="Cancelling",
            after=90.0,
            properties={"extendedInfo": {"tasksList": _tasks((FROM_VAULT, "InProgress")), "propertyBag": {}}},
        ),
        State(
            status="Cancelled",
            after=120.25,
            ended=True,
            properties={
                "errorDetails": [
                    {
                        "errorCode": 400158,
                        "errorTitle": "UserErrorJobSuccessfullyCancelled",
                        "errorString": "Job is cancelled.",
                        "recommendations": [],
                    }
                ],
                "extendedInfo": {"tasksList": _tasks((FROM_VAULT, "Cancelled")), "propertyBag": {}},
            },
        ),
    ),
)

LATE: Final = Job(
    name="70b95d13-3e68-4fa4-99db-a5f8ec314707",
    visible_after=45.0,
    properties=_vm("vm-harbour-07", "Backup", "70b95d13-17a2-11f1-8a11-0a58a9feac02"),
    timeline=(
        State(status="InProgress", properties=_running(_backup_info("InProgress", "NotStarted"))),
        State(status="InProgress", after=120.0, properties=_running(_backup_info("Completed", "InProgress"))),
        State(
            status="Completed",
            after=600.0,
            ended=True,
            properties=_running(_backup_info("Completed", "Completed", **{"Backup Size": "811 MB"})),
        ),
    ),
)
"""A job that returns 404 at first: an operation can name a job before GETs find it."""

UNKNOWN: Final = Job(
    name="81ca6e24-4f79-40b5-aaec-b609fd425808",
    properties={
        "jobType": "AzureTapeRobotJob",
        "entityFriendlyName": "tape-robot-08",
        "backupManagementType": "AzureTapeRobot",
        "operation": "Rewind",
        "actionsInfo": ["Cancellable"],
        "activityId": "81ca6e24-17a2-11f1-8a11-0a58a9feac02",
        "robotArms": 2,
        "extendedInfo": None,
    },
    timeline=(State(status="WaitingForTape"), State(status="Completed", after=600.0, ended=True)),
)
"""A job with an unknown type and an unknown status."""

DEMO_JOBS: Final = (DOCUMENTED, RESTORE, FAILED, COMPLETED_WITH_WARNINGS, SQL_FULL_BACKUP, CANCELLED, LATE, UNKNOWN)


def add_demo_jobs(simulator: AzureSimulator, *, starts: Literal["now", "when asked"] = "now") -> Vault:
    """Add the documentation's vault with all jobs of the demo, and items whose backup can be started."""
    vault = simulator.add_vault(SUBSCRIPTION_ID, RESOURCE_GROUP, VAULT)
    for job in DEMO_JOBS:
        # A job that starts during the demo cannot have the start time of the documentation.
        vault.add_job(job if starts == "now" else replace(job, start_time=None), starts=starts)
    protect_demo_items(vault)
    return vault


def protect_demo_items(vault: Vault) -> None:
    """Add protected items, which on-demand backups need."""
    for number in range(1, 5):
        vault.protection.add(virtual_machine(f"vm-harbour-{number:02}", group="harbour-apps"))
    vault.protection.add(database("ledger", server="vm-harbour-sql", group="harbour-apps"))
