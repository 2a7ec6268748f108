"""The status of a watch that requests a backup."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from backupjobwatch.domain.api.backup_record import BackupRecord, RecordState
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.findings import PinnedJob, RequestFailure, Waiting
from backupjobwatch.domain.jobs.recovery_services import parse_job
from backupjobwatch.domain.status.assessment import Assessment
from backupjobwatch.domain.status.next_status import next_status
from backupjobwatch.domain.status.transitions import Transition, events_to_replay, find_transitions, needs_write
from backupjobwatch.domain.status.truncation import truncate_status
from backupjobwatch.errors import AuthorizationFailed, NotPolledYet, PollDeferred
from tests.support.builders import JOB_NAME, NOW, OPERATION, edit, job, vast_payload, watch_body
from tests.support.on_demand import on_demand_spec, record, requested_watch

WAITS = Waiting(reason="Progressing", message="m")
ACCEPTED = record(RecordState.ACCEPTED, operation_id=OPERATION)


def status_of(snapshot: Watch, observation: Any = WAITS, failures: int = 0, **fields: Any) -> dict[str, Any]:
    return next_status(snapshot, Assessment(finding=observation, consecutive_failures=failures), now=NOW, **fields)


def test_the_record_is_written() -> None:
    """The record needs a write, and starts the deadline."""
    snapshot = requested_watch()
    status = status_of(snapshot, record=record())

    assert status["onDemand"] == record().to_status()
    assert status["watchStartTime"]
    assert needs_write(snapshot.status, status, heartbeat=timedelta.max)


def test_the_record_stays() -> None:
    """A status without a new record keeps the old one, after an edit too."""
    body = watch_body(on_demand_spec(), requested_watch(record()).status)

    assert status_of(Watch.from_body(body))["onDemand"] == record().to_status()
    edited = Watch.from_body(edit(body, graceSeconds=7, revision="v2"))
    assert status_of(edited)["onDemand"] == record().to_status()
    assert status_of(Watch.from_body(edit(body, suspend=True)), PollDeferred(""))["onDemand"] == record().to_status()


def test_the_job() -> None:
    """The record gets the name of the job, and a finished watch keeps it."""
    status = status_of(requested_watch(ACCEPTED), job(), record=ACCEPTED, pinned=[PinnedJob(name=JOB_NAME)])

    assert status["phase"] == "Succeeded"
    assert status["onDemand"]["jobName"] == JOB_NAME
    finished = Watch.from_body(watch_body(on_demand_spec(), status))
    assert status_of(finished)["onDemand"] == status["onDemand"]
    not_started = [PinnedJob(name=JOB_NAME, error_code="1")]
    assert "jobName" not in status_of(requested_watch(ACCEPTED), WAITS, record=ACCEPTED, pinned=not_started)["onDemand"]


def test_a_late_answer() -> None:
    """An answer that arrives after the end of the watch changes the record only."""
    failed = requested_watch(record(), phase="Failed", reason="DeadlineExceeded")

    assert status_of(failed, NotPolledYet(), record=ACCEPTED) == {
        **status_of(failed, NotPolledYet()),
        "onDemand": ACCEPTED.to_status(),
    }


@pytest.mark.parametrize("reason", ["InvalidTarget", "TriggerUncertain", "NamespaceNotAllowed"])
def test_failures(reason: Any) -> None:
    """A request that cannot be made, or whose fate is unknown, fails the watch."""
    status = status_of(requested_watch(), RequestFailure(reason=reason, message="m."))

    assert (status["phase"], status["reason"], status["message"]) == ("Failed", reason, "m.")


def test_grace() -> None:
    """A refused permission fails the watch when grace ends."""
    error = AuthorizationFailed("403")
    early = status_of(requested_watch(), error, 3)
    late = requested_watch(troubleSince="2018-05-21T08:50:00Z")

    assert (early["phase"], early["reason"]) == ("Pending", "AuthorizationFailed")
    assert status_of(late, error, 2)["phase"] == "Pending"
    assert status_of(late, error, 3)["phase"] == "Failed"


@pytest.mark.parametrize(("code", "is_advised"), [(400249, True), (400136, False)])
def test_conflict(code: int, is_advised: bool) -> None:  # noqa: FBT001
    """If another backup was running, the message says how to follow it."""
    errors = [{"errorCode": code, "errorString": "Another backup runs."}]
    message = status_of(requested_watch(ACCEPTED), job(status="Failed", errorDetails=errors))["message"]

    assert ("spec.onDemand.ifRunning to Follow" in message) is is_advised


def requests_in(transitions: tuple[Transition, ...]) -> list[Transition]:
    return [each for each in transitions if each.reason == "BackupRequested"]


RECOVERED = record(RecordState.RECOVERED, job_name=JOB_NAME)


@pytest.mark.parametrize("known", [ACCEPTED, RECOVERED], ids=lambda known: known.state)
def test_event(known: BackupRecord) -> None:
    """An Event reports that Azure accepted the request, once. A new process replays it for an hour."""
    before = requested_watch(record())
    status = status_of(before, record=known)
    after = Watch.from_body(watch_body(on_demand_spec(), status))
    (event,) = requests_in(find_transitions(before, status))

    assert event.type == "Normal"
    assert event.message.startswith("Azure accepted the request for a backup of uttestvmub1.")
    assert requests_in(find_transitions(after, status)) == []
    assert requests_in(events_to_replay(after, now=NOW + timedelta(hours=1))) == [replace(event, repeated=True)]
    assert requests_in(events_to_replay(after, now=NOW + timedelta(hours=2))) == []


@pytest.mark.parametrize(
    "known",
    [record(), record(RecordState.UNCERTAIN), record(RecordState.REFUSED), record(RecordState.FOLLOWED, job_name="j")],
    ids=lambda known: known.state,
)
def test_no_event(known: BackupRecord) -> None:
    """Without a backup of its own, a watch has no Event about a request."""
    assert requests_in(events_to_replay(requested_watch(known), now=NOW)) == []
    assert requests_in(find_transitions(requested_watch(), requested_watch(known).status)) == []


def test_truncation() -> None:
    """The record is never truncated."""
    known = record(RecordState.ACCEPTED, operation_id="o" * 256, item="i" * 1024)
    status = status_of(requested_watch(known), parse_job(vast_payload("<")), record=known)

    assert truncate_status(status)["onDemand"] == known.to_status()
