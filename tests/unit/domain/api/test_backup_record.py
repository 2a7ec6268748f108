"""The record of a backup request in the status."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from backupjobwatch.domain.api.backup_record import RecordState, parse_record
from backupjobwatch.domain.api.snapshot import Watch
from tests.support.builders import JOB_NAME, NOW, OPERATION, edit, watch_body
from tests.support.on_demand import on_demand_spec, record, requested_watch


@pytest.mark.parametrize(
    "known",
    [
        record(),
        record(RecordState.REFUSED, attempt=3, retry_at=NOW + timedelta(minutes=1)),
        record(RecordState.UNCERTAIN, revision="v1"),
        record(RecordState.ACCEPTED, operation_id=OPERATION),
        record(RecordState.ACCEPTED, operation_id=OPERATION, job_name=JOB_NAME),
        record(RecordState.FOLLOWED, request_id=None, job_name=JOB_NAME),
        record(RecordState.RECOVERED, job_name=JOB_NAME),
    ],
)
def test_round_trip(known: Any) -> None:
    """A record is read as it was written."""
    assert parse_record(known.to_status()) == known


@pytest.mark.parametrize(
    "damage",
    [{"state": "Sent"}, {"state": 7}, {"state": "Accepted"}, {"state": "Followed"}, {"state": "Recovered"}],
)
def test_damaged(damage: dict[str, Any]) -> None:
    """A damaged record counts as uncertain, so that no second request is sent."""
    assert parse_record({**record().to_status(), **damage}).state is RecordState.UNCERTAIN
    assert parse_record(damage).state is RecordState.UNCERTAIN
    assert parse_record({**record().to_status(), "attempt": 0}).attempt == 1


def test_record_survives_edits_of_other_fields() -> None:
    """The record of a revision stays valid when other fields are edited."""
    body = watch_body({**on_demand_spec(), "revision": "v1"})
    body["status"] = {"onDemand": record(revision="v1").to_status()}

    assert Watch.from_body(body).backup_record == record(revision="v1")
    assert Watch.from_body(edit(body, graceSeconds=7)).backup_record == record(revision="v1")
    assert Watch.from_body(edit(body, revision="v2")).backup_record is None
    assert requested_watch().backup_record is None
