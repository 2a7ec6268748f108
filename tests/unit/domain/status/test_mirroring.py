"""How a status mirrors a job, from a GET or from a list entry."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from backupjobwatch.domain.jobs.data_protection import parse_job as parse_data_protection
from backupjobwatch.domain.jobs.findings import JobSet, PinnedJob
from backupjobwatch.domain.status.mirroring import MIRRORED, mirror_job, present
from backupjobwatch.domain.status.transitions import needs_write
from tests.property.oracles import check_status
from tests.support.azure import payload
from tests.support.builders import ABSENT, NOW, dp_job_payload, job, list_entry, running_job, settle, watch_body

DETAIL: dict[str, Any] = {
    "errorDetails": [{"errorCode": 1, "errorString": "Slow."}],
    "extendedInfo": {"tasksList": [{"taskId": "Transfer", "status": "InProgress"}], "progressPercentage": 40},
}
WARNING = {"resourceName": "ns", "warning": {"code": "W", "message": "Skipped."}}


def test_present() -> None:
    """``present`` drops nulls, empty lists and empty objects. It keeps false, zero and empty text."""
    fields: dict[str, Any] = {"a": None, "b": [], "c": {}, "d": False, "e": 0, "f": "", "g": [0]}

    assert present(**fields) == {"d": False, "e": 0, "f": "", "g": [0]}


def test_all_fields_are_mirrored() -> None:
    """A job from a GET sets exactly the fields in ``MIRRORED``."""
    assert set(mirror_job(job(), {}, now=NOW)) == set(MIRRORED)


def test_partial() -> None:
    """A list entry updates the job and its duration, and keeps the tasks, progress and errors that it lacks."""
    before = settle(watch_body(), running_job(**DETAIL), NOW)
    entry = replace(running_job(duration="PT30M", status="Cancelling", extendedInfo=ABSENT), partial=True)
    after = settle(before, entry, NOW + timedelta(minutes=1))

    assert after["status"]["job"]["status"] == "Cancelling"
    assert after["status"]["duration"] == "30m0s"
    for name in ("extendedInfo", "errors"):
        assert after["status"][name] == before["status"][name] != {}
    check_status(after)


def test_partial_keeps_warnings() -> None:
    """A list entry also keeps the warnings, recovery points and bytes of a Backup vault's job."""
    extended = {
        "warningDetails": [WARNING],
        "dataTransferredInBytes": 5,
        "targetRecoverPoint": {"recoveryPointID": "p1"},
    }
    before = settle(watch_body(), parse_data_protection(dp_job_payload(extendedInfo=extended)), NOW)
    entry = replace(parse_data_protection(dp_job_payload(extendedInfo=None)), partial=True)
    status = settle(before, entry, NOW + timedelta(minutes=1))["status"]

    assert status["warnings"] == [{"code": "W", "message": "Skipped.", "target": "ns"}]
    assert status["extendedInfo"] == {"dataTransferredBytes": 5, "targetRecoveryPoint": {"id": "p1"}}


def test_errors_of_an_entry() -> None:
    """The errors of an ended entry replace those of the last GET. Those of a running entry do not."""
    before = settle(watch_body(), running_job(errorDetails=[{"errorCode": 1}]), NOW)
    running = settle(before, list_entry(status="InProgress", errorDetails=[{"errorCode": 400239}]), NOW)["status"]
    ended = settle(before, list_entry(status="Failed", errorDetails=[{"errorCode": 400239}]), NOW)["status"]
    bare = settle(before, list_entry(status="Failed"), NOW)["status"]

    assert [each["errors"][0]["code"] for each in (running, ended, bare)] == ["1", "400239", "1"]
    assert ended["extendedInfo"] == before["status"]["extendedInfo"]


def test_partial_first() -> None:
    """If a list entry is the first result for a job, the status has no tasks."""
    body = settle(watch_body(), replace(running_job(extendedInfo=ABSENT), partial=True), NOW)

    assert body["status"]["job"]["status"] == "InProgress"
    assert not {"extendedInfo", "errors", "warnings"} & body["status"].keys()
    check_status(body)


def test_whole_answer_clears() -> None:
    """A GET without errors or tasks clears the earlier ones."""
    before = settle(watch_body(), running_job(**DETAIL), NOW)
    after = settle(before, running_job(extendedInfo=ABSENT), NOW + timedelta(minutes=1))

    assert "errors" not in after["status"]
    assert not after["status"].get("extendedInfo")


def test_partial_of_another_target() -> None:
    """A list entry never keeps details of another target."""
    before = settle(watch_body(), running_job(**DETAIL), NOW)
    other = {**before, "spec": {**before["spec"], "graceSeconds": 5}}
    after = settle(other, replace(running_job(extendedInfo=ABSENT), partial=True), NOW)

    assert not {"extendedInfo", "errors"} & after["status"].keys()


def test_partial_of_another_of_several_jobs() -> None:
    """When another job of an operation becomes the deciding job, the details of the previous one are dropped."""
    names = ("b0b00001-5e1f-4000-8000-000000000001", "b0b00001-5e1f-4000-8000-000000000002")
    pinned = [PinnedJob(name=name) for name in names]
    one, two = running_job(name=names[0], **DETAIL), running_job(name=names[1], activityId=ABSENT, extendedInfo=ABSENT)
    two = replace(two, partial=True)
    before = settle(watch_body(), JobSet(jobs=(one, two), not_started=()), NOW, pinned=pinned)
    ended = job(name=names[0])
    status = settle(before, JobSet(jobs=(ended, two), not_started=()), NOW, pinned=pinned)["status"]

    assert before["status"]["extendedInfo"]["progressPercent"] == 40
    assert status["job"]["name"] == names[1]
    assert "activityId" not in status["job"]
    assert not {"extendedInfo", "errors"} & status.keys()


def test_long_name_of_a_vault() -> None:
    """A vault name from the properties of a job is truncated, so that the API server accepts the status."""
    bag = {"propertyBag": {"Vault name": "v" * 400}}
    body = settle(watch_body(), replace(running_job(extendedInfo=bag), resource_id=None), NOW)

    check_status(body)
    assert body["status"]["job"]["vault"] == "v" * 256


@pytest.mark.parametrize("duration", ["PT0S", "00:00:00", "-PT4M20.8890416S", None])
@pytest.mark.parametrize("partial", [True, False])
def test_running_duration(duration: str | None, partial: bool) -> None:  # noqa: FBT001
    """If Azure reports the duration of a running job as zero, negative or null, it is the time since the start."""
    answer = dp_job_payload(duration=duration, startTime="2018-05-21T08:55:39.6Z")
    body = settle(watch_body(), parse_data_protection(answer, partial=partial), NOW)
    later = settle(body, parse_data_protection(answer, partial=partial), NOW + timedelta(minutes=1))["status"]

    assert (body["status"]["duration"], body["status"]["durationSeconds"]) == ("4m20s", 260)
    assert (later["duration"], later["durationSeconds"]) == ("5m20s", 320)
    assert not needs_write(body["status"], later, heartbeat=timedelta(hours=1))


@pytest.mark.parametrize("name", ["dp-job-aks-failed", "dp-job-restore-completed-iso"])
def test_backup_vaults(name: str) -> None:
    """A job of a Backup vault is mirrored with the fields that only such vaults have."""
    body = settle(watch_body(), parse_data_protection(payload(name)), NOW)
    status = body["status"]

    check_status(body)
    assert status["job"]["vault"] == "bv-harbour"
    assert status["job"]["cancellable"] is False
    if name == "dp-job-aks-failed":
        (error,) = status["errors"]
        assert error["retryable"] is False
        assert error["cause"] == "ExtensionNotFound: No extension of that type was found."
    else:
        assert status["extendedInfo"]["sourceRecoveryPoint"] == {
            "id": "4be1c9d2000000000000000000000001", "time": "2026-03-03T22:00:49Z",
        }  # fmt: skip
