"""Conditions follow the Kubernetes API conventions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from backupjobwatch.domain.status.conditions import Condition, write_conditions
from tests.support.builders import NOW

READY = Condition("Ready", "Unknown", "JobInProgress", "Backup of vm1 is in progress.")
LATER = NOW + timedelta(minutes=5)


def _write(condition: Condition, *, previous: list[Any], generation: int = 1) -> dict[str, Any]:
    (written,) = write_conditions([condition], previous=previous, generation=generation, now=LATER)
    return written


def _previous(**fields: Any) -> dict[str, Any]:
    (written,) = write_conditions([READY], previous=[], generation=1, now=NOW)
    return {**written, **fields}


def test_fields() -> None:
    """A condition is written with all of its fields."""
    assert _previous() == {
        "type": "Ready",
        "status": "Unknown",
        "observedGeneration": 1,
        "lastTransitionTime": "2018-05-21T09:00:00Z",
        "reason": "JobInProgress",
        "message": "Backup of vm1 is in progress.",
    }


def test_order() -> None:
    """Conditions are written in the order given."""
    conditions = [READY, Condition("Finished", "False", "JobInProgress", "Not yet.")]

    assert [each["type"] for each in write_conditions(conditions, previous=[], generation=1, now=NOW)] == [
        "Ready",
        "Finished",
    ]


@pytest.mark.parametrize(
    "condition",
    [
        READY,
        Condition("Ready", "Unknown", "Throttled", READY.message),
        Condition("Ready", "Unknown", READY.reason, "Other words."),
    ],
)
def test_no_flip(condition: Condition) -> None:
    """A new reason, message or generation keeps lastTransitionTime."""
    written = _write(condition, previous=[_previous()], generation=2)

    assert written["lastTransitionTime"] == "2018-05-21T09:00:00Z"
    assert written["observedGeneration"] == 2


@pytest.mark.parametrize("status", ["True", "False"])
def test_transition_time(status: Any) -> None:
    """A new status changes lastTransitionTime."""
    written = _write(Condition("Ready", status, READY.reason, READY.message), previous=[_previous()])

    assert written["lastTransitionTime"] == "2018-05-21T09:05:00Z"


def test_new_condition() -> None:
    """A condition that was absent gets the current time as lastTransitionTime."""
    written = _write(Condition("Stalled", "True", "JobFailed", "It failed."), previous=[_previous()])

    assert written["lastTransitionTime"] == "2018-05-21T09:05:00Z"


@pytest.mark.parametrize(
    "previous",
    [None, "Ready", {}, {"type": "Ready"}, _previous(lastTransitionTime=None), _previous(lastTransitionTime=5)],
)
def test_foreign_conditions(previous: Any) -> None:
    """Malformed conditions in the previous list are ignored."""
    assert _write(READY, previous=[previous])["lastTransitionTime"] == "2018-05-21T09:05:00Z"
