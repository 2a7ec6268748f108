"""Watches of operations with several jobs succeed only if all jobs succeed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backupjobwatch.domain.api.snapshot import Watch
from backupjobwatch.domain.jobs.findings import Finding, JobSet, PinnedJob
from backupjobwatch.domain.status.assessment import Assessment
from backupjobwatch.domain.status.next_status import next_status
from backupjobwatch.domain.status.transitions import needs_write
from backupjobwatch.errors import AzureError, PollDeferred
from tests.property.history import HEARTBEAT
from tests.property.oracles import check_status
from tests.support.azure_errors import KINDS
from tests.support.builders import NOW, OPERATION, VAULT_REF, edit, job, list_entry, watch_body
from tests.support.scale import at_scale

MODERATE = settings(
    deadline=None,
    max_examples=at_scale(40, 1000),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
pytestmark = pytest.mark.timeout(300)

_FROZEN = ("phase", "reason", "message", "completionTime")
_STATUSES = [
    "Completed",
    "Completed",
    "Completed",
    "CompletedWithWarnings",
    "InProgress",
    "Cancelling",
    "Failed",
    "Paused",
]


@dataclass(frozen=True, slots=True)
class World:
    """The jobs of an operation with their display name. The first *failed* of them could not be started."""

    total: int
    failed: int
    title: str

    @property
    def pins(self) -> tuple[PinnedJob, ...]:
        return tuple(
            PinnedJob(name=f"b0b00001-5e1f-4000-8000-{number:012}", error_code="X" if number < self.failed else None)
            for number in range(self.total)
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """Events between two reconciles: jobs change, Azure returns an error, a user suspends or resumes."""

    usual: str
    others: dict[int, str]
    listed: frozenset[int]
    """Numbers, modulo 3, of the jobs that are read from a list."""
    accept_list_entry: bool
    trouble: AzureError | None
    suspend: bool
    wait: timedelta

    def is_listed(self, pin: PinnedJob) -> bool:
        return int(pin.name[-12:]) % 3 in self.listed

    def status_of(self, pin: PinnedJob) -> str:
        return self.others.get(int(pin.name[-12:]), self.usual)


_worlds = st.builds(
    World,
    total=st.sampled_from([1, 2, 3, 20, 49, 50, 51, 70]),
    failed=st.sampled_from([0, 0, 0, 1]),
    title=st.sampled_from(["vm1", "x" * 256, "資" * 256, "😀" * 256, "<" * 256]),
)
_turns = st.lists(
    st.builds(
        Turn,
        usual=st.sampled_from(_STATUSES),
        listed=st.sampled_from([frozenset(), frozenset({0}), frozenset({1, 2}), frozenset({0, 1, 2})]),
        accept_list_entry=st.booleans(),
        others=st.dictionaries(st.integers(0, 69), st.sampled_from(_STATUSES), max_size=2),
        trouble=st.one_of(st.none(), st.sampled_from([kind("Trouble.") for kind in KINDS])),
        suspend=st.sampled_from([False, False, False, True]),
        wait=st.sampled_from([0, 30, 400]).map(lambda seconds: timedelta(seconds=seconds)),
    ),
    min_size=1,
    max_size=6,
)


def _observe(watch: Watch, world: World, turn: Turn) -> tuple[Finding, tuple[PinnedJob, ...]]:
    """Return the finding of the pinned jobs, or else of the jobs that the operation names."""
    pins = watch.pinned or world.pins
    if turn.trouble is not None:
        return turn.trouble, pins
    jobs = tuple(
        (list_entry if turn.is_listed(pin) else job)(
            name=pin.name, status=turn.status_of(pin), entityFriendlyName=world.title
        )
        for pin in pins
        if pin.error_code is None
    )
    failed = tuple(pin for pin in pins if pin.error_code is not None)
    return (jobs[0] if len(pins) == 1 and jobs else JobSet(jobs=jobs, not_started=failed)), pins


@MODERATE
@given(_worlds, _turns, st.sampled_from(["Failed", "Succeeded"]))
def test_gate(world: World, turns: list[Turn], warnings: str) -> None:
    """A watch is Ready only if every job was last seen as completed. Its statuses are valid and idempotent."""
    accepted = {"Completed"} | ({"CompletedWithWarnings"} if warnings == "Succeeded" else set())
    body = watch_body({"operationId": OPERATION, "vault": VAULT_REF, "completedWithWarnings": warnings})
    now = NOW
    for turn in turns:
        now += turn.wait
        before = edit(body, suspend=turn.suspend)
        watch = Watch.from_body(before)
        finding, pins = (PollDeferred("x"), ()) if turn.suspend else _observe(watch, world, turn)
        accept = turn.accept_list_entry
        status = next_status(watch, Assessment(finding=finding, accept_list_entry=accept), now=now, pinned=pins)
        after: dict[str, Any] = {**before, "status": status}
        check_status(after)

        again = next_status(
            Watch.from_body(after), Assessment(finding=finding, accept_list_entry=accept), now=now, pinned=pins
        )
        assert again == status
        assert not needs_write(status, again, heartbeat=HEARTBEAT)
        assert Watch.from_body(after).pinned in ((), world.pins)
        if watch.finished:
            assert {name: status[name] for name in _FROZEN} == {name: before["status"][name] for name in _FROZEN}
        elif status["phase"] == "Succeeded":
            assert not world.failed
            assert {turn.status_of(pin) for pin in world.pins} <= accepted
            assert {turn.status_of(pin) for pin in world.pins if turn.is_listed(pin)} <= {"Completed"}
        body = after if needs_write(before["status"], status, heartbeat=HEARTBEAT) else before
