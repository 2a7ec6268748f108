"""The time at which a finished watch expires."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.status.expiry import expiry, ttl_skipped_event
from tests.support.builders import JOB_ID, NOW, OTHER_JOB_NAME, edit, job, running_job, settle, watch_body

SPEC = {"jobResourceId": JOB_ID, "ttlSecondsAfterFinished": 60}


def _finished(ttl: object = 60, **metadata: Any) -> dict[str, Any]:
    return settle(watch_body({"jobResourceId": JOB_ID, "ttlSecondsAfterFinished": ttl}, **metadata), job(), NOW)


@pytest.mark.parametrize("ttl", [0, 60, 2147483647])
@pytest.mark.parametrize("status", ["Completed", "Failed"])
def test_counts_from_the_end(ttl: int, status: str) -> None:
    """The TTL counts from completionTime, after a failure too."""
    body = settle(watch_body({**SPEC, "ttlSecondsAfterFinished": ttl}), job(status=status), NOW)

    assert expiry(Watch.from_body(body)) == NOW + timedelta(seconds=ttl)


@pytest.mark.parametrize("ttl", [None, -1, True, "60", 1.5])
def test_never(ttl: object) -> None:
    """A watch without a valid TTL never expires."""
    assert expiry(Watch.from_body(_finished(ttl))) is None


@pytest.mark.parametrize(
    "body",
    [
        watch_body(SPEC),
        settle(watch_body(SPEC), running_job(), NOW),
        edit(_finished(), suspend=True),
        edit(_finished(), jobResourceId=JOB_ID[:-36] + OTHER_JOB_NAME),
        _finished(deletionTimestamp="2018-05-21T10:00:00Z"),
        {**_finished(), "status": {**_finished()["status"], "completionTime": "soon"}},
    ],
    ids=["new", "running", "edit not acknowledged", "another target", "being deleted", "no time"],
)
def test_not_yet(body: dict[str, Any]) -> None:
    """A watch has no expiry without a valid end of its current spec, or while it is being deleted."""
    assert expiry(Watch.from_body(body)) is None


def test_beyond_the_calendar() -> None:
    """An expiry beyond the last representable time is capped."""
    body = _finished(2147483647)
    body["status"]["completionTime"] = "9999-01-01T00:00:00Z"

    assert expiry(Watch.from_body(body)) == datetime.max.replace(tzinfo=UTC)


def test_event_names_the_owner() -> None:
    """The Event names the owner of the object. Repeated calls return the same Event."""
    watch = Watch.from_body(_finished(labels={"kustomize.toolkit.fluxcd.io/name": "apps"}))
    assert watch.owner is not None
    told = ttl_skipped_event(watch, watch.owner)

    assert told == ttl_skipped_event(watch, watch.owner)
    assert (told.type, told.reason) == ("Warning", "TTLSkipped")
    assert "a Flux Kustomization (label kustomize.toolkit.fluxcd.io/name) owns this object" in told.message
