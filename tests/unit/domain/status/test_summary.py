"""Summaries of watches for the metrics, including watches with malformed statuses."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.findings import Waiting
from backupjobwatch.domain.status.assessment import Assessment
from backupjobwatch.domain.status.next_status import next_status
from backupjobwatch.domain.status.summary import OTHER, UNSEEN, summarize
from backupjobwatch.errors import AuthorizationFailed, AzureUnavailable, JobNotFound
from tests.support.builders import JOB_ID, NOW, job, running_job, watch_body

SPEC = {"jobResourceId": JOB_ID}


def watch_after(*observations: Any, **spec: Any) -> Watch:
    """Return the watch after these observations, one minute apart."""
    body = watch_body({**SPEC, **spec})
    for number, observation in enumerate(observations):
        now = NOW + timedelta(minutes=number)
        body["status"] = next_status(
            Watch.from_body(body), Assessment(finding=observation, consecutive_failures=1), now=now
        )
    return Watch.from_body(body)


def test_a_watch_without_status() -> None:
    """A watch without a status is unseen."""
    summary = summarize(watch_after())
    assert (summary.phase, summary.reason, summary.finished) == (UNSEEN, UNSEEN, False)
    assert (summary.job_start, summary.job_duration, summary.completed, summary.trouble_since) == (None,) * 4


def test_a_watch_that_ended() -> None:
    """The summary of a finished watch has its job's times and its own completion time."""
    summary = summarize(watch_after(job()))
    assert (summary.phase, summary.reason, summary.finished) == ("Succeeded", "JobCompleted", True)
    assert (summary.job_duration, summary.completed) == (1223, NOW)
    assert summary.job_start is not None
    assert summary.job_start.isoformat() == "2018-05-21T08:35:40+00:00"


def test_a_status_of_another_target_is_ignored() -> None:
    """A status for a previous target is ignored."""
    watch = watch_after(job())
    body = watch_body({"jobResourceId": JOB_ID.replace("7ddead57", "00000000")})
    body["status"] = dict(watch.status)
    assert summarize(Watch.from_body(body)).phase == UNSEEN


@pytest.mark.parametrize(
    ("observations", "since"),
    [
        ([running_job()], None),
        ([Waiting(reason="WaitingForJob", message="m")], None),
        ([JobNotFound("m")], 0),
        ([running_job(), AzureUnavailable("m")], 1),
        ([running_job(), AzureUnavailable("m"), AuthorizationFailed("m")], 1),
        ([running_job(), AzureUnavailable("m"), running_job()], None),
        ([running_job(), AzureUnavailable("m"), job()], None),
    ],
)
def test_trouble_begins_and_ends(observations: list[Any], since: int | None) -> None:
    """Trouble starts at the first failed observation and ends at the next successful one."""
    expected = None if since is None else NOW + timedelta(minutes=since)
    assert summarize(watch_after(*observations)).trouble_since == expected


def test_a_suspended_watch_is_not_in_trouble() -> None:
    """A suspended watch sends no requests, so it is not in trouble."""
    body = watch_body({**SPEC, "suspend": True})
    body["status"] = dict(watch_after(AzureUnavailable("m")).status)
    body["status"] = next_status(
        Watch.from_body(body), Assessment(finding=AzureUnavailable("m"), consecutive_failures=1), now=NOW
    )
    assert summarize(Watch.from_body(body)).trouble_since is None


@pytest.mark.parametrize("odd", [None, 7, "x" * 99, [], {}, [{}], {"a": 1}, [7], True])
def test_unknown_and_invalid_values(odd: Any) -> None:
    """An unknown string becomes ``Other``. Values of another type are ignored."""
    body = watch_body(SPEC)
    names = ("phase", "reason", "job", "durationSeconds", "completionTime", "troubleSince", "conditions")
    body["status"] = {**dict.fromkeys(names, odd), "target": Watch.from_body(body).target}
    summary = summarize(Watch.from_body(body))
    expected = OTHER if isinstance(odd, str) else UNSEEN
    assert (summary.phase, summary.reason) == (expected, expected)
    assert (summary.job_start, summary.completed, summary.trouble_since) == (None, None, None)
