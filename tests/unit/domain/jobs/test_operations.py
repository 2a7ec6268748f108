"""Operation status: the jobs that an operation started, or the reason why there are none."""

from __future__ import annotations

from typing import Any

import pytest

from backupjobwatch.domain.jobs.findings import OperationFailure, PinnedJob, Waiting
from backupjobwatch.domain.jobs.operations import read_operation
from backupjobwatch.errors import OperationWithoutJob, UnexpectedResponse
from tests.support.azure import payload
from tests.support.builders import JOB_ID, JOB_NAME, OTHER_JOB_NAME

NAMED = (PinnedJob(name=JOB_NAME),)


def succeeded(**properties: Any) -> dict[str, Any]:
    return {"status": "Succeeded", "properties": properties}


@pytest.mark.parametrize(
    ("name", "jobs"),
    [
        ("opstatus-succeeded-job", [("b0b00001-5e1f-4000-8000-000000000001", None)]),
        ("dp-opstatus-succeeded-job", [("d0d00001-5e1f-4000-8000-000000000001", None)]),
        (
            "opstatus-succeeded-jobs",
            [
                ("b0b00001-5e1f-4000-8000-000000000001", None),
                ("b0b00003-5e1f-4000-8000-000000000001", None),
                ("b0b00003-5e1f-4000-8000-000000000002", "UserErrorBackupFailedDatabaseInOfflineState"),
            ],
        ),
    ],
)
def test_jobs_on_record(name: str, jobs: list[tuple[str, str | None]]) -> None:
    """Jobs are named by GUIDs, full IDs, or several of them with jobs that failed to start, as Azure has sent them."""
    assert read_operation(payload(name)) == tuple(PinnedJob(name=job, error_code=code) for job, code in jobs)


@pytest.mark.parametrize(
    "properties",
    [
        {"objectType": "OperationStatusJobExtendedInfo", "jobId": JOB_NAME},
        {"objectType": "SomethingNew", "jobId": JOB_NAME},
        {"jobId": JOB_NAME.upper()},
        {"jobId": JOB_ID},
        {"jobId": f"{JOB_ID}/"},
        {"jobId": JOB_NAME, "jobIds": None, "failedJobsError": None},
        {"jobId": JOB_NAME, "jobIds": "text", "failedJobsError": ["text"]},
        {"jobId": None, "jobIds": [JOB_NAME]},
        {"jobId": JOB_NAME, "jobIds": [JOB_NAME.upper(), JOB_ID]},
        {"jobIds": [None, JOB_NAME, None]},
    ],
)
def test_one_job(properties: dict[str, Any]) -> None:
    """A job that is named repeatedly or in different letter case is one job."""
    assert read_operation(succeeded(**properties)) == NAMED


@pytest.mark.parametrize("status", ["Succeeded", "succeeded", "SUCCEEDED"])
def test_letter_case(status: str) -> None:
    """The status matches in any letter case, because Backup vaults use their own."""
    assert read_operation({"status": status, "properties": {"jobId": JOB_NAME}}) == NAMED


@pytest.mark.parametrize(
    ("failed", "code"),
    [("UserErrorX", "UserErrorX"), (400239, "400239"), (None, "unknown"), ("", "unknown"), ({}, "unknown")],
)
def test_failed_jobs(failed: object, code: str) -> None:
    """A job that failed to start has its error code and is one of the jobs, even if no other list has it."""
    several = succeeded(jobIds=[JOB_NAME], failedJobsError={OTHER_JOB_NAME.upper(): failed})

    assert read_operation(several) == (PinnedJob(name=JOB_NAME), PinnedJob(name=OTHER_JOB_NAME, error_code=code))


def test_failed_job_in_both_lists() -> None:
    """A job that is both listed and failed to start is one failed job."""
    several = succeeded(jobIds=[JOB_NAME, OTHER_JOB_NAME], failedJobsError={JOB_NAME: "UserErrorX"})

    assert read_operation(several) == (
        PinnedJob(name=JOB_NAME, error_code="UserErrorX"), PinnedJob(name=OTHER_JOB_NAME)
    )  # fmt: skip


def test_only_failed_jobs() -> None:
    """If none of its jobs started, the operation has only failed jobs."""
    assert read_operation(succeeded(failedJobsError={JOB_NAME: "UserErrorX"})) == (
        PinnedJob(name=JOB_NAME, error_code="UserErrorX"),
    )


@pytest.mark.parametrize(
    "operation",
    [
        payload("opstatus-succeeded-ilr"),
        {"status": "Succeeded"},
        {"status": "Succeeded", "properties": None},
        {"status": "Succeeded", "properties": []},
        succeeded(),
        succeeded(jobId=None, jobIds=[], failedJobsError={}),
        succeeded(objectType="OperationStatusValidateOperationExtendedInfo", validateOperationResponse={}),
    ],
)
def test_without_job(operation: dict[str, Any]) -> None:
    """An operation that succeeded without a job is a transient error, never a success."""
    with pytest.raises(OperationWithoutJob, match="succeeded, but Azure names no job"):
        read_operation(operation)


@pytest.mark.parametrize(
    "properties",
    [
        {"jobId": "nightly"},
        {"jobId": 7},
        {"jobId": {"name": JOB_NAME}},
        {"jobIds": [JOB_NAME, "../../secrets"]},
        {"jobIds": [[JOB_NAME]]},
        {"jobId": f"{JOB_ID}?api-version=1"},
        {"jobId": "net.tcp://10.0.0.1:9443"},
        {"failedJobsError": {"nightly": "UserErrorX"}},
    ],
)
def test_names_that_are_no_guids(properties: dict[str, Any]) -> None:
    """A job name that is not a GUID is an error for the whole operation, because names go into URLs."""
    with pytest.raises(UnexpectedResponse, match="not a GUID") as caught:
        read_operation(succeeded(**properties))
    assert "10.0.0.1" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "opstatus-failed",
            (
                "The operation ended as Failed. "
                "UserErrorBackupOperationInProgress: Unable to initiate backup as another backup operation is currently in "
                "progress."
            ),
        ),
        (
            "dp-opstatus-failed",
            (
                "The operation ended as Failed. "
                "UserErrorKubernetesBackupExtensionNotFoundError: The cluster has no backup extension. "
                "Install the extension in the cluster and run the operation again. See https://aka.ms/aksclusterbackup"
            ),
        ),
    ],
)
def test_failures_on_record(name: str, message: str) -> None:
    """The failure of an operation quotes Azure."""
    failure = read_operation(payload(name))

    assert isinstance(failure, OperationFailure)
    assert failure.message == message
    assert failure.errors


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ({"status": "Canceled"}, "The operation ended as Canceled."),
        ({"status": "Cancelled"}, "The operation ended as Cancelled."),
        ({"status": "cancelled", "error": {"code": "C", "message": "M."}}, "The operation ended as cancelled. C: M."),
        ({"status": "Invalid"}, "The operation ended as Invalid."),
        ({"status": "Invalid", "error": {"code": "C", "message": "M."}}, "The operation ended as Invalid. C: M."),
        (
            {"status": "Failed", "error": {"ErrorCode": "C", "Message": {"Value": "M."}}},
            "The operation ended as Failed. C: M.",
        ),
        ({"status": "failed", "error": None}, "The operation ended as failed."),
        ({"status": "Failed", "error": "text"}, "The operation ended as Failed."),
        ({"status": "Failed", "error": {"code": "C"}}, "The operation ended as Failed. C"),
        ({"status": "Failed", "error": {"code": None, "message": "M."}}, "The operation ended as Failed. M."),
        ({"status": "Failed", "error": {"code": 7, "message": {}}}, "The operation ended as Failed. 7"),
        ({"status": "Failed", "properties": {"jobId": JOB_NAME}}, "The operation ended as Failed."),
    ],
)
def test_failures(operation: dict[str, Any], message: str) -> None:
    """Failed, canceled and invalid operations are failures. Jobs that they name are ignored."""
    failure = read_operation(operation)

    assert isinstance(failure, OperationFailure)
    assert failure.message == message


def test_failure_has_no_secrets() -> None:
    """Azure's text becomes one line without signed URLs."""
    error = {"code": "C", "message": "See https://x.blob.core.windows.net/y?sig=SECRET\r\nfor more."}
    failure = read_operation({"status": "Failed", "error": error})

    assert isinstance(failure, OperationFailure)
    assert "SECRET" not in failure.message
    assert failure.message.isprintable()


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        (payload("opstatus-inprogress"), "InProgress"),
        (payload("dp-opstatus-inprogress"), "Inprogress"),
        ({"status": "SomethingNew"}, "SomethingNew"),
        ({"status": "InProgress", "properties": {"jobId": JOB_NAME}}, "InProgress"),
        ({"status": None}, "no status"),
        ({"status": []}, "no status"),
        ({}, "no status"),
    ],
)
def test_waiting(operation: dict[str, Any], status: str) -> None:
    """The watch waits on any other status, known or not, and the message names it."""
    found = read_operation(operation)

    assert found == Waiting(
        reason="Progressing", message=f"The operation has not started a job yet. Azure reports {status}."
    )


def test_waiting_with_an_error() -> None:
    """An unknown status with an error is not final, but the message quotes Azure."""
    found = read_operation({"status": "Queued", "error": {"code": "C", "message": "M."}})

    assert isinstance(found, Waiting)
    assert found.message == "The operation has not started a job yet. Azure reports Queued. C: M."
