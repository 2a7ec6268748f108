"""Watches of several jobs: all must succeed. If one fails, the watch fails once all have ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.findings import MAX_JOBS, JobSet, PinnedJob
from backupjobwatch.domain.status.verdict import deciding_job
from tests.property.oracles import check_status
from tests.support.builders import NOW, OPERATION, VAULT_REF, job, settle, standing, watch_body

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job

SPEC = {"operationId": OPERATION, "vault": VAULT_REF}
LATER = NOW + timedelta(minutes=2)


def name_of(number: int) -> str:
    return f"b0b00001-5e1f-4000-8000-{number:012}"


def jobs(*statuses: str, **fields: Any) -> tuple[Job, ...]:
    """Return jobs of vm0, vm1, … with these statuses."""
    return tuple(
        job(name=name_of(number), status=status, entityFriendlyName=f"vm{number}", **fields)
        for number, status in enumerate(statuses)
    )


def jobs_of(*statuses: str, failed: dict[str, str] | None = None, **fields: Any) -> JobSet:
    errors = tuple(PinnedJob(name=name, error_code=code) for name, code in (failed or {}).items())
    return JobSet(jobs=jobs(*statuses, **fields), not_started=errors)


def pins(observation: JobSet) -> tuple[PinnedJob, ...]:
    return (*(PinnedJob(name=str(each.name)) for each in observation.jobs), *observation.not_started)


def seen(observation: JobSet, body: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """Return the status after this observation."""
    after = settle(body or watch_body({**SPEC, **spec}), observation, LATER, pinned=pins(observation))
    check_status(after)
    status: dict[str, Any] = after["status"]
    return status


def verdict(observation: JobSet, **spec: Any) -> tuple[str, str, str]:
    status = seen(observation, **spec)
    return status["phase"], status["reason"], status["message"]


def test_all_succeeded() -> None:
    """The watch succeeds when all jobs have completed."""
    phase, reason, message = verdict(jobs_of("Completed", "Completed"))

    assert (phase, reason) == ("Succeeded", "JobCompleted")
    assert message == "All 2 jobs completed. Backup of vm0 completed in 20m23s."


@pytest.mark.parametrize("running", ["InProgress", "Cancelling", "Paused", ""])
@pytest.mark.parametrize("other", ["Completed", "Failed", "Cancelled", "CompletedWithWarnings"])
def test_one_runs(running: str, other: str) -> None:
    """The watch keeps running until all jobs have ended, even if one has failed."""
    status = seen(jobs_of(other, running))

    assert status["phase"] == "Running"
    assert status["message"].startswith("1 of 2 jobs have not ended. ")
    assert standing(status)["Ready"] == "Unknown"


@pytest.mark.parametrize(("failed", "reason"), [("Failed", "JobFailed"), ("Cancelled", "JobCancelled")])
def test_one_failed(failed: str, reason: str) -> None:
    """When all jobs have ended and one has failed, the watch fails with that job's reason."""
    phase, told, message = verdict(jobs_of("Completed", failed, "Completed"))

    assert (phase, told) == ("Failed", reason)
    assert message.startswith("1 of 3 jobs failed. Backup of vm1 ")


def test_not_started() -> None:
    """A job that could not be started counts as failed. The message has its name and Azure's error code."""
    observation = jobs_of("Completed", "Failed", failed={name_of(7): "UserErrorOffline"})
    phase, reason, message = verdict(observation)

    assert (phase, reason) == ("Failed", "JobFailed")
    assert message == f"2 of 3 jobs failed. {name_of(7)}: UserErrorOffline."


def test_not_started_while_others_run() -> None:
    """A job that could not be started does not decide the verdict before the other jobs have ended."""
    assert verdict(jobs_of("InProgress", failed={name_of(7): "X"}))[0] == "Running"


def test_none_started() -> None:
    """If no job could be started, the watch fails."""
    status = seen(jobs_of(failed={name_of(7): "X", name_of(8): "Y"}))

    assert (status["phase"], status["reason"]) == ("Failed", "JobFailed")
    assert status["message"].startswith("2 of 2 jobs failed.")
    assert [entry["errorCode"] for entry in status["jobs"]] == ["X", "Y"]
    assert "job" not in status


@pytest.mark.parametrize("accepted", [True, False])
def test_warnings(accepted: bool) -> None:  # noqa: FBT001
    """The spec decides whether the warnings of one job fail the watch."""
    spec = {"completedWithWarnings": "Succeeded" if accepted else "Failed"}
    phase, reason, message = verdict(jobs_of("Completed", "CompletedWithWarnings"), **spec)

    assert (phase, reason) == ("Succeeded" if accepted else "Failed", "JobCompletedWithWarnings")
    assert message.startswith(
        "All 2 jobs completed. Backup of vm1" if accepted else "1 of 2 jobs failed. Backup of vm1"
    )


def test_accepted_warnings_and_a_failure() -> None:
    """Accepted warnings do not hide a failure."""
    observation = jobs_of("CompletedWithWarnings", "Failed")

    assert verdict(observation, completedWithWarnings="Succeeded")[:2] == ("Failed", "JobFailed")


def test_accepted_warnings_and_a_cancelled_job() -> None:
    """Accepted warnings do not hide a cancelled job that Azure reports as CompletedWithWarnings."""
    cancelled = {"tasksList": [{"taskId": "Transfer data to vault", "status": "Cancelled"}]}
    warned, (job_cancelled,) = jobs("CompletedWithWarnings"), jobs("CompletedWithWarnings", extendedInfo=cancelled)
    observation = JobSet(jobs=(*warned, replace(job_cancelled, name=name_of(1))), not_started=())

    assert verdict(observation, completedWithWarnings="Succeeded")[:2] == ("Failed", "JobCancelled")
    assert deciding_job(observation) == observation.jobs[1]


@pytest.mark.parametrize(
    ("statuses", "decides"),
    [
        (("Completed", "InProgress", "Failed"), 2),
        (("Completed", "Cancelled", "Failed"), 2),
        (("CompletedWithWarnings", "InProgress", "Cancelled"), 2),
        (("InProgress", "CompletedWithWarnings"), 1),
        (("Completed", "Paused"), 1),
        (("Completed", "Completed"), 0),
    ],
)
def test_deciding_job(statuses: tuple[str, ...], decides: int) -> None:
    """The status shows a failed job, else one with warnings, else a running one, else the first."""
    observation = jobs_of(*statuses)

    assert deciding_job(observation) == observation.jobs[decides]
    assert seen(observation)["job"]["name"] == name_of(decides)


def test_no_deciding_job() -> None:
    """A set without jobs has no deciding job."""
    assert deciding_job(jobs_of()) is None


def test_listed() -> None:
    """The status lists each job with its last result, and each job that did not start with its error code."""
    status = seen(jobs_of("Completed", "InProgress", failed={name_of(7): "X"}))

    assert status["jobs"] == [
        {"name": name_of(0), "status": "Completed", "operation": "Backup", "entityFriendlyName": "vm0"},
        {"name": name_of(1), "status": "InProgress", "operation": "Backup", "entityFriendlyName": "vm1"},
        {"name": name_of(7), "errorCode": "X"},
    ]
    assert status["jobsTotal"] == 3


@pytest.mark.parametrize("total", [MAX_JOBS, MAX_JOBS + 1, 300])
def test_many(total: int) -> None:
    """The status lists at most fifty jobs. The total and the verdict include all of them."""
    observation = jobs_of(*["Completed"] * (total - 1), "Failed")
    status = seen(observation)

    assert status["message"].startswith(f"1 of {total} jobs failed. Backup of vm{total - 1} failed")
    assert len(status["jobs"]) == MAX_JOBS
    assert status["jobsTotal"] == total


def test_incomplete_lists_pin_nothing() -> None:
    """A status that lists only some of the jobs pins none: the operator reads the operation again."""
    body = watch_body(SPEC)
    body["status"] = seen(jobs_of(*["InProgress"] * (MAX_JOBS + 1)), body)

    assert Watch.from_body(body).pinned == ()


@pytest.mark.parametrize("letter", ["x", "資", "<"])
def test_truncated_lists_pin_nothing(letter: str) -> None:
    """A job list that was truncated to fit pins no jobs. A watch that lost a job could succeed without it."""
    observation = jobs_of(*["InProgress"] * MAX_JOBS)
    long = tuple(job(name=name_of(n), status="InProgress", entityFriendlyName=letter * 256) for n in range(MAX_JOBS))
    body = watch_body(SPEC)
    body["status"] = seen(JobSet(jobs=long, not_started=()), body)

    assert Watch.from_body(body).pinned in ((), pins(observation))
