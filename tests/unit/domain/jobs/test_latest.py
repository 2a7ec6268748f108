"""The first job of an item after a time, as it is found in a list."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.jobs.data_protection import parse_job as parse_data_protection
from backupjobwatch.domain.jobs.latest import find_latest
from backupjobwatch.domain.jobs.latest_job import LatestJob
from backupjobwatch.domain.jobs.observations import PinnedJob, Waiting
from backupjobwatch.domain.jobs.resource_ids import VaultId
from tests.support.azure import payload
from tests.support.builders import ABSENT, RESOURCE_GROUP, SUBSCRIPTION, VAULT, job

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.job import Job

AFTER = datetime(2026, 3, 4, 1, 0, 0, tzinfo=UTC)
VAULT_ID = VaultId(subscription_id=SUBSCRIPTION, resource_group=RESOURCE_GROUP, name=VAULT)
ONE, TWO, THREE = (f"b0b00001-5e1f-4000-8000-00000000000{number}" for number in (1, 2, 3))


def latest(**fields: Any) -> LatestJob:
    defaults = {"item": "vm1", "operation": "Backup", "container": None, "started_after": AFTER}
    return LatestJob(vault=VAULT_ID, **{**defaults, **fields})


def entry(name: str, start: str = "2026-03-04T02:00:00Z", /, **fields: Any) -> Job:
    named = {"name": name, "entityFriendlyName": "vm1", "containerName": "c1", "startTime": start}
    return job(**{**named, **fields})


def find(*jobs: Job, created: datetime = AFTER, **fields: Any) -> PinnedJob | Waiting:
    return find_latest(jobs, latest(**fields), created=created)


def is_waiting(found: PinnedJob | Waiting) -> bool:
    return isinstance(found, Waiting) and found.reason == "WaitingForJob"


def test_found() -> None:
    """The item's job that started after the time is found."""
    assert find(entry(ONE)) == PinnedJob(name=ONE)


def test_first_not_newest() -> None:
    """Of several the first that started is meant, in whatever order Azure lists them: it is the one that was started."""
    early, late = entry(TWO, "2026-03-04T02:00:00Z"), entry(ONE, "2026-03-04T05:00:00Z")

    assert find(early, late) == find(late, early) == PinnedJob(name=TWO)


def test_equal_start_times() -> None:
    """Of two that started at one moment the same is taken whenever it is asked."""
    assert find(entry(TWO), entry(ONE)) == find(entry(ONE), entry(TWO)) == PinnedJob(name=ONE)


def test_names_are_pinned_in_small_letters() -> None:
    """A job's name is pinned in one letter case, since its status and lists may have another."""
    assert find(entry(ONE.upper())) == PinnedJob(name=ONE)


@pytest.mark.parametrize(
    "other",
    [
        {"entityFriendlyName": "vm10"},
        {"entityFriendlyName": ABSENT},
        {"operation": "Restore"},
        {"operation": "BackupDataMove"},
        {"operation": ABSENT},
        {"startTime": "2026-03-04T01:00:00Z"},
        {"startTime": "2026-03-04T00:59:59.9999999Z"},
        {"startTime": "2026-03-03T02:00:00Z"},
        {"startTime": "0001-01-01T00:00:00"},
        {"startTime": ABSENT},
        {"name": "", "id": ""},
    ],
)
def test_lists_are_checked(other: dict[str, Any]) -> None:
    """The list's filter is not relied upon: another item, operation or time, or an entry without a name, is none."""
    assert is_waiting(find(entry(ONE, **other)))
    assert find(entry(ONE, **other), entry(TWO)) == PinnedJob(name=TWO)


def test_just_after() -> None:
    """A job that started in the second of the time, but after it, counts."""
    assert find(entry(ONE, "2026-03-04T01:00:00.0000010Z")) == PinnedJob(name=ONE)


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"entityFriendlyName": "VM1"}, {}),
        ({"operation": "Backup (Full)"}, {}),
        ({"operation": "backup"}, {}),
        ({"operation": "Restore"}, {"operation": "restore"}),
        ({}, {"item": "Vm1", "container": "C1"}),
        ({"containerName": ABSENT}, {}),
    ],
)
def test_letter_case(fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Item, operation and container are compared without regard to letter case; Backup means Backup (Full) too."""
    assert find(entry(ONE, **fields), **wanted) == PinnedJob(name=ONE)


def test_ambiguous() -> None:
    """Items of one name in two containers are not guessed between: the message names both."""
    found = find(entry(ONE), entry(TWO, containerName="c2"))

    assert found == Waiting(
        reason="AmbiguousItem",
        message="Several containers or hosts have an item vm1. Set spec.latest.container to one of: c1, c2.",
    )


def test_ambiguous_by_yesterday() -> None:
    """A container whose job is not due yet, but was there the day before, counts: its job might come a minute later."""
    yesterday = entry(ONE, "2026-03-03T02:00:00Z", containerName="c2")
    found = find(yesterday, entry(TWO))

    assert isinstance(found, Waiting)
    assert found.reason == "AmbiguousItem"


def test_not_ambiguous() -> None:
    """Another item, or another operation, in another container makes nothing ambiguous; nor does letter case."""
    others = (
        entry(ONE, containerName="c2", entityFriendlyName="vm2"),
        entry(ONE, containerName="c2", operation="Restore"),
        entry(ONE, "2026-03-03T02:00:00Z", containerName="C1"),
    )

    assert find(*others, entry(TWO)) == PinnedJob(name=TWO)


def test_container() -> None:
    """With a container only its jobs count, and nothing is ambiguous."""
    jobs = (entry(ONE, containerName="c2"), entry(TWO, containerName="C1", startTime="2026-03-04T03:00:00Z"))

    assert find(*jobs, container="c1") == PinnedJob(name=TWO)
    assert is_waiting(find(jobs[0], container="c1"))
    assert is_waiting(find(entry(ONE, containerName=ABSENT), container="c1"))


def test_since_creation() -> None:
    """Without a time it is the watch's creation that counts."""
    jobs = (entry(ONE, "2026-03-04T02:00:00Z"), entry(TWO, "2026-03-04T04:00:00Z"))
    created = datetime(2026, 3, 4, 3, tzinfo=UTC)

    assert find(*jobs, started_after=None, created=created) == PinnedJob(name=TWO)
    assert find(*jobs, started_after=AFTER, created=created) == PinnedJob(name=ONE)


def test_waiting() -> None:
    """Where there is none yet the message says what is waited for."""
    assert find() == Waiting(
        reason="WaitingForJob", message="No Backup of vm1 has started after 2026-03-04T01:00:00Z yet.", searched=True
    )


@pytest.mark.parametrize(
    ("item", "found"), [("aks-harbour/daily", True), ("AKS-HARBOUR", True), ("aks", False), ("nightly", False)]
)
def test_names_in_backup_vaults(item: str, found: bool) -> None:  # noqa: FBT001
    """In a Backup vault an item is known by its instance's name or by its data source's."""
    jobs = [parse_data_protection(each) for each in payload("dp-list-page1-nextlink")["value"]]
    pinned = find_latest([each for each in jobs if each.operation == "Backup"], latest(item=item), created=AFTER)

    assert isinstance(pinned, PinnedJob) is found


def test_instances_are_containers() -> None:
    """Two instances of one data source in a Backup vault are told apart by the instance's own name."""
    first = payload("dp-job-aks-inprogress")
    second = payload("dp-job-aks-inprogress")
    second["name"] = TWO
    second["properties"]["backupInstanceId"] += "-2"
    jobs = [parse_data_protection(each) for each in (first, second)]
    name = first["properties"]["backupInstanceId"].rsplit("/", 1)[-1]

    ambiguous = find_latest(jobs, latest(item="aks-harbour"), created=AFTER)
    assert isinstance(ambiguous, Waiting)
    assert ambiguous.message.endswith(f"{name}, {name}-2.")
    assert find_latest(jobs, latest(item="aks-harbour", container=name), created=AFTER) == PinnedJob(name=first["name"])


@pytest.mark.parametrize(
    ("name", "field"),
    [("job-storage-afs-restore-inprogress", "storageAccountName"), ("job-mab-completed", "mabServerName")],
)
def test_two_accounts_or_servers(name: str, field: str) -> None:
    """File shares and machines' disks have no container: the storage account or server is what tells them apart."""
    body = payload(name)["properties"]
    one, two = (
        job(**{**body, "name": number, "startTime": "2026-03-04T02:00:00Z", field: place})
        for number, place in ((ONE, "here"), (TWO, "there"))
    )
    wanted = {"item": body["entityFriendlyName"], "operation": body["operation"]}
    found = find(one, two, **wanted)

    assert isinstance(found, Waiting)
    assert found.reason == "AmbiguousItem"
    assert "here, there" in found.message
    assert find(one, two, **wanted, container="There") == PinnedJob(name=TWO)
