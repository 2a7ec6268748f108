"""``Job.steady``: the part of a job that stays equal while the job runs unchanged."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest

from backupjobwatch.domain.jobs.job import Job
from tests.support.builders import running_job

OTHER: Any = object()


@pytest.mark.parametrize("field", [each.name for each in fields(Job) if each.name not in ("duration", "digest")])
def test_steady_has_each_field(field: str) -> None:
    """``steady`` covers every field that can be written to a status, including future fields."""
    job = running_job()

    assert replace(job, **{field: OTHER}).steady != job.steady


@pytest.mark.parametrize("duration", [None, timedelta(), timedelta(hours=1)])
def test_steady_has_no_duration(duration: timedelta | None) -> None:
    """The duration differs in each response, so ``steady`` excludes it."""
    job = running_job()

    assert replace(job, duration=duration) != job
    assert replace(job, duration=duration).steady == job.steady
