"""When a watch is requeued without a new poll result."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import parse_spec
from backupjobwatch.domain.polling.observations import NEVER
from backupjobwatch.domain.status.assessment import DETAIL_WAIT, Assessment, Times
from backupjobwatch.domain.status.requeue import requeue_after
from backupjobwatch.errors import Throttled
from tests.support.builders import JOB_ID, NOW, job, settle, watch_body

CLOCK = 1000.0
STALE = 600.0
RUNNING = job(status="InProgress")
LIMITED = {"jobResourceId": JOB_ID, "activeDeadlineSeconds": 120}


def after(
    body: dict[str, Any],
    observation: object,
    *,
    accept: bool = True,
    request_at: float = NEVER,
    recheck_at: datetime | None = None,
    last_poll: datetime | None = NOW,
    heartbeat: float = 900,
    **times: Any,
) -> float:
    """Return the requeue delay of a watch whose poll was just sent."""
    watch = Watch.from_body(body)
    return requeue_after(
        watch,
        parse_spec(watch.spec),
        Assessment(finding=observation, sent=CLOCK, accept_list_entry=accept),  # type: ignore[arg-type]
        times=Times(now=CLOCK, since=CLOCK, **times),
        now=NOW,
        heartbeat=timedelta(seconds=heartbeat),
        last_poll=last_poll,
        request_at=request_at,
        recheck_at=recheck_at,
    )


@pytest.mark.parametrize("observation", [RUNNING, Throttled("m")], ids=["running", "throttled"])
def test_the_first_write_starts_the_deadline(observation: object) -> None:
    """A watch without a status is requeued at the deadline, which starts with the first write."""
    assert after(watch_body(LIMITED), observation) == 120


def test_without_an_observation_no_deadline_runs() -> None:
    """Without an observation nothing is written and no deadline runs. The watch is requeued when it is stale."""
    assert after(watch_body(LIMITED), None) == STALE


def test_the_deadline_of_a_written_status() -> None:
    """The deadline counts from watchStartTime."""
    body = settle(watch_body(LIMITED), RUNNING, NOW - timedelta(seconds=50))
    assert after(body, RUNNING) == 70


def test_the_wait_after_the_deadline() -> None:
    """After the deadline, the watch is requeued when the wait for a conclusive poll ends or it becomes stale."""
    body = settle(watch_body(LIMITED), RUNNING, NOW - timedelta(seconds=130))
    assert after(body, RUNNING, deadline_since=CLOCK - 3600) == 60.0
    assert after(body, RUNNING, deadline_since=CLOCK - 10) == STALE


def test_other_reasons() -> None:
    """The watch is requeued after the wait for the GET of a list entry, or when a requested poll may be sent."""
    assert after(watch_body(), RUNNING, accept=False) == DETAIL_WAIT
    assert after(watch_body(), RUNNING, request_at=CLOCK + 7) == 7
    assert after(watch_body(), RUNNING, recheck_at=NOW + timedelta(seconds=6)) == 6


@pytest.mark.parametrize(("age", "delay"), [(0, 300), (100, 200), (300, 30), (None, STALE), (-60, STALE)])
def test_heartbeat(age: float | None, delay: float) -> None:
    """A polled watch is requeued at the heartbeat, unless its last poll time is unknown or in the future."""
    last_poll = None if age is None else NOW - timedelta(seconds=age)

    assert after(watch_body(), RUNNING, last_poll=last_poll, heartbeat=300) == delay
