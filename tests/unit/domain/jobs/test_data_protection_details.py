"""Details of Backup vault jobs: transferred bytes, locations and supported actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.jobs.data_protection import parse_job
from tests.support.builders import ABSENT, dp_job_payload

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job


def job(**overrides: Any) -> Job:
    return parse_job(dp_job_payload(**overrides))


def extended(**fields: Any) -> Job:
    return job(extendedInfo=fields)


@pytest.mark.parametrize(
    ("written", "read"), [(0, 0), (1.0, 1), ("2332", 2332), (-1, None), (2**63, None), (None, None), ("2 MB", None)]
)
def test_data_transferred(written: Any, read: int | None) -> None:
    """A byte count is an integer from 0 to 2^63 - 1. Any other value counts as unknown."""
    assert extended(dataTransferredInBytes=written).data_transferred == read


@pytest.mark.parametrize(
    ("fields", "tasks", "total"),
    [
        ({"dataTransferredInBytes": 2063.0}, ["7"], 2063),
        ({"dataTransferredInBytes": 0}, ["7"], 0),
        ({"dataTransferedInBytes": 2063.0}, ["7"], 2063),
        ({"dataTransferredInBytes": None, "dataTransferedInBytes": 2063.0}, [], 2063),
        ({"dataTransferredInBytes": 5, "dataTransferedInBytes": 2063.0}, [], 5),
        ({"dataTransferredInBytes": None}, ["616490449"], 616490449),
        ({}, ["7", None, "x", 8], 15),
        ({}, ["0"], 0),
        ({}, [None], None),
        ({}, [2**62, 2**62], None),
        ({}, [], None),
    ],
)
def test_bytes_of_tasks(fields: dict[str, Any], tasks: list[Any], total: int | None) -> None:
    """The byte count is Azure's total, also in its misspelt field. Otherwise it is the sum of the sub-tasks."""
    details = [{"taskName": "T", "additionalDetails": {"DataTransferredInBytes": each}} for each in tasks]
    read = extended(subTasks=details, **fields)

    assert read.data_transferred == total
    assert [task.data_transferred for task in read.tasks] == [
        None if each in (None, "x") else int(each) for each in tasks
    ]


@pytest.mark.parametrize("details", [None, [], "text", {"DataTransferredInBytes": {}}, {"TaskId": "1"}])
def test_no_bytes_of_tasks(details: Any) -> None:
    """A sub-task whose details have no byte count has none."""
    (task,) = extended(subTasks=[{"taskName": "T", "additionalDetails": details}]).tasks

    assert task.data_transferred is None


def test_details() -> None:
    """A job has its data source, policy, category, data store and destination. Nulls count as absent."""
    destination = "https://harbourstage.blob.core.windows.net/restored?sv=1&sig=SECRET"
    read = job(
        policyName="nightly",
        dataSourceId="/subscriptions/s/servers/10.0.0.4",
        operationCategory="CrossRegionRestore",
        sourceDataStoreType="VaultStore",
        extendedInfo={"recoveryDestination": destination},
    )
    silent = job(policyName=None, dataSourceId=None, operationCategory=None, extendedInfo={"recoveryDestination": None})

    assert (read.policy_name, read.data_source_id) == ("nightly", "/subscriptions/s/servers/10.0.0.4")
    assert (read.operation_category, read.source_data_store_type) == ("CrossRegionRestore", "VaultStore")
    assert (read.recovery_destination or "").startswith("https://harbourstage.blob.core.windows.net/restored")
    assert "SECRET" not in repr(read)
    assert (silent.policy_name, silent.data_source_id, silent.operation_category) == (None, None, None)
    assert (silent.source_data_store_type, silent.recovery_destination) == (None, None)


@pytest.mark.parametrize(
    ("actions", "cancellable"),
    [
        (["Cancellable"], True),
        (["cancellable"], True),
        (["", "Cancellable"], True),
        ([1], True),
        ([""], False),
        ([], False),
        (["Retriable", None, {}], False),
        (None, None),
        ("Cancellable", None),
        (ABSENT, None),
    ],
)
def test_supported_actions(actions: Any, cancellable: bool | None) -> None:  # noqa: FBT001
    """``supportedActions`` shows whether the job can be cancelled. Without the list this is unknown."""
    assert job(supportedActions=actions).cancellable is cancellable
