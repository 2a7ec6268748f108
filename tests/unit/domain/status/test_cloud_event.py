"""CloudEvents for webhooks, parsed by the official library."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.status.cloud_event import CloudEvent, cloud_event
from backupjobwatch.domain.status.notifications import due
from tests.support.builders import JOB_ID, NOW, job, running_job, settle, watch_body

if TYPE_CHECKING:
    from cloudevents.core.base import BaseCloudEvent

    from backupjobwatch.domain.jobs.job import Job

NOTIFY = [{"name": "n", "webhook": {"url": "https://example.com"}, "phases": ["Running", "Succeeded", "Failed"]}]


def _body(observation: Job) -> dict[str, Any]:
    return settle(watch_body({"jobResourceId": JOB_ID, "notify": NOTIFY}), observation, NOW)


def _event(body: dict[str, Any]) -> CloudEvent:
    watch = Watch.from_body(body)
    (notice,) = due(watch)
    return cloud_event(watch, notice)


def _read(event: CloudEvent, form: str) -> BaseCloudEvent:
    return from_http_event(HTTPMessage(*getattr(event, form)()))


@pytest.mark.parametrize("form", ["structured", "binary"])
@pytest.mark.parametrize("status", ["InProgress", "Completed", "Failed"])
def test_read_by_others(form: str, status: str) -> None:
    """An independent parser reads the same event from the structured and the binary form."""
    body = _body(running_job() if status == "InProgress" else job(status=status))
    phase = {"InProgress": "Running", "Completed": "Succeeded", "Failed": "Failed"}[status]
    event = _read(_event(body), form)

    assert event.get_specversion() == "1.0"
    assert event.get_type() == f"dev.azurebackup.job.{phase.lower()}"
    assert event.get_source() == "/apis/azurebackup.dev/v1alpha1/namespaces/team-a/backupjobwatches/nightly"
    assert event.get_id() == f"{body['metadata']['uid']}.{body['status']['target']}.{phase.lower()}"
    assert event.get_subject() == body["status"]["job"]["resourceId"]
    assert event.get_datacontenttype() == "application/json"
    data: Any = event.get_data()
    assert (data["namespace"], data["name"], data["phase"]) == ("team-a", "nightly", phase)
    assert data["job"] == body["status"]["job"]
    assert data["message"] == body["status"]["message"]
    assert data["durationSeconds"] == 1223


def test_event_time() -> None:
    """The event time is the completion time of the watch, or the start of a running job if it is known."""
    assert _read(_event(_body(job())), "structured").get_time() == NOW
    began = datetime(2018, 5, 21, 8, 35, 40, tzinfo=UTC)
    assert _read(_event(_body(running_job())), "structured").get_time() == began
    unseen = _body(running_job(startTime=None))
    assert _read(_event(unseen), "structured").get_time() == NOW


def test_same_status_same_event() -> None:
    """The same status always gives the same event, byte for byte."""
    body = _body(job())

    assert _event(body).structured() == _event(json.loads(json.dumps(body))).structured()


@pytest.mark.parametrize("text", ["größe 資 😀", 'a "b" 100%', "\ud800"], ids=["scripts", "marks", "a lone surrogate"])
def test_any_text(text: str) -> None:
    """Headers are printable ASCII and bodies are UTF-8, whatever the text."""
    body = _body(job())
    body["status"]["job"]["resourceId"] = body["status"]["message"] = text
    event = _event(body)
    headers, content = event.binary()

    assert all(value.isascii() and value.isprintable() and " " not in value for value in headers.values())
    content.decode()
    if text != "\ud800":
        assert _read(event, "binary").get_subject() == text
        assert json.loads(content)["message"] == text


def test_nothing_known() -> None:
    """An empty or malformed status still gives a valid event."""
    body = _body(job())
    body["status"] = {"phase": "Failed", "target": body["status"]["target"], "observedGeneration": 1, "job": "x"}
    headers, content = _event(body).binary()

    assert _read(_event(body), "binary").get_type() == "dev.azurebackup.job.failed"
    assert not {"ce-time", "ce-subject"} & headers.keys()
    assert "job" not in json.loads(content)
