"""What is read back of a status: all that an operator writes, and nothing that it cannot have written."""

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


def test_our_own_is_read_whole() -> None:
    """Nothing is lost of what was written."""
    assert read_status(WRITTEN) == WRITTEN
    assert read_status(LISTED) == LISTED


def test_every_field_is_known() -> None:
    """Whatever the CRD has room for is read back: a field that is not would be written anew with every poll."""
    assert set(stored_status._FIELDS) == set(status_schema()["properties"])


@pytest.mark.parametrize("value", [None, 5, "Succeeded", [], [{"phase": "Succeeded"}]])
def test_what_is_no_object_is_no_status(value: Any) -> None:
    """A status that is no object says nothing."""
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
def test_what_is_not_ours_is_absent(field: str, value: Any) -> None:
    """A field of another type or form is left out, and the others stay."""
    rest = {name: each for name, each in WRITTEN.items() if name != field}
    assert read_status({**WRITTEN, field: value}) == rest


def test_some_of_several_jobs_are_none() -> None:
    """A list of jobs of which one cannot be read is no shorter list, whose jobs could open the gate alone."""
    jobs = [{"name": "41f3e94b-ae6b-4a20-b422-65abfcaf03e5"}, {"status": "Failed"}]
    body = watch_body(status={**WRITTEN, "jobs": jobs})
    assert Watch.from_body(body).pinned == ()


def test_what_is_no_json_is_read() -> None:
    """A file may hold what no API server has: a time without quotes in YAML. It is read as text, and nothing fails."""
    status = read_status({**WRITTEN, "job": {"startTime": NOW}})

    assert status["job"] == {"startTime": str(NOW)}


def test_it_is_a_mapping_like_any() -> None:
    """What is kept compressed is not told from what is not: it can be asked for, iterated, copied and compared."""
    status = read_status(WRITTEN)

    assert (status.get("job"), status.get("nothing"), status.get("nothing", 5)) == (WRITTEN["job"], None, 5)
    assert ("job" in status, "nothing" in status, len(status)) == (True, False, len(WRITTEN))
    assert {**status} == WRITTEN
    with pytest.raises(KeyError):
        status["nothing"]
