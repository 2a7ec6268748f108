"""Strategies for responses of Azure."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from backupjobwatch.domain.jobs import data_protection
from backupjobwatch.domain.jobs.recovery_services import parse_job
from tests.support.azure_errors import KINDS
from tests.support.builders import (
    JOB_ID,
    JOB_NAME,
    OTHER_JOB_NAME,
    dp_job_payload,
    job,
    job_payload,
    list_entry,
    vast_payload,
)  # fmt: skip

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job
    from backupjobwatch.errors import AzureError

SECRETS = (
    "https://stgdemo01.blob.core.windows.net/vhds/d.vhd?sv=2022-11-02&sig=SECRET%3D",
    "Bearer eyJhbGciOiJSUzI1NiJ9.eyJTRUNSRVQiOjF9.SECRET",
)
_TEXTS = (
    "Completed", "Success", "Started", "Canceled", "InProgress", "Failed", "Cancelled", "CompletedWithWarnings", "Cancelling", "PT20M23.0896697S",
    "1.02:03:04.5678901", "-PT5S", "2018-05-21T08:35:40.9488967Z", "0001-01-01T00:00:00", "2001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-14:00", "Cancellable", "nan", "1e999", "\x1b[31m", "\r\n", "\ud800", "…", *SECRETS,
)  # fmt: skip
_LETTERS = st.sampled_from('x<&"\\é資😀\u2028\x00 ')

texts = st.one_of(
    st.sampled_from(_TEXTS),
    st.text(st.characters(), max_size=20),
    st.builds(lambda letter, count: letter * count, _LETTERS, st.integers(200, 2500)),
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts, st.just(10**400))
json_values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=6,
)
json_objects = st.dictionaries(texts, json_values, max_size=4)


def _objects(*fields: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(fields, json_values))


def _lists(items: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Return lists within the limits and some far beyond them."""
    return st.builds(lambda some, times: some * times, st.lists(items, max_size=3), st.sampled_from([1, 1, 30]))


_bags = st.one_of(
    st.dictionaries(texts, json_values, max_size=3),
    st.builds(lambda text: {f"{number} {text}": text for number in range(60)}, texts),
)
_extended = st.fixed_dictionaries(
    {},
    optional={
        "tasksList": _lists(
            _objects(
                "taskId", "status", "startTime", "endTime", "duration", "progressPercentage", "taskExecutionDetails"
            )
        ),
        "internalPropertyBag": st.one_of(_objects("restoreLocationType"), json_values),
        "propertyBag": _bags,
        "progressPercentage": scalars,
        "estimatedRemainingDuration": scalars,
        "dynamicErrorMessage": scalars,
    },
)
_errors = _lists(_objects("errorCode", "errorTitle", "errorString", "recommendations"))
_statuses = st.sampled_from(
    ["InProgress", "InProgress", "Cancelling", "Completed", "CompletedWithWarnings", "Failed", "Cancelled", "Paused"]
)
_fields = {
    **dict.fromkeys(
        ("jobType", "operation", "entityFriendlyName", "backupManagementType", "workloadType", "activityId", "startTime",
         "endTime", "duration", "isUserTriggered", "containerName", "storageAccountName", "mabServerName", "dpmServerName"),
        scalars,
    ),
    "status": st.one_of(_statuses, _statuses, json_values),
    "actionsInfo": st.one_of(st.lists(scalars, max_size=3), json_values),
    "extendedInfo": st.one_of(_extended, _extended, json_values),
    "errorDetails": st.one_of(_errors, _errors, json_values),
    "id": json_values,
    "name": json_values,
}  # fmt: skip


def _overridden(fields: dict[str, Any]) -> dict[str, Any]:
    return job_payload(**fields)


payloads = st.one_of(
    st.builds(_overridden, st.fixed_dictionaries({}, optional=_fields)),
    st.builds(job_payload, status=_statuses),
    st.builds(vast_payload, _LETTERS, status=_statuses),
    json_objects,
    st.fixed_dictionaries({"id": st.just(JOB_ID), "properties": json_values}),
)
"""Jobs: plausible ones, some with any value in any field, huge ones, and any JSON object."""

_dp_errors = _lists(_objects("code", "message", "target", "isRetryable", "recommendedAction", "innerError"))
_dp_extended = st.fixed_dictionaries(
    {},
    optional={
        "subTasks": _lists(
            st.builds(
                operator.or_,
                _objects("taskId", "taskName", "taskStatus", "taskProgress"),
                st.fixed_dictionaries({}, optional={"additionalDetails": _objects("DataTransferredInBytes")}),
            )
        ),
        "warningDetails": _lists(st.fixed_dictionaries({}, optional={"resourceName": texts, "warning": json_values})),
        "additionalDetails": _bags,
        **dict.fromkeys(("dataTransferredInBytes", "dataTransferedInBytes", "recoveryDestination"), scalars),
        **dict.fromkeys(("sourceRecoverPoint", "targetRecoverPoint"), _objects("recoveryPointID", "recoveryPointTime")),
    },
)
_dp_fields = {
    **dict.fromkeys(
        ("backupInstanceId", "backupInstanceFriendlyName", "dataSourceName", "dataSourceType", "operation", "activityID",
         "startTime", "endTime", "duration", "isUserTriggered", "policyName", "dataSourceId", "operationCategory",
         "sourceDataStoreType"),
        scalars,
    ),
    "status": st.one_of(_statuses, _statuses, json_values),
    "extendedInfo": st.one_of(_dp_extended, _dp_extended, json_values),
    "errorDetails": st.one_of(_dp_errors, _dp_errors, json_values),
    "id": json_values,
    "name": json_values,
}  # fmt: skip
dp_payloads = st.one_of(
    st.builds(lambda fields: dp_job_payload(**fields), st.fixed_dictionaries({}, optional=_dp_fields)),
    st.builds(dp_job_payload, status=_statuses),
    json_objects,
)
"""The same for jobs of Backup vaults."""

_names = st.one_of(st.sampled_from([JOB_ID, JOB_NAME, OTHER_JOB_NAME, OTHER_JOB_NAME.upper()]), json_values)
operations = st.one_of(
    json_objects,
    st.fixed_dictionaries(
        {
            "status": st.one_of(
                st.sampled_from(["Succeeded", "Failed", "Canceled", "Inprogress", "Invalid"]), json_values
            )
        },
        optional={
            "error": st.one_of(_objects("code", "message"), json_values),
            "properties": st.one_of(
                json_values,
                st.fixed_dictionaries(
                    {},
                    optional={
                        "jobId": _names,
                        "jobIds": st.lists(_names, max_size=3),
                        "failedJobsError": st.dictionaries(
                            st.sampled_from([JOB_NAME, OTHER_JOB_NAME, "x"]), json_values
                        ),
                    },
                ),
            ),
        },
    ),
)
"""Operation statuses: plausible ones, and any JSON object."""

pages = st.one_of(
    json_objects,
    st.fixed_dictionaries(
        {"value": st.one_of(st.lists(st.one_of(payloads, dp_payloads, json_values), max_size=3), json_values)},
        optional={"nextLink": json_values},
    ),
)
"""Pages of a vault's list."""


def _as_entry(payload: dict[str, Any]) -> Job:
    properties = payload.get("properties")
    if isinstance(properties, dict):
        payload = {**payload, "properties": {**properties, "extendedInfo": None}}
    return parse_job(payload, partial=True)


_entries = st.one_of(
    st.builds(_as_entry, payloads),
    st.builds(list_entry, status=_statuses),
    st.builds(list_entry, status=_statuses, errorDetails=st.just([{"errorCode": 400239, "errorString": "No answer."}])),
)
"""List entries: any, and those that often give a verdict."""

observations: st.SearchStrategy[Job | AzureError] = st.one_of(
    st.builds(parse_job, payloads),
    st.builds(data_protection.parse_job, dp_payloads),
    _entries,
    st.builds(job, status=_statuses),
    *(st.builds(kind, texts) for kind in KINDS),
)
