"""Shortcuts: what is left out where nothing seems to have happened would have changed nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from backupjobwatch.controller.reconciler import ReconcileResult, _calm
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs import text as module
from backupjobwatch.domain.jobs.job import Job
from backupjobwatch.domain.jobs.recovery_services import parse_job
from backupjobwatch.domain.jobs.text import CUT, sanitize
from backupjobwatch.domain.status.next_status import next_status
from backupjobwatch.domain.status.transitions import needs_write
from backupjobwatch.domain.status.verdict import ConsecutiveFailures, deadline
from backupjobwatch.errors import InvalidSpec
from tests.property.history import Act, histories, replay
from tests.property.strategies import SECRETS, payloads, texts
from tests.support.builders import edit, request, running_payload
from tests.support.scale import at_scale

MODERATE = settings(
    deadline=None,
    max_examples=at_scale(50, 1500),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
pytestmark = pytest.mark.timeout(300)

_SECOND = timedelta(seconds=1)
_jobs = st.builds(parse_job, st.one_of(st.just(running_payload()), payloads))
_ends = st.lists(st.builds(lambda job: Act({}, None, timedelta(seconds=30), job), _jobs), min_size=1, max_size=2)
_lives = st.builds(lambda history, end: [*history, *end], histories, _ends)
_heartbeats = st.sampled_from([1, 60, 300, 300.2, 2000]).map(lambda seconds: timedelta(seconds=seconds))
_durations = st.one_of(st.none(), st.timedeltas(timedelta(), timedelta(days=3)))
_shares = st.lists(st.floats(0, 1), max_size=3)

_pieces = st.sampled_from([
    "eyJ", "eyJ0123456789.", "://", "http://", "HTTPS://h/p?SECRET", "smb://a:b@host", "://:@", "?", "?sig=", "=", "sig=", "PASSWORD=", "a:b@", "\n", " ",
    "\u202e", "\u017fig=x", "é", "x" * 300, *SECRETS,
])  # fmt: skip
_lines = st.one_of(texts, st.text(st.characters()), st.lists(st.one_of(_pieces, texts), max_size=8).map("".join))


@MODERATE
@given(_lives, _heartbeats, _durations, _shares)
def test_calm_hides_no_write(
    history: list[Act], heartbeat: timedelta, duration: timedelta | None, shares: list[float]
) -> None:
    """While a look at the same answer is all that is taken, there is nothing to write: no end, no deadline, no heartbeat."""
    for moment in replay(history):
        job = moment.observation
        watch = Watch.from_body(moment.after if moment.written else moment.before)
        spec = watch.parsed_spec
        if not isinstance(job, Job) or isinstance(spec, InvalidSpec) or spec.suspend or watch.finished:
            continue  # else Azure is not asked
        status = next_status(watch, job, consecutive_failures=0, now=moment.now)
        if needs_write(watch.status, status, heartbeat=heartbeat):
            continue
        calm = _calm(
            watch,
            ReconcileResult(
                watch=watch, observation=job, consecutive_failures=ConsecutiveFailures(), deadline=deadline(watch, spec)
            ),
            heartbeat,
        )
        assert calm is not None
        left = max(calm.until - moment.now, timedelta())
        later = replace(job, duration=duration)
        assert not calm.covers(watch, later, calm.until)
        for wait in (
            timedelta(),
            *(share * left for share in shares),
            left - timedelta(microseconds=1),
            left + _SECOND,
        ):
            now = moment.now + wait
            if calm.covers(watch, later, now):
                event("covered")
                status = next_status(watch, later, consecutive_failures=0, now=now)
                assert not needs_write(watch.status, status, heartbeat=heartbeat)
            else:
                assert now >= calm.until


@MODERATE
@given(_lives, _jobs)
def test_calm_ends_with_any_change(history: list[Act], other: Job) -> None:
    """Another answer, an edit or a request, each of which makes another resourceVersion, is more than looked at."""
    for moment in replay(history):
        job, watch = moment.observation, Watch.from_body(moment.after)
        if not isinstance(job, Job) or watch.is_idle or watch.finished:
            continue
        calm = _calm(
            watch,
            ReconcileResult(watch=watch, observation=job, consecutive_failures=ConsecutiveFailures()),
            timedelta(hours=1),
        )
        assert calm is not None
        assert calm.covers(watch, job, moment.now)
        assert calm.covers(watch, other, moment.now) is (other.steady == job.steady)
        for changed in (edit(moment.after, pollInterval="5m"), request(moment.after, "now")):
            metadata = {**changed["metadata"], "resourceVersion": "101"}
            assert not calm.covers(Watch.from_body({**changed, "metadata": metadata}), job, moment.now)


@settings(deadline=None, max_examples=at_scale(200, 5000))
@given(_lines, st.integers(1, 300))
def test_clean_takes_no_shorter_way(text: str, limit: int) -> None:
    """A text in which nothing seems to be amiss comes out as it does where all is looked for."""
    assert sanitize(text, limit) == _thoroughly_clean(text, limit)


def _thoroughly_clean(text: str, limit: int) -> str:
    enough = 4 * limit + 4096
    kept = text[:enough]
    for pattern, replacement in module._SECRETS:
        kept = pattern.sub(replacement, kept)
    kept = "".join(character if character.isprintable() else " " for character in kept)
    kept = " ".join(kept.split())
    return kept[: limit - 1] + CUT if len(kept) > limit or len(text) > enough else kept
