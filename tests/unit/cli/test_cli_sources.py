"""``render`` for watches that do not name their job: first the operation or list, then the job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.azure import payload
from tests.support.builders import ABSENT, JOB_NAME, OPERATION, VAULT_REF, job_payload, watch_body
from tests.support.command import invoke

if TYPE_CHECKING:
    from pathlib import Path

NOW = "2026-03-04T12:30:00Z"
BY_OPERATION = {"operationId": OPERATION, "vault": VAULT_REF}
STARTED_AT = "2026-03-04T09:00:00Z"
BY_LATEST = {"latest": {"item": "uttestvmub1", "startedAfter": "2026-03-04T08:00:00Z"}, "vault": VAULT_REF}
STARTED = {"status": "Succeeded", "properties": {"jobId": JOB_NAME}}


@pytest.fixture
def render(tmp_path: Path) -> Any:
    """Render a watch with a response, and return its status."""

    def render(watch: dict[str, Any], answer: Any, *arguments: str) -> dict[str, Any]:
        (tmp_path / "watch.yaml").write_text(yaml.safe_dump(watch))
        (tmp_path / "answer.json").write_text(json.dumps(answer))
        files = ["--watch", str(tmp_path / "watch.yaml"), "--response", str(tmp_path / "answer.json")]
        result = invoke("render", *files, "--now", NOW, *arguments)
        assert result.exit_code == 0, result.output
        status: dict[str, Any] = yaml.safe_load(result.stdout)["status"]
        return status

    return render


@pytest.mark.parametrize(
    ("spec", "answer", "phase", "reason"),
    [
        (BY_OPERATION, payload("opstatus-inprogress"), "Pending", "Progressing"),
        (BY_OPERATION, payload("opstatus-failed"), "Failed", "OperationFailed"),
        (BY_OPERATION, payload("opstatus-succeeded-ilr"), "Pending", "OperationWithoutJob"),
        (BY_LATEST, payload("list-empty"), "Pending", "WaitingForJob"),
        (
            BY_LATEST,
            {"value": [job_payload(containerName=name, startTime=STARTED_AT) for name in ("a", "b")]},
            "Pending",
            "AmbiguousItem",
        ),
        (BY_LATEST, {"error": {"code": "X"}}, "Pending", "UnexpectedResponse"),
    ],
)
def test_no_job_yet(render: Any, spec: dict[str, Any], answer: Any, phase: str, reason: str) -> None:
    """A response of an operation or list without a job renders as the operator would write it."""
    status = render(watch_body(spec), answer)

    assert (status["phase"], status["reason"]) == (phase, reason)
    assert "jobs" not in status


@pytest.mark.parametrize(
    ("spec", "answer"), [(BY_OPERATION, STARTED), (BY_LATEST, {"value": [job_payload(startTime=STARTED_AT)]})]
)
def test_a_pinned_job_is_rendered_again(render: Any, spec: dict[str, Any], answer: Any) -> None:
    """A job that is found is pinned. Rendering the result again with the job's response gives the job's status."""
    body = watch_body(spec)
    body["status"] = render(body, answer)
    assert body["status"]["phase"] == "Pending"
    assert body["status"]["jobs"] == [{"name": JOB_NAME}]
    assert "Render again" in body["status"]["message"]

    status = render(body, job_payload())
    assert (status["phase"], status["reason"]) == ("Succeeded", "JobCompleted")
    assert status["jobs"][0]["status"] == "Completed"


def test_unknown_operation(render: Any) -> None:
    """An operation that Azure does not know is reported as not visible yet."""
    status = render(watch_body(BY_OPERATION), {"error": {"code": "X", "message": "Y"}}, "--status", "404")

    assert (status["phase"], status["reason"]) == ("Pending", "JobNotVisible")


def test_a_job_of_a_backup_vault(render: Any) -> None:
    """The response is parsed according to the kind of the vault."""
    given = payload("dp-job-aks-failed")
    status = render(watch_body({"jobResourceId": given["id"]}), given)

    assert (status["phase"], status["reason"]) == ("Failed", "JobFailed")
    assert status["job"]["vault"] == "bv-harbour"


def test_several_jobs(render: Any) -> None:
    """All jobs of an operation are pinned. The response about one job never completes the watch."""
    body = watch_body({"operationId": payload("opstatus-succeeded-jobs")["name"], "vault": VAULT_REF})
    body["status"] = render(body, payload("opstatus-succeeded-jobs"))
    names = [entry["name"] for entry in body["status"]["jobs"]]
    assert len(names) == 3

    status = render(body, job_payload(name=names[0]))
    assert status["phase"] != "Succeeded"


BY_COMPLETED = {"latest": {"item": "uttestvmub1", "completedWithin": "4h"}, "vault": VAULT_REF}


@pytest.mark.parametrize("metadata", [{"creationTimestamp": "2026-03-04T12:00:00Z"}, {"creationTimestamp": None}])
def test_a_job_that_completed_recently(render: Any, metadata: dict[str, Any]) -> None:
    """A list with a job that completed in time is followed by the response about that job."""
    body = watch_body(BY_COMPLETED, **metadata)
    entry = job_payload(startTime=STARTED_AT, endTime="2026-03-04T10:00:00Z")
    body["status"] = render(body, {"value": [entry]})
    assert body["status"]["jobs"] == [{"name": JOB_NAME}]
    assert render(body, entry)["phase"] == "Succeeded"


@pytest.mark.parametrize(
    ("fields", "phase", "reason"),
    [
        ({"endTime": "2026-03-04T07:00:00Z"}, "Pending", "WaitingForJob"),
        ({"backupManagementType": "AzureWorkload"}, "Failed", "InvalidSpec"),
    ],
)
def test_no_job_that_completed_recently(render: Any, fields: dict[str, Any], phase: str, reason: str) -> None:
    """A list without such a job, or with a database, renders as the operator would write it."""
    body = watch_body(BY_COMPLETED, creationTimestamp="2026-03-04T12:00:00Z")
    entry = job_payload(**{"startTime": "2026-03-04T06:00:00Z", "endTime": "2026-03-04T10:00:00Z", **fields})
    status = render(body, {"value": [entry]})

    assert (status["phase"], status["reason"]) == (phase, reason)


def test_a_running_job_is_next(render: Any) -> None:
    """A job that was running when the watch was created is followed."""
    body = watch_body(BY_COMPLETED, creationTimestamp="2026-03-04T12:00:00Z")
    status = render(body, {"value": [job_payload(status="InProgress", endTime=ABSENT, startTime=STARTED_AT)]})

    assert status["jobs"] == [{"name": JOB_NAME}]
