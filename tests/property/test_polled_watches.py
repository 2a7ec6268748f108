"""Verdicts on polled watches: which results decide, and when the deadline fails a watch."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, event, given, settings

from backupjobwatch.domain.status.assessment import DEADLINE_WAIT
from tests.property.polled_life import ACTS, CASES, INTERVAL, Case, Edit, Life, Poll, finishes
from tests.support.scale import at_scale

MODERATE = settings(
    deadline=None,
    max_examples=at_scale(150, 3000),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
pytestmark = pytest.mark.timeout(300)


@MODERATE
@given(CASES, ACTS)
def test_success_is_proven(case: Case, acts: list[Poll | Edit]) -> None:
    """A watch succeeds only if the result of each job says so, and is newer than the edit or final."""
    for life in finishes(case, acts):
        event(str(life.body["status"]["reason"]))
        if life.body["status"]["phase"] != "Succeeded":
            continue
        accepted = {"Completed"}
        if life.body["spec"]["completedWithWarnings"] == "Succeeded":
            accepted |= {"CompletedWithWarnings"}
        for model in life.models:
            observation = life.observations[model.id]
            assert observation.error is None
            assert observation.job is not None
            assert observation.job.status in accepted
            assert model.ends <= observation.sent
            assert observation.job.status == "Completed" or not observation.job.partial
            assert observation.sent >= life.edited or observation.job.ended


@MODERATE
@given(CASES, ACTS)
def test_deadline_is_proven(case: Case, acts: list[Poll | Edit]) -> None:
    """The deadline fails a watch after a conclusive poll that was sent later, or at the end of the extra wait."""
    for life in finishes(case, acts):
        if life.body["status"]["reason"] != "DeadlineExceeded":
            continue
        since = life.state.deadline_since
        assert since is not None
        wait = DEADLINE_WAIT.total_seconds() + 2 * INTERVAL
        if life.now >= since + wait:
            event("at the end of the wait")
            continue
        event("after a poll")
        # One conclusive error is enough. It prevents success, whatever the other jobs do.
        known = [life.observations[query] for query in life.required if query in life.observations]
        errors = [each.error for each in known if each.error is not None]
        if errors:
            assert any(error.is_conclusive for error in errors)
            assert any(each.sent >= since for each in known if each.error is not None)
        else:
            assert len(known) == len(life.required)
            ended = [each.job for each in known if each.job is not None and each.job.ended]
            assert all(job.status != "CompletedWithWarnings" for job in ended if job.partial)
            open_jobs = [each for each in known if each.job not in ended]
            assert open_jobs
            assert all(each.sent >= since for each in open_jobs)


@MODERATE
@given(CASES, ACTS)
def test_completed_jobs_meet_the_deadline(case: Case, acts: list[Poll | Edit]) -> None:
    """If Azure answers every request, jobs that completed before the deadline never fail the watch."""
    jobs = tuple((min(ends, case.deadline), "Completed") for ends, _ in case.jobs)
    quick = Case(case.by_operation, jobs, -100.0, case.deadline)
    answered: list[Poll | Edit] = []
    for act in acts:
        wait = min(act.wait, 700.0)
        sent_before, is_list = (act.sent_before, act.is_list) if isinstance(act, Poll) else (0.0, False)
        answered += [Poll(0.0 if query else wait, sent_before, query, is_list, None) for query in range(3)]
    for life in finishes(quick, answered):
        event("finished")
        assert life.body["status"]["phase"] == "Succeeded"


@MODERATE
@given(CASES, ACTS)
def test_edit_starts_over(case: Case, acts: list[Poll | Edit]) -> None:
    """After an edit to the target, a running job is in the status only if a later request showed it."""
    life = Life(case=case)
    for act in acts:
        life.act(act)
        life.reconcile()
        status = life.state.watch.status_for_target
        if status.get("job", {}).get("status") == "InProgress":
            event("running")
            assert any(each.sent >= life.edited for each in life.observations.values() if each.job is not None)


@MODERATE
@given(CASES, ACTS)
def test_every_watch_ends(case: Case, acts: list[Poll | Edit]) -> None:
    """For any results of Azure, a watch that was started ends by the end of the extra wait after its deadline."""
    life = Life(case=case)
    life.reconcile()
    for act in acts:
        life.act(act)
        life.reconcile()
    life.now += 3601
    life.reconcile()
    if life.state.watch.started is None:
        life.now += 700
        life.reconcile()
    life.now += 3601
    life.reconcile()
    life.now += DEADLINE_WAIT.total_seconds() + 2 * INTERVAL
    life.reconcile()

    assert life.state.watch.finished
