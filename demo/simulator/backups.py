"""Start backups on demand: check the request, and create an operation and a job."""

import base64
import json
import uuid
from collections.abc import Mapping
from typing import Any, Final

from demo.simulator import errors
from demo.simulator.any_vault import AnyVault
from demo.simulator.messages import Answer, ArmRequest
from demo.simulator.operations import Operation
from demo.simulator.protection import ProtectedItem, StartedBackup
from demo.simulator.timeline import Job, State
from demo.simulator.vaults import BackupVault

OBJECT_TYPES: Final[Mapping[str, str]] = {
    "VM": "IaasVMBackupRequest",
    "AzureFileShare": "AzureFileShareBackupRequest",
    "SQLDataBase": "AzureWorkloadBackupRequest",
    "SAPHanaDatabase": "AzureWorkloadBackupRequest",
}
BACKUP_TYPES: Final = ("Full", "Differential", "Log", "CopyOnlyFull", "Incremental")
_RUNNING: Final = ("InProgress", "Cancelling")
_VERSION: Final = "api-version"


def start_backup(request: ArmRequest, vault: AnyVault, *, base_url: str) -> Answer:
    """Start a backup of the item in the path of *request*. A running backup of the item makes the new job fail."""
    below = request.path[len(vault.id) + 1 :].rpartition("/")[0]
    item = vault.protection.find(below)
    if item is None:
        return errors.item_not_found() if not isinstance(vault, BackupVault) else errors.instance_not_found()
    body = _body(request)
    refusal = _refusal(item, body, vault)
    if refusal is not None:
        return refusal
    request_id = request.headers.get("x-ms-client-request-id")
    is_busy = any(_is_backup_of(item, job) for job in vault.list_jobs())
    job = _job(item, body, vault, activity_id=request_id or str(uuid.uuid4()), is_busy=is_busy)
    name = str(uuid.uuid4())
    if isinstance(vault, BackupVault):
        name = base64.b64encode(f"{uuid.uuid5(uuid.NAMESPACE_URL, vault.id)};{name}".encode()).decode()
    vault.add_operation(Operation.succeeding(name, job.name, after=vault.protection.names_job_after), job)
    vault.protection.note(StartedBackup(item=item.path, client_request_id=request_id, operation=name, job=job.name))
    return Answer(202, headers=_headers(request, item, vault, name, base_url))


def _headers(
    request: ArmRequest, item: ProtectedItem, vault: AnyVault, operation: str, base_url: str
) -> dict[str, str]:
    wait = vault.protection.retry_after
    query = f"?{_VERSION}={request.query[_VERSION]}"
    if isinstance(vault, BackupVault):
        location = f"/subscriptions/{vault.subscription_id}/providers/Microsoft.DataProtection/locations/westeurope"
        return {
            "Azure-AsyncOperation": f"{base_url}{vault.id}/operationStatus/{operation}{query}",
            "Location": f"{base_url}{location}/operationResults/{operation}{query}",
            "Retry-After": str(30 if wait is None else wait),
        }
    return {
        "Azure-AsyncOperation": f"{base_url}{vault.id}/{item.path}/operationsStatus/{operation}{query}",
        "Location": f"{base_url}{vault.id}/{item.path}/operationResults/{operation}{query}",
        "Retry-After": str(60 if wait is None else wait),
    }


def _body(request: ArmRequest) -> dict[str, Any]:
    try:
        body = json.loads(request.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _refusal(item: ProtectedItem, body: Mapping[str, Any], vault: AnyVault) -> Answer | None:
    """Return a 400 for an unsuitable request. Only that for the state of an instance is a recorded one."""
    if not isinstance(vault, BackupVault):
        properties = body.get("properties") or {}
        is_valid = properties.get("objectType") == OBJECT_TYPES.get(item.workload) and (
            "backupType" not in properties or properties["backupType"] in BACKUP_TYPES
        )
        is_protected = item.properties["protectionState"] in ("Protected", "IRPending")
        return None if is_valid and is_protected else errors.invalid_input()
    state = item.properties["currentProtectionState"]
    if state != "ProtectionConfigured":
        return errors.adhoc_backup_not_allowed(state)
    options = body.get("backupRuleOptions") or {}
    tag = (options.get("triggerOption") or {}).get("retentionTagOverride")
    policy = vault.protection.find_policy(item.properties["policyInfo"]["policyId"].rsplit("/", 1)[-1]) or {}
    rules: dict[str, set[str]] = {"AzureBackupRule": set(), "AzureRetentionRule": {"default"}}
    for rule in policy.get("policyRules", ()):
        rules[rule["objectType"]].add(rule["name"])
    is_known = options.get("ruleName") in rules["AzureBackupRule"]
    is_tag = tag is None or tag in rules["AzureRetentionRule"]
    return None if is_known and is_tag and "triggerOption" in options else errors.invalid_input()


def _is_backup_of(item: ProtectedItem, job: Mapping[str, Any]) -> bool:
    """Return whether *job* of a list is a running backup of *item*."""
    properties = job["properties"]
    if properties["status"] not in _RUNNING or not str(properties.get("operation")).startswith("Backup"):
        return False
    if "backupInstanceId" in properties:
        return bool(properties["backupInstanceId"].casefold().endswith(f"/{item.path}".casefold()))
    container = properties.get("containerName") or properties.get("storageAccountName")
    segments = str(item.properties.get("containerName")).split(";")
    is_same = container is None or container in (item.properties.get("containerName"), segments[-1])
    return is_same and properties.get("entityFriendlyName") == item.friendly_name


def _job(item: ProtectedItem, body: Mapping[str, Any], vault: AnyVault, *, activity_id: str, is_busy: bool) -> Job:
    make = _instance_job if isinstance(vault, BackupVault) else _item_job
    properties, at_end = make(item, body, vault, activity_id)
    protection = vault.protection
    end = State(status=protection.ends_as, after=protection.duration, ended=True, properties=at_end)
    if is_busy:
        code, title, text, after = _conflict(item)
        error = (
            {"code": title, "message": text, "isRetryable": True, "recommendedAction": ["Wait for the other backup."]}
            if isinstance(vault, BackupVault)
            else {"errorCode": code, "errorTitle": title, "errorString": text, "recommendations": []}
        )
        end = State(status="Failed", after=after, ended=True, properties={**at_end, "errorDetails": [error]})
    return Job(
        name=str(uuid.uuid4()),
        properties=properties,
        visible_after=protection.visible_after,
        timeline=(State(status="InProgress"), end),
    )


def _conflict(item: ProtectedItem) -> tuple[int, str, str, float]:
    """Return the error of a job that conflicts with another backup of the item, and the seconds until it fails.

    The code for virtual machines is recorded, those for SQL Server and disks are documented. For all other items, the
    answer of Azure is not known.
    """
    if item.workload == "SQLDataBase":
        title = "OperationCancelledBecauseConflictingOperationRunningUserError"
        return 510008, title, "A conflicting backup of the same type is already in progress.", 180.0
    if "dataSourceInfo" in item.properties:
        title = "UserErrorMaxConcurrentOperationLimitReached"
        return (
            0,
            title,
            "Unable to start the operation as maximum number of allowed concurrent backups has reached.",
            2.0,
        )
    text = "Unable to initiate backup as another backup operation is currently in progress."
    return 400249, "UserErrorBackupOperationInProgress", text, 1.3


def _item_job(
    item: ProtectedItem, body: Mapping[str, Any], _: AnyVault, activity_id: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the properties of a job in a Recovery Services vault, and those that change at its end."""
    common = {
        "entityFriendlyName": item.friendly_name,
        "backupManagementType": item.properties["backupManagementType"],
        "operation": "Backup",
        "activityId": activity_id,
        "actionsInfo": [1],
        "extendedInfo": {"tasksList": [], "propertyBag": {}},
    }
    container = item.properties["containerName"]
    if item.workload == "VM":
        expiry = body["properties"].get("recoveryPointExpiryTimeInUTC")
        bag = {"VM Name": item.friendly_name} | ({"Recovery Point Expiry Time in UTC": expiry} if expiry else {})
        version = {"jobType": "AzureIaaSVMJob", "containerName": container, "virtualMachineVersion": "Compute"}
        return {**common, **version}, {"extendedInfo": {"tasksList": [], "propertyBag": bag}}
    if item.workload == "AzureFileShare":
        bag = {"Whether job is adhoc or scheduled.": "True"}
        account = {"jobType": "AzureStorageJob", "storageAccountName": container.rsplit(";", 1)[-1]}
        extended = {"extendedInfo": {"tasksList": [], "propertyBag": bag}, "isUserTriggered": False}
        return {**common, **account, **extended}, {}
    kind = body["properties"].get("backupType", "Full")
    at_end = {
        "workloadType": item.workload,
        "entityFriendlyName": f"{item.friendly_name} [{item.properties['serverName']}]",
        "operation": f"Backup ({kind})",
    }
    return {**common, "jobType": "AzureWorkloadJob", "workloadType": None, "isUserTriggered": True}, at_end


def _instance_job(
    item: ProtectedItem, body: Mapping[str, Any], vault: AnyVault, activity_id: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the properties of a job in a Backup vault, and those that change at its end."""
    tag = body["backupRuleOptions"]["triggerOption"].get("retentionTagOverride", "default")
    source, policy_id = item.properties["dataSourceInfo"], item.properties["policyInfo"]["policyId"]
    properties = {
        "activityID": activity_id,
        "backupInstanceId": f"{vault.id}/{item.path}",
        "backupInstanceFriendlyName": item.friendly_name,
        "policyId": policy_id,
        "policyName": policy_id.rsplit("/", 1)[-1],
        "dataSourceId": source["resourceID"],
        "dataSourceName": source["resourceName"],
        "dataSourceType": source["datasourceType"],
        "operation": "Backup",
        "operationCategory": "Backup",
        "isUserTriggered": True,
        "progressEnabled": False,
    }
    return properties, {"extendedInfo": {"additionalDetails": {"RetentionTag": tag}, "subTasks": []}}
