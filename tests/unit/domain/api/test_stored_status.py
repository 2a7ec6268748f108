"""Reading a stored status: all that the operator writes is kept, and anything else is dropped."""

from __future__ import annotations

from typing import Any

import pytest

from backupjobwatch.domain.api import stored_status
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.stored_status import read_status
from tests.property.oracles import status_schema
from tests.support.builders import NOW, job, list_entry, settle, watch_body

WRITTEN = settle(watch_body(), job(), NOW)["status"]
LISTED = settle(watch_body(), list_entry(), NOW)["status"]


def test_own_status_is_read_unchanged() -> None:
    """A status that the operator wrote is read back unchanged."""
    assert read_status(WRITTEN) == WRITTEN
    assert read_status(LISTED) == LISTED


def test_every_field_is_known() -> None:
    """Every status field of the CRD is read back: the operator would rewrite a missing one after each poll."""
    assert set(stored_status._FIELDS) == set(status_schema()["properties"])


@pytest.mark.parametrize("value", [None, 5, "Succeeded", [], [{"phase": "Succeeded"}]])
def test_status_that_is_no_object(value: Any) -> None:
    """A status that is not an object is read as empty."""
    assert read_status(value) == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("phase", ["Succeeded"]),
        ("observedGeneration", True),
        ("observedGeneration", "1"),
        ("watchStartTime", "yesterday"),
        ("detailPending", False),
        ("detailPending", "true"),
        ("detailPending", 1),
        ("completionTime", "2026-03-04"),
        ("job", "x"),
        ("errors", ["x"]),
        ("conditions", {"type": "Ready"}),
        (
            "conditions",
            [{"type": "Ready", "status": "True", "reason": "r", "message": "m", "lastTransitionTime": "now"}],
        ),
        ("notifications", [{"name": "hook"}]),
        ("somethingElse", "x"),
    ],
)
def test_invalid_fields_are_dropped(field: str, value: Any) -> None:
    """A field with an invalid type or format is dropped, and the other fields stay."""
    rest = {name: each for name, each in WRITTEN.items() if name != field}
    assert read_status({**WRITTEN, field: value}) == rest


def test_unreadable_jobs_pin_nothing() -> None:
    """If one job of the list is unreadable, none is pinned: the readable ones alone must not open the gate."""
    jobs = [{"name": "41f3e94b-ae6b-4a20-b422-65abfcaf03e5"}, {"status": "Failed"}]
    body = watch_body(status={**WRITTEN, "jobs": jobs})
    assert Watch.from_body(body).pinned == ()


def test_values_that_are_not_json() -> None:
    """Values that are not JSON are read as text, for example an unquoted time in a YAML file."""
    status = read_status({**WRITTEN, "job": {"startTime": NOW}})

    assert status["job"] == {"startTime": str(NOW)}


def test_behaves_like_a_mapping() -> None:
    """A compressed status behaves like a plain mapping: lookup, membership, length and copy."""
    status = read_status(WRITTEN)

    assert (status.get("job"), status.get("nothing"), status.get("nothing", 5)) == (WRITTEN["job"], None, 5)
    assert ("job" in status, "nothing" in status, len(status)) == (True, False, len(WRITTEN))
    assert {**status} == WRITTEN
    with pytest.raises(KeyError):
        status["nothing"]
