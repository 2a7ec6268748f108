"""Complete statuses in ``tests/data/status``, reviewed by eye. After an intended change, regenerate and review them.

python -m tests.unit.domain.status.test_status_examples
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from backupjobwatch import errors
from backupjobwatch.domain.jobs import data_protection
from backupjobwatch.domain.jobs.findings import JobSet
from backupjobwatch.domain.jobs.operations import read_operation
from backupjobwatch.domain.jobs.recovery_services import parse_job
from tests.property.oracles import check_status
from tests.recordings.recording import Content, load
from tests.recordings.rendering import render
from tests.support.azure import DATA as FIXTURES
from tests.support.azure import RESOURCE_GROUP, SUBSCRIPTION_ID, VAULT, payload, payload_names
from tests.support.builders import JOB_ID, JOB_NAME, NOW, edit, job, request, running_job, settle, watch_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from backupjobwatch.domain.jobs.job import Job

DATA: Final = Path(__file__).parents[3] / "data" / "status"
LATER: Final = NOW + timedelta(minutes=2)
HARBOUR: Final = {"subscriptionId": SUBSCRIPTION_ID, "resourceGroup": RESOURCE_GROUP, "name": VAULT}
_JOBS: Final = tuple(name for kind in ("job-", "dp-job-", "crr-job-", "dp-crr-job-") for name in payload_names(kind))
HARBOUR_TIME: Final = datetime(2026, 3, 4, 14, 0, 0, tzinfo=UTC)
"""A time after all recorded jobs."""


def _page_example() -> dict[str, Any]:
    return settle(settle(watch_body(), running_job(), NOW), job(), LATER)


def _restore_in_progress() -> dict[str, Any]:
    return settle(watch_body(), parse_job(payload("job-iaasvm-restore-inprogress-progress")), NOW)


def _failed() -> dict[str, Any]:
    return settle(watch_body(), parse_job(payload("job-iaasvm-failed")), NOW)


def _warnings_accepted() -> dict[str, Any]:
    body = edit(watch_body(), completedWithWarnings="Succeeded")
    return settle(body, parse_job(payload("job-iaasvm-completedwithwarnings")), NOW)


def _unknown_type_and_status() -> dict[str, Any]:
    return settle(watch_body(), parse_job(payload("job-unknown-type-and-status")), NOW)


def _not_visible_yet() -> dict[str, Any]:
    return settle(watch_body(), errors.JobNotFound("Azure knows no such job yet."), NOW, consecutive_failures=1)


def _refused_while_running() -> dict[str, Any]:
    body = settle(watch_body(), running_job(), NOW)
    return settle(body, errors.AuthorizationFailed("The identity may not read the job."), LATER, consecutive_failures=0)


def _suspended() -> dict[str, Any]:
    body = request(edit(settle(watch_body(), running_job(), NOW), suspend=True), "2018-05-21T09:01:00Z")
    return settle(body, errors.PollDeferred("There is nothing to ask."), LATER)


def _grace_over() -> dict[str, Any]:
    body = settle(watch_body(), errors.VaultNotFound("No such vault."), NOW, consecutive_failures=1)
    return settle(body, errors.VaultNotFound("No such vault."), NOW + timedelta(minutes=11), consecutive_failures=9)


def _invalid_spec() -> dict[str, Any]:
    return settle(watch_body({"jobResourceId": JOB_ID, "pollInterval": "7s"}), errors.PollDeferred("x"), NOW)


def _of_job(name: str) -> dict[str, Any]:
    """Return the watch of a recorded job, by its ID or, for a secondary region, by name and vault."""
    answer = payload(name)
    spec = {"jobResourceId": answer["id"]}
    if "/locations/" in answer["id"]:
        spec = {"jobName": answer["name"], "vault": {**HARBOUR, "secondaryRegion": "westus"}}
    parse = data_protection.parse_job if name.startswith("dp-") else parse_job
    return settle(watch_body(spec), parse(answer), HARBOUR_TIME)


def _of_operation(name: str) -> dict[str, Any]:
    """Return the watch of a recorded operation, including the recorded jobs that it names."""
    answer = payload(name)
    kind = {"kind": "BackupVault"} if name.startswith("dp-") else {}
    region = {"secondaryRegion": "westus"} if "/locations/" in answer["id"] else {}
    body = watch_body({"operationId": answer["name"], "vault": {**HARBOUR, **kind, **region}})
    try:
        found = read_operation(answer)
    except errors.AzureError as error:
        return settle(body, error, HARBOUR_TIME, consecutive_failures=1)
    if not isinstance(found, tuple):
        return settle(body, found, HARBOUR_TIME)
    jobs = tuple(_recorded(job.name) for job in found if job.error_code is None)
    failed = tuple(job for job in found if job.error_code is not None)
    observation = jobs[0] if len(found) == 1 else JobSet(jobs=jobs, not_started=failed)
    return settle(body, observation, HARBOUR_TIME, pinned=found)


def _recorded(name: str) -> Job:
    """Return the first recorded job with this name."""
    for file in _JOBS:
        if payload(file)["name"] == name:
            return (data_protection.parse_job if file.startswith("dp-") else parse_job)(payload(file))
    raise LookupError(name)


def _of_recording(name: str, number: int) -> dict[str, Any]:
    """Return the watch of a recorded error or list entry."""
    return dict(_RECORDED[name, number])


_RECORDED: Final = {
    (recording.name.removesuffix(".json"), number): result.body
    for recording in load(FIXTURES)
    if recording.content in (Content.ERROR, Content.JOBS)
    for number, result in enumerate(render(recording), start=1)
    if result.body is not None and "onDemand" not in result.body["spec"]
}
AZURE: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    **{f"azure-{name}-{number}": partial(_of_recording, name, number) for name, number in _RECORDED},
    **{f"azure-{name}": partial(_of_job, name) for name in _JOBS},
    **{
        f"azure-{name}": partial(_of_operation, name)
        for name in (*payload_names("opstatus-"), *payload_names("dp-opstatus-"), *payload_names("crr-opstatus-"))
    },
}
"""The watch of every job, operation, error and list entry in the fixtures."""

EXAMPLES: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    "page-example": _page_example,
    "restore-in-progress": _restore_in_progress,
    "failed": _failed,
    "warnings-accepted": _warnings_accepted,
    "unknown-type-and-status": _unknown_type_and_status,
    "not-visible-yet": _not_visible_yet,
    "refused-while-running": _refused_while_running,
    "suspended": _suspended,
    "grace-over": _grace_over,
    "invalid-spec": _invalid_spec,
    **AZURE,
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str) -> None:
    """The status equals the reviewed file and is valid."""
    body = EXAMPLES[name]()

    assert body["status"] == yaml.safe_load((DATA / f"{name}.yaml").read_text(encoding="utf-8"))
    check_status(body)


def test_no_others() -> None:
    """Every file belongs to an example."""
    assert {path.name for path in DATA.iterdir()} == {f"{name}.yaml" for name in EXAMPLES}


def test_page_example() -> None:
    """The example job of Microsoft's documentation has the fields that users look for first."""
    status = _page_example()["status"]

    assert (status["phase"], status["duration"]) == ("Succeeded", "20m23s")
    assert (status["job"]["vault"], status["job"]["name"]) == ("abdemovault", JOB_NAME)
    assert (status["job"]["entityFriendlyName"], status["job"]["status"]) == ("uttestvmub1", "Completed")
    assert len(status["extendedInfo"]["tasks"]) == 2
    assert status["extendedInfo"]["properties"]["Backup Size"] == "2332 MB"


def _write() -> None:
    DATA.mkdir(parents=True, exist_ok=True)
    for name, make in EXAMPLES.items():
        text = yaml.safe_dump(make()["status"], sort_keys=False, allow_unicode=True, width=120)
        (DATA / f"{name}.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    _write()
