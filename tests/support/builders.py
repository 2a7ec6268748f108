"""Plain dictionaries in the form of Azure and the API server, as starting points for tests."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from backupjobwatch.constants import API_VERSION, KIND, REQUESTED_AT
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import TARGET_DEFAULTS
from backupjobwatch.domain.jobs.recovery_services import parse_job
from backupjobwatch.domain.status.assessment import Assessment
from backupjobwatch.domain.status.next_status import next_status
from tests.support.azure import payload

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from backupjobwatch.domain.api.backup_record import BackupRecord
    from backupjobwatch.domain.jobs.findings import Finding, PinnedJob
    from backupjobwatch.domain.jobs.job import Job

SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
RESOURCE_GROUP = "Default-RecoveryServices-ResourceGroup-centralindia"
VAULT = "abdemovault"
JOB_NAME = "7ddead57-bcb9-4269-ac31-6a1b57588700"
OTHER_JOB_NAME = "41f3e94b-ae6b-4a20-b422-65abfcaf03e5"
THIRD_JOB_NAME = "3c0f7d11-8e2a-4b60-9d45-61f2a8b3c703"
VAULT_ID = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.RecoveryServices/vaults/{VAULT}"
)
JOB_ID = f"{VAULT_ID}/backupJobs/{JOB_NAME}"
VAULT_REF = {"subscriptionId": SUBSCRIPTION, "resourceGroup": RESOURCE_GROUP, "name": VAULT}
OPERATION = "09e70001-5e1f-4000-8000-000000000001"
NOW = datetime(2018, 5, 21, 9, 0, 0, tzinfo=UTC)
"""A time shortly after the job in ``job_payload`` ended."""

CANCELLED_AFTER_SNAPSHOT: Mapping[str, Any] = {
    "status": "CompletedWithWarnings",
    "errorDetails": [
        {"errorCode": 400158, "errorTitle": "UserErrorJobSuccessfullyCancelled", "errorString": "Job is cancelled."}
    ],
    "extendedInfo": {
        "tasksList": [
            {"taskId": "Take Snapshot", "status": "Completed"},
            {"taskId": "Transfer data to vault", "status": "Cancelled"},
        ]
    },
}
"""Overrides for ``job_payload``: a VM backup that was cancelled after its snapshot, as Azure reports it."""


class _Absent(Enum):
    """A sentinel with a stable ``repr``: pytest-xdist compares the IDs of tests across processes."""

    ABSENT = "absent"


ABSENT = _Absent.ABSENT
"""As an override, omits the field."""

CRD_DEFAULTS = {**TARGET_DEFAULTS, "pollInterval": "30s", "suspend": False}
_ENVELOPE = ("id", "name", "type")


def at(minutes: float) -> str:
    """Return the time this many minutes from now in the format of Azure and the API server."""
    return f"{datetime.now(UTC) + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


def job_payload(**overrides: Any) -> dict[str, Any]:
    """Return Microsoft's example job, with *overrides* of its ``properties``, id, name or type.

    https://learn.microsoft.com/azure/backup/backup-azure-arm-userestapi-managejobs#example-response
    """
    properties = {
        "jobType": "AzureIaaSVMJob",
        "duration": "00:20:23.0896697",
        "actionsInfo": [1],
        "virtualMachineVersion": "Compute",
        "extendedInfo": {
            "tasksList": [
                {"taskId": "Take Snapshot", "duration": "00:00:00", "status": "Completed"},
                {"taskId": "Transfer data to vault", "duration": "00:00:00", "status": "Completed"},
            ],
            "propertyBag": {"VM Name": "uttestvmub1", "Backup Size": "2332 MB"},
        },
        "entityFriendlyName": "uttestvmub1",
        "backupManagementType": "AzureIaasVM",
        "operation": "Backup",
        "status": "Completed",
        "startTime": "2018-05-21T08:35:40.9488967Z",
        "endTime": "2018-05-21T08:56:04.0385664Z",
        "activityId": "7df8e874-1d66-4f81-8e91-da2fe054811d",
    }
    envelope = {"id": JOB_ID, "name": JOB_NAME, "type": "Microsoft.RecoveryServices/vaults/backupJobs"}
    for name, value in overrides.items():
        part = envelope if name in _ENVELOPE else properties
        part[name] = value
    return {**_present(envelope), "properties": _present(properties)}


def running_payload(**overrides: Any) -> dict[str, Any]:
    """Return the same job in progress."""
    return job_payload(**{"status": "InProgress", "endTime": ABSENT, **overrides})


def job(**overrides: Any) -> Job:
    """Return the parsed job of ``job_payload``."""
    return parse_job(job_payload(**overrides))


def list_entry(**overrides: Any) -> Job:
    """Return the job of ``job_payload`` as parsed from a vault's list, which has no ``extendedInfo``."""
    return parse_job(job_payload(**{"extendedInfo": ABSENT, **overrides}), partial=True)


def running_job(**overrides: Any) -> Job:
    """Return the parsed job of ``running_payload``."""
    return parse_job(running_payload(**overrides))


def dp_job_payload(**overrides: Any) -> dict[str, Any]:
    """Return a running Backup vault job, with *overrides* of its ``properties``, id, name or type."""
    answer = payload("dp-job-aks-inprogress")
    for name, value in overrides.items():
        (answer if name in _ENVELOPE else answer["properties"])[name] = value
    return {**_present(answer), "properties": _present(answer["properties"])}


def vast_payload(letter: str, **overrides: Any) -> dict[str, Any]:
    """Return a job with every text filled with *letter*, and with more entries than the limits."""
    text = letter * 1500
    words = (
        "jobType", "operation", "entityFriendlyName", "backupManagementType", "workloadType", "activityId",
        "containerName", "storageAccountName", "mabServerName", "dpmServerName",
    )  # fmt: skip
    bag = dict.fromkeys(("name", "type", "reason", "target", "resourceId"), text)
    bag |= {f"{number:02}{text}": text for number in range(52)}
    fields = {
        **dict.fromkeys(("id", "name", *words), text),
        "errorDetails": [
            {"errorCode": text, "errorTitle": text, "errorString": text, "recommendations": [text] * 12}
            for _ in range(22)
        ],
        "extendedInfo": {
            "tasksList": [
                {
                    "taskId": text,
                    "status": text,
                    "duration": "PT5S",
                    "progressPercentage": 5,
                    "taskExecutionDetails": text,
                }
            ]
            * 52,
            "propertyBag": bag,
            "internalPropertyBag": {"restoreLocationType": text},
            "progressPercentage": 5,
            "estimatedRemainingDuration": text,
            "dynamicErrorMessage": text,
        },
    }
    return job_payload(**{**fields, **overrides})


def watch_body(
    spec: Mapping[str, Any] | None = None, status: Mapping[str, Any] | None = None, **metadata: Any
) -> dict[str, Any]:
    """Return a watch with defaults as stored by the API server. Without *spec*, it uses the job above."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "namespace": "team-a",
            "name": "nightly",
            "uid": "0b5f2f6e-3a0e-4c1c-9d52-9f3f8ad1c0de",
            "generation": 1,
            "resourceVersion": "100",
            "creationTimestamp": "2018-05-21T08:35:00Z",
            **metadata,
        },
        "spec": {**CRD_DEFAULTS, **({"jobResourceId": JOB_ID} if spec is None else spec)},
        "status": copy.deepcopy(dict(status or {"observedGeneration": -1})),
    }


def watch(spec: Mapping[str, Any] | None = None, status: Mapping[str, Any] | None = None, **metadata: Any) -> Watch:
    """Return the snapshot of such a watch."""
    return Watch.from_body(watch_body(spec, status, **metadata))


def settle(
    body: Mapping[str, Any],
    finding: Finding,
    now: datetime,
    consecutive_failures: int = 0,
    pinned: Sequence[PinnedJob] = (),
    *,
    polled: datetime | None = None,
    accept_list_entry: bool = False,
    record: BackupRecord | None = None,
) -> dict[str, Any]:
    """Return *body* after one assessment, with the new status as the API server stores it."""
    status = next_status(
        Watch.from_body(body),
        Assessment(
            finding=finding,
            consecutive_failures=consecutive_failures,
            polled=polled,
            accept_list_entry=accept_list_entry,
        ),
        now=now,
        pinned=pinned,
        record=record,
    )
    version = str(int(body["metadata"]["resourceVersion"]) + 1)
    return {**body, "metadata": {**body["metadata"], "resourceVersion": version}, "status": copy.deepcopy(status)}


def edit(body: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """Return *body* after an edit to its spec, with a new generation if the spec changed."""
    spec = _present({**body["spec"], **fields})
    generation = body["metadata"]["generation"] + (spec != body["spec"])
    return {**body, "metadata": {**body["metadata"], "generation": generation}, "spec": spec}


def request(body: Mapping[str, Any], value: str) -> dict[str, Any]:
    """Return *body* with the annotation that requests a poll. Annotations do not change the generation."""
    annotations = {**body["metadata"].get("annotations", {}), REQUESTED_AT: value}
    return {**body, "metadata": {**body["metadata"], "annotations": annotations}}


def condition(status: Mapping[str, Any], kind: str) -> dict[str, Any] | None:
    """Return the condition of that type, or None."""
    conditions: Iterable[dict[str, Any]] = status.get("conditions", ())
    return next((each for each in conditions if each["type"] == kind), None)


def standing(status: Mapping[str, Any]) -> dict[str, str]:
    """Return the status of every existing condition by type."""
    return {each["type"]: each["status"] for each in status.get("conditions", ())}


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not ABSENT}
