"""Entries of a list of running jobs. Those without changes are not parsed again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from backupjobwatch.domain.jobs.list_entries import parse_entry
from backupjobwatch.domain.jobs.recovery_services import parse_job
from tests.support.builders import JOB_NAME, job_payload, running_payload

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job

NOW = datetime(2026, 3, 4, 1, 0, 0, tzinfo=UTC)


def listed(entry: dict[str, Any], *known: Job) -> Job:
    return parse_entry(entry, parse_job, {JOB_NAME.lower(): job for job in known})


def test_unchanged() -> None:
    """A running job whose entry differs only in its duration stays the same object. Its duration follows from its start."""
    first = listed(running_payload(duration="00:20:00"))

    assert first.partial
    assert first.duration is None
    assert first.elapsed(NOW) is not None
    assert listed(running_payload(duration="00:20:30"), first) is first


def test_changed() -> None:
    """Any other change is parsed."""
    first = listed(running_payload())

    assert listed(running_payload(status="Cancelling"), first).status == "Cancelling"
    assert listed(running_payload(actionsInfo=[]), first).cancellable is False


def test_ended() -> None:
    """A job that ended has Azure's duration."""
    job = listed(job_payload(), listed(running_payload()))

    assert job.ended
    assert job.duration is not None


def test_without_a_start() -> None:
    """A running job without a start has Azure's duration, so its entries are always parsed."""
    first = listed(running_payload(startTime=None, duration="00:20:00"))
    second = listed(running_payload(startTime=None, duration="00:20:30"), first)

    assert (first.duration, second.duration) == (timedelta(minutes=20), timedelta(minutes=20, seconds=30))


def test_other_lists() -> None:
    """Without earlier jobs, an entry is parsed as Azure sends it."""
    assert parse_entry(running_payload(duration="00:20:00"), parse_job, None).duration == timedelta(minutes=20)
