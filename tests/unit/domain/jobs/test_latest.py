"""Finding the first job of an item after a given time in a list."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.jobs.data_protection import parse_job as parse_data_protection
from backupjobwatch.domain.jobs.findings import PinnedJob, Waiting
from backupjobwatch.domain.jobs.latest import find_latest
from backupjobwatch.domain.jobs.latest_job import LatestJob
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
    """The item's job that started after the given time is found."""
    assert find(entry(ONE)) == PinnedJob(name=ONE)


def test_first_not_newest() -> None:
    """Of several jobs the one that started first is found, in any order of the list."""
    early, late = entry(TWO, "2026-03-04T02:00:00Z"), entry(ONE, "2026-03-04T05:00:00Z")

    assert find(early, late) == find(late, early) == PinnedJob(name=TWO)


def test_equal_start_times() -> None:
    """Of two jobs with equal start times the same one is always found."""
    assert find(entry(TWO), entry(ONE)) == find(entry(ONE), entry(TWO)) == PinnedJob(name=ONE)


def test_names_are_pinned_in_lowercase() -> None:
    """Job names are pinned in lowercase, because the letter case of lists and statuses can differ."""
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
    """Entries with another item, operation or time, or without a name, are skipped, although the list is filtered."""
    assert is_waiting(find(entry(ONE, **other)))
    assert find(entry(ONE, **other), entry(TWO)) == PinnedJob(name=TWO)


def test_just_after() -> None:
    """A job that started less than a second after the given time is found."""
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
    """Item, operation and container match in any letter case. ``Backup`` also matches ``Backup (Full)``."""
    assert find(entry(ONE, **fields), **wanted) == PinnedJob(name=ONE)


def test_ambiguous() -> None:
    """If two containers have an item of that name, the watch waits. The message names both containers."""
    found = find(entry(ONE), entry(TWO, containerName="c2"))

    assert found == Waiting(
        reason="AmbiguousItem",
        message="Several containers or hosts have an item vm1. Set spec.latest.container to one of: c1, c2.",
    )


def test_ambiguous_by_yesterday() -> None:
    """A container that only had a job the day before counts too, because its next job may start later."""
    yesterday = entry(ONE, "2026-03-03T02:00:00Z", containerName="c2")
    found = find(yesterday, entry(TWO))

    assert isinstance(found, Waiting)
    assert found.reason == "AmbiguousItem"


def test_not_ambiguous() -> None:
    """Another item or operation in another container is not ambiguous. Neither is another letter case."""
    others = (
        entry(ONE, containerName="c2", entityFriendlyName="vm2"),
        entry(ONE, containerName="c2", operation="Restore"),
        entry(ONE, "2026-03-03T02:00:00Z", containerName="C1"),
    )

    assert find(*others, entry(TWO)) == PinnedJob(name=TWO)


def test_container() -> None:
    """If the spec names a container, only its jobs match, and nothing is ambiguous."""
    jobs = (entry(ONE, containerName="c2"), entry(TWO, containerName="C1", startTime="2026-03-04T03:00:00Z"))

    assert find(*jobs, container="c1") == PinnedJob(name=TWO)
    assert is_waiting(find(jobs[0], container="c1"))
    assert is_waiting(find(entry(ONE, containerName=ABSENT), container="c1"))


def test_since_creation() -> None:
    """Without ``startedAfter`` the creation time of the watch is used."""
    jobs = (entry(ONE, "2026-03-04T02:00:00Z"), entry(TWO, "2026-03-04T04:00:00Z"))
    created = datetime(2026, 3, 4, 3, tzinfo=UTC)

    assert find(*jobs, started_after=None, created=created) == PinnedJob(name=TWO)
    assert find(*jobs, started_after=AFTER, created=created) == PinnedJob(name=ONE)


def test_waiting() -> None:
    """If there is no job yet, the message says what the watch waits for."""
    assert find() == Waiting(
        reason="WaitingForJob", message="No Backup of vm1 has started after 2026-03-04T01:00:00Z yet.", searched=True
    )


@pytest.mark.parametrize(
    ("item", "found"), [("aks-harbour/daily", True), ("AKS-HARBOUR", True), ("aks", False), ("nightly", False)]
)
def test_names_in_backup_vaults(item: str, found: bool) -> None:  # noqa: FBT001
    """In a Backup vault an item matches by the name of its backup instance or of its data source."""
    jobs = [parse_data_protection(each) for each in payload("dp-list-page1-nextlink")["value"]]
    pinned = find_latest([each for each in jobs if each.operation == "Backup"], latest(item=item), created=AFTER)

    assert isinstance(pinned, PinnedJob) is found


def test_instances_are_containers() -> None:
    """Two backup instances of one data source are distinguished by the instance name."""
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
    """File shares and disks of machines have no container. Storage account or server distinguishes them."""
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
