"""Exit codes of one verdict and of several."""

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
    """Return a watch with this verdict."""
    return watch_body(
        status={"observedGeneration": 1, "target": target_digest(SPEC), "phase": phase, "reason": reason, **more}
    )


@pytest.mark.parametrize(("phase", "reason"), [(phase, reason) for phase in OUTCOMES for reason in OUTCOMES[phase]])
def test_every_outcome_has_a_code(phase: str, reason: str) -> None:
    """Each verdict has the documented exit code. Verdicts about requests have the code for an unclear result."""
    assert exit_code(body(phase, reason)) == CODES.get((phase, reason), UNCLEAR)


def test_the_numbers_are_the_contract() -> None:
    """The numbers are fixed, because scripts depend on them."""
    assert (SUCCEEDED, FAILED, WARNINGS, UNCLEAR, TIMED_OUT) == (0, 1, 2, 3, 124)


def test_warnings_as_errors() -> None:
    """With the flag, warnings that the object accepts still have their code. A job without warnings is unaffected."""
    assert exit_code(body("Succeeded", "JobCompletedWithWarnings"), warnings_as_errors=True) == WARNINGS
    assert exit_code(body("Succeeded", "JobCompleted"), warnings_as_errors=True) == SUCCEEDED


def test_a_reason_that_is_not_known() -> None:
    """An unknown reason for a failure is never a success."""
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
    """A watch that is running, suspended, not reconciled or outdated has no code yet."""
    assert exit_code(going) is None


def test_code_of_the_verdict() -> None:
    """A job has no code while it runs, and then the code of the operator's verdict."""
    life = settle(watch_body(), running_job(), NOW)
    assert exit_code(life) is None
    life = settle(life, job(), NOW)
    assert exit_code(life) == SUCCEEDED


def test_the_worst_result() -> None:
    """In any order, a failure takes precedence, then an unclear result, a timeout and warnings."""
    ordered = (FAILED, UNCLEAR, TIMED_OUT, WARNINGS, SUCCEEDED)
    for first in range(len(ordered)):
        for codes in permutations(ordered[first:]):
            assert worst(codes) == ordered[first]


def test_no_jobs_are_no_success() -> None:
    """An empty list of codes is not a success."""
    assert worst([]) == UNCLEAR
