"""What a watch with ``spec.onDemand`` reports about a refused request after an edit of its target."""

from __future__ import annotations

from datetime import timedelta

from backupjobwatch.domain.api.backup_record import RecordState
from backupjobwatch.domain.jobs.findings import Waiting
from tests.support.builders import NOW
from tests.support.on_demand import VM, record, requested_watch
from tests.unit.domain.polling.test_on_demand import required


def test_waiting_to_repeat() -> None:
    """The status names the time of the next attempt, because its earlier reason was about another target."""
    refused = record(RecordState.REFUSED, retry_at=NOW + timedelta(minutes=1))

    found = required(requested_watch(refused, target="edited")).found
    message = f"The operator repeats the request for a backup of {VM} at 2018-05-21T09:01:00Z."
    assert found == Waiting(reason="Progressing", message=message)


def test_another_attempt_is_sent() -> None:
    """The status reports the request that is being sent."""
    found = required(requested_watch(record(attempt=2), target="edited")).found

    assert found == Waiting(reason="Progressing", message=f"The operator requests a backup of {VM}.")
