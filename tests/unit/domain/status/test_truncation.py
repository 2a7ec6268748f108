"""The size limit of a status."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.recovery_services import parse_job
from backupjobwatch.domain.status.assessment import Assessment
from backupjobwatch.domain.status.next_status import next_status
from backupjobwatch.domain.status.truncation import MAX_BYTES, size_of, truncate_status
from tests.property.oracles import MAX_WIRE_BYTES, check_status, wire_size
from tests.support.builders import JOB_ID, NOW, job, request, settle, vast_payload, watch, watch_body

LETTERS = ["x", "<", "&", '"', "\\", "é", "資", "😀", "\U0001d400"]
"""One byte, six bytes as Go escapes them, two as JSON escapes them, and two, three and four bytes in UTF-8."""


@pytest.mark.parametrize("letter", LETTERS)
def test_size_is_no_less_than_on_the_wire(letter: str) -> None:
    """The computed size is never less than the size that Go writes."""
    status = {"message": letter * 500, letter: [letter, 5, True, {"a": letter}]}

    assert size_of(status) >= wire_size(status)


def test_small_status() -> None:
    """A status that fits is unchanged."""
    status = next_status(watch(), Assessment(finding=job()), now=NOW)

    assert truncate_status(status) is status
    assert "too large" not in status["message"]


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("status", ["InProgress", "Completed", "Failed"])
def test_huge_answers(letter: str, status: str) -> None:
    """The status stays within its limit and valid, with all of its conditions, whatever Azure sends."""
    body = settle(watch_body(), parse_job(vast_payload(letter, status=status)), NOW)

    assert size_of(body["status"]) <= MAX_BYTES
    assert wire_size(body["status"]) <= MAX_WIRE_BYTES
    check_status(body)


def test_note() -> None:
    """The message says that the answer was truncated."""
    status = next_status(watch(), Assessment(finding=parse_job(vast_payload("資"))), now=NOW)

    assert status["message"].endswith(" Azure's response was truncated.")


@pytest.mark.parametrize("length", range(30, 130, 5))
def test_note_behind_any_message(length: int) -> None:
    """The note appears once and complete, however long the message is and however often it is truncated."""
    status = {
        **_bare("m" * length),
        "extendedInfo": {"properties": {f"{n}{'😀' * 200}": "😀" * 200 for n in range(50)}},
    }
    message = truncate_status(status)["message"]

    assert message.replace("m", "").strip() == "Azure's response was truncated."


def test_values_that_are_never_truncated() -> None:
    """Values that are compared are never truncated: IDs, digests, reasons and the echo of a request."""
    wanted = "2018-05-21T10:00:00.123456789+01:00" + "r" * 200
    body = request(watch_body(), wanted)
    status = next_status(
        Watch.from_body(body),
        Assessment(finding=parse_job(vast_payload("😀", id=JOB_ID, status="InProgress"))),
        now=NOW,
    )

    assert status["job"]["resourceId"] == JOB_ID
    assert status["target"] == Watch.from_body(body).target
    assert status["reason"] == "JobInProgress"
    assert status["lastHandledReconcileAt"] == wanted


def test_end_of_a_huge_job() -> None:
    """A watch with a truncated answer finishes like any other."""
    body = settle(watch_body(), parse_job(vast_payload("😀", status="InProgress")), NOW)
    body = settle(body, parse_job(vast_payload("😀")), NOW + timedelta(minutes=1))

    assert body["status"]["phase"] == "Succeeded"
    check_status(body)


def test_first_is_kept() -> None:
    """Lists and strings are truncated at their end, and a truncated string ends with an ellipsis."""
    status = {**_bare("m"), "errors": [{"message": f"{number}{'😀' * 1000}"} for number in range(50)]}
    fitted = truncate_status(status)

    assert 0 < len(fitted["errors"]) < 50
    assert [each["message"][0] for each in fitted["errors"][:3]] == ["0", "1", "2"]
    assert all(each["message"].endswith("…") for each in fitted["errors"])


def _bare(message: str) -> dict[str, Any]:
    return {"message": message, "conditions": []}
