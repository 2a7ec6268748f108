"""What two looks at a job have in common that goes on as it did."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest

from backupjobwatch.domain.jobs.job import Job
from tests.support.builders import running_job

OTHER: Any = object()


@pytest.mark.parametrize("field", [each.name for each in fields(Job) if each.name != "duration"])
def test_steady_has_each_field(field: str) -> None:
    """A job that differs in anything that may be written is not the same any more, whatever field comes to be added."""
    job = running_job()

    assert replace(job, **{field: OTHER}).steady != job.steady


@pytest.mark.parametrize("duration", [None, timedelta(), timedelta(hours=1)])
def test_steady_has_no_duration(duration: timedelta | None) -> None:
    """For how long it has taken changes with every look, and is no news."""
    job = running_job()

    assert replace(job, duration=duration) != job
    assert replace(job, duration=duration).steady == job.steady
