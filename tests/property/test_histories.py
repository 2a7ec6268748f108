"""Whatever Azure says and people do, in any order: what a status never breaks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.job import Job
from backupjobwatch.domain.jobs.times import format_time
from backupjobwatch.domain.status.next_status import next_status
from backupjobwatch.domain.status.transitions import find_transition, needs_write
from tests.property.oracles import check_status
from tests.property.strategies import HEARTBEAT, Act, Moment, histories, replay

MODERATE = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
pytestmark = pytest.mark.timeout(300)


@MODERATE
@given(histories)
def test_valid(history: list[Act]) -> None:
    """Every status is valid, bounded, about this generation, and a row of the contract."""
    for moment in replay(history):
        check_status(moment.after)


@MODERATE
@given(histories)
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
@given(histories)
def test_end_is_the_end(history: list[Act]) -> None:
    """No phase follows on a terminal one within a target: only acknowledgements move."""
    for moment in replay(history):
        if Watch.from_body(moment.before).finished:
            assert _frozen(moment.after["status"]) == _frozen(moment.before["status"])


@MODERATE
@given(histories)
def test_same_answer_twice(history: list[Act]) -> None:
    """The same answer at the same time changes nothing, is not worth a write, and is not told again."""
    for moment in replay(history):
        watch = Watch.from_body(moment.after)
        again = next_status(watch, moment.observation, consecutive_failures=moment.consecutive_failures, now=moment.now)

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
@given(histories)
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
    accepted = {"completed"} | ({"completedwithwarnings"} if spec["completedWithWarnings"] == "Succeeded" else set())
    return not spec["suspend"] and (observation.status or "").lower() in accepted


def _frozen(status: dict[str, Any]) -> dict[str, Any]:
    conditions = [{**each, "observedGeneration": None} for each in status["conditions"]]
    return {**status, "conditions": conditions, "observedGeneration": None, "lastHandledReconcileAt": None}
