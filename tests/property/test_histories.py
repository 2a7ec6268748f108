"""Invariants of a status for any results of Azure and any user actions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.job import Job, Outcome
from backupjobwatch.domain.jobs.times import format_time
from backupjobwatch.domain.status.transitions import find_transition, needs_write
from tests.property.history import HEARTBEAT, Act, Moment, endings, histories, replay
from tests.property.oracles import check_status
from tests.support.scale import at_scale

MODERATE = settings(
    deadline=None,
    max_examples=at_scale(50, 1500),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
pytestmark = pytest.mark.timeout(300)

_VERDICT = frozenset({"phase", "reason", "message", "completionTime", "watchStartTime", "target", "notifications"})
_SPELLINGS = {
    "canceled": "cancelled",
    "success": "completed",
    "successwithwarning": "completedwithwarnings",
}


@MODERATE
@given(st.one_of(histories, endings))
def test_valid(history: list[Act]) -> None:
    """Every status is valid, bounded and current, with conditions that the contract allows."""
    for moment in replay(history):
        check_status(moment.after)


@MODERATE
@given(st.one_of(histories, endings))
def test_gate(history: list[Act]) -> None:
    """A watch succeeds only on a final status from Azure, and only if it is neither suspended nor finished."""
    for moment in replay(history):
        opened = {each["type"] for each in moment.after["status"]["conditions"] if each["status"] == "True"}
        if not {"Ready", "Succeeded", "Complete"} & opened:
            assert moment.after["status"]["phase"] != "Succeeded"
            continue
        assert {"Ready", "Succeeded", "Complete", "Finished"} <= opened
        if not Watch.from_body(moment.before).finished:
            assert _is_success(moment)


@MODERATE
@given(st.one_of(histories, endings))
def test_finished_watches_are_final(history: list[Act]) -> None:
    """The phase of a finished watch is final. Only acknowledgements change, and the detail of the job once."""
    for moment in replay(history):
        before, after = moment.before["status"], moment.after["status"]
        if not Watch.from_body(moment.before).finished:
            continue
        assert after["phase"] == before["phase"]
        if _brings_detail(moment):
            assert after == {**after, **{name: value for name, value in _frozen(before).items() if name in _VERDICT}}
            assert _frozen(after)["conditions"] == _frozen(before)["conditions"]
        else:
            assert _frozen(after) == _frozen(before)


@MODERATE
@given(st.one_of(histories, endings))
def test_detail_pending(history: list[Act]) -> None:
    """``detailPending`` is true after a verdict from a list entry, until a GET shows the same end of that job."""
    for moment in replay(history):
        before, after = Watch.from_body(moment.before), moment.after["status"]
        assert after.get("detailPending", True) is True
        if before.finished:
            assert ("detailPending" in after) is (before.detail_pending and not _brings_detail(moment))
        else:
            job = moment.observation
            listed = isinstance(job, Job) and job.partial and job.ended
            judged = after["phase"] in ("Succeeded", "Failed") and after["reason"] != "InvalidSpec"
            assert ("detailPending" in after) is (listed and judged)


@MODERATE
@given(st.one_of(histories, endings))
def test_same_answer_twice(history: list[Act]) -> None:
    """The same result at the same time changes nothing, needs no write and emits no event."""
    for moment in replay(history):
        watch = Watch.from_body(moment.after)
        again = moment.status_again()

        assert again == moment.after["status"]
        assert not needs_write(moment.after["status"], again, heartbeat=HEARTBEAT)
        assert find_transition(watch, again) is None


@MODERATE
@given(histories)
def test_times_of_flips(history: list[Act]) -> None:
    """``lastTransitionTime`` changes exactly when the status of a condition changes or the condition appears."""
    for moment in replay(history):
        before = {each["type"]: each for each in moment.before["status"].get("conditions", ())}
        for after in moment.after["status"]["conditions"]:
            old = before.get(after["type"])
            kept = old is not None and old["status"] == after["status"]
            expected = old["lastTransitionTime"] if kept and old else format_time(moment.now)
            assert after["lastTransitionTime"] == expected


@MODERATE
@given(histories)
def test_start(history: list[Act]) -> None:
    """The start of a target never changes, and what Azure showed of the job stays in the status."""
    for moment in replay(history):
        before, after = Watch.from_body(moment.before).status_for_target, moment.after["status"]
        if "watchStartTime" in before:
            assert after["watchStartTime"] == before["watchStartTime"]
        if "job" in before and not isinstance(moment.observation, Job):
            assert after["job"] == before["job"]


@MODERATE
@given(st.one_of(histories, endings))
def test_transitions(history: list[Act]) -> None:
    """Every event comes with a write of the status."""
    for moment in replay(history):
        if find_transition(Watch.from_body(moment.before), moment.after["status"]) is not None:
            assert moment.written


@MODERATE
@given(histories)
def test_no_secrets(history: list[Act]) -> None:
    """No status contains a signed URL, a token or a terminal escape."""
    for moment in replay(history):
        status = {name: value for name, value in moment.after["status"].items() if name != "lastHandledReconcileAt"}
        text = json.dumps(status, ensure_ascii=False)
        assert "SECRET" not in text
        assert "eyJ" not in text
        assert text.isprintable()


def _is_success(moment: Moment) -> bool:
    spec, observation = moment.before["spec"], moment.observation
    assert isinstance(observation, Job)
    accepted = {"completed", "success"}
    if spec["completedWithWarnings"] == "Succeeded" and not observation.partial:
        accepted |= {"completedwithwarnings", "successwithwarning"}
    return not spec["suspend"] and (observation.status or "").lower() in accepted


def _brings_detail(moment: Moment) -> bool:
    """Return whether the detail is pending and a GET shows the mirrored job with the same end."""
    job, before = moment.observation, Watch.from_body(moment.before)
    if not (before.detail_pending and isinstance(job, Job) and job.ended) or job.partial:
        return False
    shown = before.status["job"]
    words, cancelled = {(job.status or "").lower(), shown["status"].lower()}, before.status["reason"] == "JobCancelled"
    same_end = len({_SPELLINGS.get(word, word) for word in words}) == 1
    return (
        same_end
        and str(job.name).lower() == str(shown.get("name")).lower()
        and (job.outcome is Outcome.CANCELLED) is (cancelled or "cancel" in shown["status"].lower())
    )


def _frozen(status: dict[str, Any]) -> dict[str, Any]:
    conditions = [{**each, "observedGeneration": None} for each in status["conditions"]]
    return {**status, "conditions": conditions, "observedGeneration": None, "lastHandledReconcileAt": None}
