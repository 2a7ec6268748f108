"""Whatever Azure says and people do, in any order: what a status never breaks."""

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
    """Every status is valid, bounded, about this generation, and a row of the contract."""
    for moment in replay(history):
        check_status(moment.after)


@MODERATE
@given(st.one_of(histories, endings))
def test_gate(history: list[Act]) -> None:
    """The gate opens only on Azure's own last word, while the watch was neither suspended nor finished."""
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
def test_end_is_the_end(history: list[Act]) -> None:
    """No phase follows on a terminal one within a target: only acknowledgements move, and the detail of the job, once."""
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
    """The detail is pending on a watch that finished with a list entry, until a GET shows the same end of the same job."""
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
    """The same answer at the same time changes nothing, is not worth a write, and is not told again."""
    for moment in replay(history):
        watch = Watch.from_body(moment.after)
        again = moment.status_again()

        assert again == moment.after["status"]
        assert not needs_write(moment.after["status"], again, heartbeat=HEARTBEAT)
        assert find_transition(watch, again) is None


@MODERATE
@given(histories)
def test_times_of_flips(history: list[Act]) -> None:
    """``lastTransitionTime`` moves when a condition flips or appears, and at no other time."""
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
    """The start of a target, once written, never moves; what Azure showed of the job is never forgotten within it."""
    for moment in replay(history):
        before, after = Watch.from_body(moment.before).status_for_target, moment.after["status"]
        if "watchStartTime" in before:
            assert after["watchStartTime"] == before["watchStartTime"]
        if "job" in before and not isinstance(moment.observation, Job):
            assert after["job"] == before["job"]


@MODERATE
@given(st.one_of(histories, endings))
def test_transitions(history: list[Act]) -> None:
    """Whatever is told is written too: no event without a write."""
    for moment in replay(history):
        if find_transition(Watch.from_body(moment.before), moment.after["status"]) is not None:
            assert moment.written


@MODERATE
@given(histories)
def test_no_secrets(history: list[Act]) -> None:
    """No signed URL, token or terminal escape gets into a status."""
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
    """Tell whether the detail is pending, and a GET shows the mirrored job with the mirrored end."""
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
