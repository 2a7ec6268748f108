"""Any list of jobs opens the gate of ``completedWithin`` only for a job that completed in time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from backupjobwatch.domain.jobs.findings import PinnedJob, UnsupportedItem, Waiting
from backupjobwatch.domain.jobs.latest_completed import find_completed_or_next
from backupjobwatch.domain.jobs.latest_job import LatestJob
from backupjobwatch.domain.jobs.resource_ids import VaultId
from tests.support.builders import (
    ABSENT,
    CANCELLED_AFTER_SNAPSHOT,
    NOW,
    RESOURCE_GROUP,
    SUBSCRIPTION,
    VAULT,
    job,
    list_entry,
)  # fmt: skip
from tests.support.scale import at_scale

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job

START = NOW
VAULT_ID = VaultId(subscription_id=SUBSCRIPTION, resource_group=RESOURCE_GROUP, name=VAULT)
_HOURS = st.integers(-80, 30)


@st.composite
def _jobs(draw: st.DrawFn, number: int) -> tuple[Job, Job]:
    """Return a job as a list shows it, and as a GET shows it."""
    start = START + timedelta(hours=draw(_HOURS))
    end = start + timedelta(minutes=draw(st.integers(0, 5000)))
    fields = {
        "name": f"b0b00001-5e1f-4000-8000-{number:012}",
        "entityFriendlyName": draw(st.sampled_from(["vm1", "VM1", "vm1", "vm2"])),
        "operation": draw(st.sampled_from(["Backup", "Backup", "Backup (Full)", "Backup (Log)", "Restore"])),
        "containerName": draw(st.sampled_from(["c1", "c1", "c1", "c2", ABSENT])),
        "status": draw(
            st.sampled_from(
                ["Completed", "Completed", "Failed", "Cancelled", "InProgress", "CompletedWithWarnings", "?"]
            )
        ),
        "backupManagementType": draw(st.sampled_from([*["AzureIaasVM"] * 9, "AzureWorkload"])),
        "startTime": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "endTime": draw(st.sampled_from([f"{end:%Y-%m-%dT%H:%M:%SZ}"] * 5 + [ABSENT])),
    }
    cancelled = fields["status"] == "CompletedWithWarnings" and draw(st.booleans())
    return list_entry(**fields), job(**{**fields, **(CANCELLED_AFTER_SNAPSHOT if cancelled else {})})


_lists = st.integers(0, 6).flatmap(lambda size: st.tuples(*(_jobs(number) for number in range(size))))


_searches = st.fixed_dictionaries(
    {
        "within": st.integers(1, 48).map(lambda hours: timedelta(hours=hours)),
        "container": st.sampled_from([None, "c1"]),
        "warnings_succeed": st.booleans(),
        "now": st.integers(0, 40).map(lambda hours: START + timedelta(hours=hours)),
    }
)


@settings(deadline=None, max_examples=at_scale(300, 20000))
@given(_lists, _searches, st.randoms(use_true_random=False))
def test_any_list(pairs: tuple[tuple[Job, Job], ...], search: dict[str, Any], random: Any) -> None:
    """A job before the start is chosen only if it completed in time. The order of the list does not matter."""
    latest = LatestJob(
        vault=VAULT_ID,
        item="vm1",
        operation="Backup",
        container=search["container"],
        started_after=None,
        completed_within=search["within"],
    )
    actual = {(detail.name or ""): detail for _, detail in pairs}
    entries = [entry for entry, _ in pairs]
    accepted = ("Completed", "CompletedWithWarnings") if search["warnings_succeed"] else ("Completed",)

    def find(jobs: list[Job]) -> PinnedJob | Waiting | UnsupportedItem:
        details: dict[str, Job] = {}
        while isinstance(
            found := find_completed_or_next(
                jobs,
                latest,
                start=START,
                now=search["now"],
                warnings_succeed=search["warnings_succeed"],
                details=details,
            ),
            str,
        ):
            assert found not in details
            details[found] = actual[found]
        return found

    found = find(entries)
    shuffled = list(entries)
    random.shuffle(shuffled)
    assert find(shuffled) == found
    if not isinstance(found, PinnedJob):
        return
    chosen = actual[found.name]
    assert (chosen.entity_friendly_name or "").lower() == "vm1"
    assert chosen.operation in ("Backup", "Backup (Full)")
    assert search["container"] in (None, chosen.container)
    assert chosen.start_time is not None
    if found.note:
        assert chosen.outcome.value in accepted
        assert chosen.end_time is not None
        assert START - search["within"] <= chosen.end_time <= START
    elif chosen.start_time <= START:
        assert chosen.end_time is None or chosen.end_time > START
        assert not (chosen.end_time is None and chosen.ended)
