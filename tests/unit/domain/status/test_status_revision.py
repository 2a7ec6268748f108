"""The status of a watch with ``spec.revision``: an edit restarts the watch, and no older job counts for ``spec.latest``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.api.spec import WatchSpec
from backupjobwatch.domain.jobs.findings import PinnedJob, Waiting
from backupjobwatch.domain.jobs.times import format_time, parse_time
from backupjobwatch.domain.status.transitions import needs_write
from backupjobwatch.errors import AzureUnavailable, NotPolledYet, PollDeferred
from tests.support.builders import (
    ABSENT,
    JOB_ID,
    JOB_NAME,
    NOW,
    VAULT_REF,
    edit,
    job,
    settle,
    standing,
    watch_body,
)  # fmt: skip

LATEST = {"latest": {"item": "uttestvmub1"}, "vault": VAULT_REF}
LATER = NOW + timedelta(days=60, microseconds=1)
"""Longer after the creation than any vault lists jobs."""
NOTHING = Waiting(reason="WaitingForJob", message="m", searched=True)
PINS = (PinnedJob(name=JOB_NAME),)


def succeeded(**spec: Any) -> dict[str, Any]:
    """Return a watch of the latest job that has succeeded."""
    return settle(watch_body({**LATEST, **spec}), job(), NOW, pinned=PINS)


def edit_time(body: dict[str, Any]) -> Any:
    return body["status"].get("targetEditTime")


def test_status_has_the_revision() -> None:
    """The status has the revision that it describes, and stays without one that is unset or invalid."""
    first = settle(watch_body({"jobResourceId": JOB_ID, "revision": "v1"}), job(), NOW)
    assert first["status"]["revision"] == "v1"
    assert edit_time(first) is None
    for revision in (ABSENT, "", 1.4, "v" * 257):
        body = watch_body({"jobResourceId": JOB_ID, **({} if revision is ABSENT else {"revision": revision})})
        assert "revision" not in settle(body, job(), NOW)["status"]


@pytest.mark.parametrize("fields", [{"pollInterval": "5m"}, {"suspend": True}])
def test_other_edits_keep_the_verdict(fields: dict[str, Any]) -> None:
    """Only editing the target restarts the watch."""
    before = succeeded(revision="v1")
    after = settle(edit(before, **fields), NotPolledYet(), LATER)["status"]

    assert after == {**before["status"], "observedGeneration": 2, "conditions": after["conditions"]}
    assert standing(after)["Complete"] == "True"


@pytest.mark.parametrize("suspend", [False, True])
def test_an_edit_closes_the_gate(suspend: bool) -> None:  # noqa: FBT001 -- a parameter
    """The first status of a new revision has no verdict, no job, and the time of the edit, even while suspended."""
    after = settle(edit(succeeded(revision="v1"), revision="v2", suspend=suspend), NotPolledYet(), LATER)["status"]

    assert (after["phase"], after["revision"]) == ("Pending", "v2")
    assert not {"job", "jobs", "completionTime"} & after.keys()
    assert standing(after)["Ready"] == "Unknown"
    assert "Complete" not in standing(after)
    assert after["targetEditTime"] == format_time(LATER + timedelta(seconds=1))  # rounded up


def test_the_same_job_ends_the_same_way() -> None:
    """A job that the spec names succeeds for the next revision too."""
    first = settle(watch_body({"jobResourceId": JOB_ID, "revision": "v1"}), job(), NOW)
    again = settle(settle(edit(first, revision="v2"), NotPolledYet(), LATER), job(), LATER)["status"]

    assert (again["phase"], again["revision"]) == ("Succeeded", "v2")


def test_search_starts_at_the_edit() -> None:
    """The start is unknown until the status has it, and never moves after that."""
    first = succeeded(revision="v1")
    assert Watch.from_body(first).search_start == Watch.from_body(first).created
    edited = edit(first, revision="v2")
    assert Watch.from_body(edited).search_start is None
    assert isinstance(Watch.from_body(edited).spec_at(LATER), WatchSpec)  # jobs of the creation's time are not needed
    waiting = settle(edited, AzureUnavailable("m"), LATER)
    start = parse_time(edit_time(waiting))
    assert start is not None
    assert start >= LATER
    for minutes, observation in ((1, NOTHING), (2, AzureUnavailable("m")), (3, PollDeferred("m"))):
        waiting = settle(waiting, observation, LATER + timedelta(minutes=minutes))
        assert Watch.from_body(waiting).search_start == start
    done = settle(edit(waiting, pollInterval="5m"), job(), LATER + timedelta(minutes=4), pinned=PINS)
    assert (done["status"]["phase"], edit_time(done)) == ("Succeeded", edit_time(waiting))
    last = settle(edit(done, revision="v1"), NotPolledYet(), LATER + timedelta(minutes=5))
    assert edit_time(last) > edit_time(done)


def test_removal_of_the_revision() -> None:
    """Without the revision, also by way of an invalid spec, no job from before the edit counts."""
    removed = settle(edit(succeeded(revision="v1"), revision=ABSENT), NotPolledYet(), LATER)
    assert edit_time(removed) is not None
    assert "revision" not in removed["status"]
    other = edit(removed, latest={"item": "vm2"})
    assert Watch.from_body(other).search_start is None
    invalid = settle(edit(succeeded(revision="v1"), revision=ABSENT, pollInterval="7s"), NotPolledYet(), LATER)
    assert invalid["status"]["reason"] == "InvalidSpec"
    assert Watch.from_body(edit(invalid, pollInterval="30s")).search_start is None


def test_first_revision() -> None:
    """A watch that gets its first revision searches from that edit."""
    assert Watch.from_body(edit(succeeded(), revision="v1")).search_start is None


def test_without_a_revision_the_creation_counts() -> None:
    """In a watch that never had a revision, other edits to the target keep the start, as in earlier versions."""
    edited = edit(succeeded(), latest={"item": "vm2"})
    snapshot = Watch.from_body(edited)

    assert snapshot.search_start == snapshot.created
    assert edit_time(settle(edited, NotPolledYet(), NOW)) is None


@pytest.mark.parametrize(
    ("generation", "revision", "is_known"), [(1, "v1", True), (2, "v1", False), (2, None, True), (1, None, True)]
)
def test_edit_before_the_first_status(generation: int, revision: str | None, is_known: bool) -> None:  # noqa: FBT001
    """An object that was edited before the operator saw it may have had another revision."""
    spec = {**LATEST, **({} if revision is None else {"revision": revision})}
    snapshot = Watch.from_body(watch_body(spec, generation=generation))

    assert snapshot.lacks_edit_time is not is_known
    assert (snapshot.search_start is not None) is is_known


def test_upgrade_causes_no_write() -> None:
    """The status of an object without a revision is that of earlier versions."""
    before = succeeded()
    after = settle(before, NotPolledYet(), LATER)["status"]

    assert not {"revision", "targetEditTime"} & before["status"].keys()
    assert not needs_write(before["status"], after, heartbeat=timedelta.max)
