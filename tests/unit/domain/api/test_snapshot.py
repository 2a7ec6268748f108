"""The snapshot of one custom resource."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from backupjobwatch.constants import MAX_REQUESTED_AT, REQUESTED_AT
from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import target_digest
from backupjobwatch.domain.jobs.times import format_time
from backupjobwatch.errors import InvalidSpec
from tests.support.builders import JOB_ID, NOW, OTHER_JOB_NAME, edit, running_job, settle, watch, watch_body

TARGET = target_digest({"jobResourceId": JOB_ID})
OTHER = target_digest({"jobResourceId": JOB_ID[:-36] + OTHER_JOB_NAME})


def _watch(requested: str | None = None, **status: Any) -> Watch:
    annotations = {} if requested is None else {REQUESTED_AT: requested}
    return watch(None, {"observedGeneration": 1, "target": TARGET, **status}, annotations=annotations)


def test_snapshot() -> None:
    """A snapshot holds what the verdict and the fenced write need."""
    body = watch_body(annotations={REQUESTED_AT: "now"}, generation=7)
    snapshot = Watch.from_body(body)

    assert (snapshot.namespace, snapshot.name) == ("team-a", "nightly")
    assert (snapshot.uid, snapshot.resource_version) == (body["metadata"]["uid"], "100")
    assert (snapshot.generation, snapshot.requested_at, snapshot.target) == (7, "now", TARGET)
    assert (snapshot.spec, snapshot.status) == (body["spec"], body["status"])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"metadata": None, "spec": None, "status": None},
        {"metadata": "x", "spec": [], "status": 5},
        {"metadata": {"annotations": None, "generation": None, "name": None}},
        {"metadata": {"annotations": {REQUESTED_AT: 5}, "generation": "1"}},
    ],
)
def test_odd_bodies(body: dict[str, Any]) -> None:
    """Malformed objects still make a snapshot."""
    snapshot = Watch.from_body(body)

    assert (snapshot.name, snapshot.generation, snapshot.requested_at, snapshot.spec) == ("", 1, None, {})
    assert not snapshot.finished
    assert not snapshot.seen
    assert not snapshot.is_idle


def _later(**metadata: Any) -> dict[str, Any]:
    body = watch_body(status={"observedGeneration": 1, "target": TARGET, "phase": "Succeeded"})
    return {**body, "metadata": {**body["metadata"], **metadata}}


def _read(snapshot: Watch) -> tuple[str, str]:
    """Return the parsed parts of the snapshot, to fill its caches."""
    return snapshot.target, repr(snapshot.parsed_spec)


@pytest.mark.parametrize(
    "body",
    [
        _later(),
        _later(annotations={REQUESTED_AT: "now"}),
        _later(uid="another"),
        _later(resourceVersion="101"),
        _later(resourceVersion="101", uid="another"),
        {**_later(resourceVersion="101", generation=2), "spec": {"jobResourceId": JOB_ID, "suspend": 1}},
        {**_later(resourceVersion="101"), "spec": {"jobResourceId": OTHER_JOB_NAME}},
        {"metadata": {"uid": "", "resourceVersion": ""}, "spec": {}, "status": {"phase": "Failed"}},
    ],
)
@pytest.mark.parametrize(
    "earlier",
    [
        Watch.from_body(_later()),
        Watch.from_body({**_later(), "spec": {"jobResourceId": JOB_ID, "suspend": True}}),
        Watch.from_body({"metadata": {}, "status": {"phase": "Succeeded"}}),
        watch(),
    ],
)
def test_reuse_does_not_change_the_snapshot(body: dict[str, Any], earlier: Watch) -> None:
    """A snapshot has the same content with and without an earlier snapshot to reuse."""
    _read(earlier)
    alone, after = Watch.from_body(body), Watch.from_body(body, earlier=earlier)

    if (after.uid, after.resource_version) != (earlier.uid, earlier.resource_version):
        assert after == alone
    assert (after.requested_at, after.spec) == (alone.requested_at, alone.spec)
    assert _read(after) == _read(alone)


def test_cached_errors_keep_no_snapshot() -> None:
    """A cached InvalidSpec has no traceback, so it does not keep the first snapshot and its status alive."""
    wrong = watch({"jobResourceId": "x"}).parsed_spec

    assert isinstance(wrong, InvalidSpec)
    assert wrong.__traceback__ is None


def test_unchanged_objects_are_read_once() -> None:
    """An unchanged object is not read again. If only the status changed, the spec is not parsed again."""
    first = Watch.from_body(_later())
    _read(first)
    again, later = (Watch.from_body(body, earlier=first) for body in (_later(), _later(resourceVersion="101")))

    assert again.status is first.status
    assert later.status is not first.status
    assert again.parsed_spec is later.parsed_spec is first.parsed_spec


@pytest.mark.parametrize(
    ("phase", "finished"),
    [("Pending", False), ("Running", False), ("Succeeded", True), ("Failed", True), (None, False)],
)
def test_finished(phase: str | None, finished: bool) -> None:  # noqa: FBT001
    """A watch is finished when its phase is Succeeded or Failed."""
    assert _watch(phase=phase).finished is finished


def test_verdict_on_another_target() -> None:
    """A status for another target makes the watch neither finished nor seen."""
    stale = _watch(target=OTHER, phase="Succeeded", job={"name": "x"})

    assert stale.status_for_target == {}
    assert not stale.finished
    assert not stale.seen


def test_fresh() -> None:
    """A watch with the CRD's default status is neither observed, finished nor idle."""
    fresh = watch()

    assert fresh.status_for_target == {}
    assert not fresh.observed
    assert not fresh.finished
    assert not fresh.is_idle


def test_seen() -> None:
    """A watch has seen its job if the status has a job."""
    assert _watch(job={"name": "x"}).seen
    assert not _watch(phase="Pending").seen


def test_observed() -> None:
    """A status of an older generation does not count as observed."""
    assert _watch().observed
    assert not _watch(observedGeneration=0).observed


@pytest.mark.parametrize(
    ("requested", "handled", "pending"),
    [(None, None, False), (None, "a", False), ("a", None, True), ("a", "a", False), ("b", "a", True), ("", None, True)],
)
def test_request_pending(requested: str | None, handled: str | None, pending: bool) -> None:  # noqa: FBT001
    """A request is pending until the status echoes its exact value."""
    assert _watch(requested, lastHandledReconcileAt=handled).request_pending is pending


def test_long_request() -> None:
    """A request that is too long is truncated, so that its echo in the status can match."""
    snapshot = _watch("x" * 1000, lastHandledReconcileAt="x" * MAX_REQUESTED_AT)

    assert not snapshot.request_pending


@pytest.mark.parametrize(
    ("status", "settled"),
    [
        ({"phase": "Succeeded"}, True),
        ({"phase": "Failed"}, True),
        ({"phase": "Running", "reason": "Suspended"}, True),
        ({"phase": "Running", "reason": "JobInProgress"}, False),
        ({"phase": "Pending", "reason": "JobNotVisible"}, False),
        ({"phase": "Succeeded", "detailPending": True}, False),
        ({"phase": "Running", "reason": "Suspended", "detailPending": True}, True),
        ({"phase": "Succeeded", "observedGeneration": 0}, False),
        ({"phase": "Succeeded", "target": OTHER}, False),
        ({"phase": "Running", "reason": "Suspended", "target": OTHER}, False),
    ],
)
def test_settled(status: dict[str, Any], settled: bool) -> None:  # noqa: FBT001
    """Finished and suspended watches are idle once the status has the current target and generation."""
    assert _watch(**status).is_idle is settled


@pytest.mark.parametrize(
    ("status", "pending"),
    [
        ({"phase": "Succeeded"}, True),
        ({"phase": "Failed"}, True),
        ({"phase": "Running"}, False),
        ({"phase": "Failed", "target": OTHER}, False),
        ({"phase": "Failed", "detailPending": False}, False),
        ({"phase": "Failed", "detailPending": "true"}, False),
        ({"phase": "Failed", "detailPending": None}, False),
    ],
)
def test_detail_pending(status: dict[str, Any], *, pending: bool) -> None:
    """The detail is pending if the watch has finished and its status says so for the current target."""
    assert _watch(**{"detailPending": True, **status}).detail_pending is pending


@pytest.mark.parametrize(
    ("age", "awaits"), [(0, True), (3599, True), (3600, False), (90000, False), (-60, True), (-3600, False)]
)
def test_awaits_detail(age: int, *, awaits: bool) -> None:
    """The operator tries to get the detail for an hour. A completionTime slightly in the future is tolerated."""
    completed = {"completionTime": format_time(NOW - timedelta(seconds=age))}

    assert _watch(phase="Failed", detailPending=True, **completed).awaits_detail(NOW) is awaits
    assert not _watch(phase="Failed", **completed).awaits_detail(NOW)
    assert not _watch(phase="Failed", detailPending=True).awaits_detail(NOW)


@pytest.mark.parametrize("status", [{"phase": "Succeeded"}, {"phase": "Running", "reason": "Suspended"}])
def test_not_idle_during_a_request(status: dict[str, Any]) -> None:
    """A finished or suspended watch is not idle until it acknowledges the request."""
    assert not _watch("now", **status).is_idle
    assert _watch("now", lastHandledReconcileAt="now", **status).is_idle


@pytest.mark.parametrize("status", [{}, {"phase": "Running", "reason": "JobInProgress"}, {"phase": "Succeeded"}])
def test_deleting(status: dict[str, Any]) -> None:
    """A watch that is being deleted is idle whatever its status: only a finalizer keeps it."""
    going = watch(
        None, {"target": TARGET, **status}, deletionTimestamp="2018-05-21T09:00:00Z", annotations={REQUESTED_AT: "x"}
    )

    assert going.deleting
    assert going.is_idle
    assert not watch().deleting


@pytest.mark.parametrize(
    ("resource_version", "version"), [("0", 0), ("1234567890123", 1234567890123), ("x", 0), ("-5", 0)]
)
def test_version(resource_version: str, version: int) -> None:
    """Snapshots are ordered by resourceVersion. A version that is not a decimal number counts as 0, the oldest."""
    assert watch(resourceVersion=resource_version).version == version


def test_retargeted() -> None:
    """A watch is retargeted if its status belongs to another target."""
    body = settle(watch_body(), running_job(), NOW)

    assert not watch().is_retargeted
    assert not Watch.from_body(body).is_retargeted
    assert Watch.from_body(edit(body, graceSeconds=5)).is_retargeted
