"""The duration of ended jobs and the elapsed time of running ones."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.builders import ABSENT, NOW, job, running_job


@pytest.mark.parametrize("duration", [ABSENT, None, "", "P1Y", "soon", "9" * 5000 + ":00:00"])
def test_computed_duration(duration: Any) -> None:
    """Without a valid duration, the duration of an ended job is the time from start to end."""
    read = job(duration=duration, startTime="2018-05-21T08:00:00Z", endTime="2018-05-21T08:20:23.5")

    assert read.duration == timedelta(minutes=20, seconds=23.5)
    assert job(duration=duration, endTime=ABSENT).duration is None
    assert job(duration=duration, startTime=ABSENT).duration is None


@pytest.mark.parametrize("text", ["00:20:23.0896697", "PT20M23.0896697S", "PT1223.0896697S"])
def test_duration(text: str) -> None:
    """Azure's duration, in either format, takes precedence over start and end."""
    assert job(duration=text, endTime=ABSENT).duration == timedelta(seconds=1223, microseconds=89670)


@pytest.mark.parametrize("text", [ABSENT, "PT0S", "00:00:00", "-PT4M20.8890416S", "-00:04:20.8890416"])
@pytest.mark.parametrize(("end", "seconds"), [("2018-05-21T08:00:00Z", 0), ("2018-05-21T08:01:00Z", 55)])
def test_no_negative_duration(text: Any, end: str, seconds: int) -> None:
    """A zero or negative duration is replaced by the time from start to end, which is never negative."""
    read = job(duration=text, startTime="2018-05-21T08:00:05Z", endTime=end)

    assert read.duration == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"duration": "PT0S"}, 300),
        ({"duration": "00:00:00"}, 300),
        ({"duration": "-PT4M20.8890416S"}, 300),
        ({"duration": ABSENT}, 300),
        ({"duration": None, "status": "Cancelling"}, 300),
        ({"duration": "PT0S", "status": "Paused"}, 300),
        ({"duration": "PT4M"}, 240),
        ({"duration": "PT0S", "startTime": "2018-05-21T09:00:05Z"}, 0),
        ({"duration": "PT0S", "startTime": ABSENT}, 0),
        ({"duration": ABSENT, "startTime": "0001-01-01T00:00:00"}, None),
        ({"duration": "PT0S", "status": "Failed"}, 0),
        ({"duration": ABSENT, "status": "Failed"}, None),
    ],
)
def test_elapsed(fields: dict[str, Any], seconds: int | None) -> None:
    """A running job for which Azure reports no duration has run since its start. An ended job's duration is final."""
    read = running_job(**{"startTime": "2018-05-21T08:55:00Z", **fields})

    assert read.elapsed(NOW) == (None if seconds is None else timedelta(seconds=seconds))
