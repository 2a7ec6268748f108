"""Exit codes: the code of each verdict, and of several."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from backupjobwatch.domain.api.spec import target_digest
from backupjobwatch.domain.status.summary import OUTCOMES
from backupjobwatch.terminal.exit_codes import FAILED, SUCCEEDED, TIMED_OUT, UNCLEAR, WARNINGS, exit_code, worst
from tests.support.builders import CRD_DEFAULTS, JOB_ID, NOW, job, running_job, settle, watch_body

SPEC = {**CRD_DEFAULTS, "jobResourceId": JOB_ID}
CODES = {
    ("Succeeded", "JobCompleted"): SUCCEEDED,
    ("Succeeded", "JobCompletedWithWarnings"): SUCCEEDED,
    ("Failed", "JobFailed"): FAILED,
    ("Failed", "JobCancelled"): FAILED,
    ("Failed", "OperationFailed"): FAILED,
    ("Failed", "JobCompletedWithWarnings"): WARNINGS,
    ("Failed", "DeadlineExceeded"): TIMED_OUT,
}


def body(phase: str, reason: str, **more: Any) -> dict[str, Any]:
    """A watch of such a verdict."""
    return watch_body(
        status={"observedGeneration": 1, "target": target_digest(SPEC), "phase": phase, "reason": reason, **more}
    )


@pytest.mark.parametrize(("phase", "reason"), [(phase, reason) for phase in OUTCOMES for reason in OUTCOMES[phase]])
def test_every_outcome_has_a_code(phase: str, reason: str) -> None:
    """Each way in which a watch can end has the code of the contract; what is about asking only, that of not knowing."""
    assert exit_code(body(phase, reason)) == CODES.get((phase, reason), UNCLEAR)


def test_the_numbers_are_the_contract() -> None:
    """Scripts know the numbers."""
    assert (SUCCEEDED, FAILED, WARNINGS, UNCLEAR, TIMED_OUT) == (0, 1, 2, 3, 124)


def test_warnings_as_errors() -> None:
    """With the flag, warnings that the object accepts are none the less told; a clean job is not touched by it."""
    assert exit_code(body("Succeeded", "JobCompletedWithWarnings"), warnings_as_errors=True) == WARNINGS
    assert exit_code(body("Succeeded", "JobCompleted"), warnings_as_errors=True) == SUCCEEDED


def test_a_reason_that_is_not_known() -> None:
    """A failure of a kind that a later operator may have is never success."""
    assert exit_code(body("Failed", "JobEatenByDog")) == UNCLEAR


@pytest.mark.parametrize(
    "going",
    [
        watch_body(),
        watch_body(status={}),
        body("Running", "JobInProgress"),
        body("Pending", "Suspended"),
        body("Succeeded", "JobCompleted", observedGeneration=2),
        body("Succeeded", "JobCompleted", target="another"),
        {},
        {"spec": [], "status": "Succeeded"},
    ],
)
def test_no_verdict_has_no_code(going: dict[str, Any]) -> None:
    """What runs, is suspended, was not looked at, or is about another target or generation has no code yet."""
    assert exit_code(going) is None


def test_what_the_core_decides() -> None:
    """A job's life by the core itself: none while it runs, then the code."""
    life = settle(watch_body(), running_job(), NOW)
    assert exit_code(life) is None
    life = settle(life, job(), NOW)
    assert exit_code(life) == SUCCEEDED


def test_the_worst_of_several() -> None:
    """In any order, a failure comes before what is unclear, that before what takes too long, that before warnings."""
    ordered = (FAILED, UNCLEAR, TIMED_OUT, WARNINGS, SUCCEEDED)
    for first in range(len(ordered)):
        for codes in permutations(ordered[first:]):
            assert worst(codes) == ordered[first]


def test_of_no_job_nothing_is_known() -> None:
    """Nothing is not success."""
    assert worst([]) == UNCLEAR
