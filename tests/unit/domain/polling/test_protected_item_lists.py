"""Reads that precede a backup: the list of what a vault protects, and the policy of a Backup vault."""

from __future__ import annotations

from backupjobwatch.domain.jobs.backup_policies import BackupPolicy
from backupjobwatch.domain.polling.demand import kind_of
from backupjobwatch.domain.polling.observations import ItemList
from backupjobwatch.domain.polling.pauses import LIST
from backupjobwatch.domain.polling.queries import PolicyQuery, ProtectedItems
from backupjobwatch.domain.polling.read_planner import ReadPlanner
from tests.support.polling import START, vault_id
from tests.support.recorded import DOWN, Recorded

VAULT = vault_id()
ITEMS = ProtectedItems(VAULT)
POLICY = PolicyQuery(VAULT, f"{VAULT}/backupPolicies/daily disks")


def test_policy_path() -> None:
    """The path of a policy is in the vault of the watch, and its name is percent-encoded."""
    assert POLICY.url_path == f"{VAULT}/backupPolicies/daily%20disks"
    assert PolicyQuery(VAULT, "").url_path == f"{VAULT}/backupPolicies/"


def test_kind() -> None:
    """Both count as lists."""
    assert {kind_of(ITEMS), kind_of(POLICY)} == {LIST}


def test_one_list_at_a_time() -> None:
    """A vault has one list in flight, also for an explicit request. A policy is not a list of the vault."""
    given = Recorded(ITEMS, POLICY)
    planner = ReadPlanner(demands=given.demands)
    given.demands.vaults[VAULT].is_reading = True
    given.demands.request(ITEMS, "team-a", fresh_after=START)
    given.demands.request(POLICY, "team-a", fresh_after=START)

    assert planner.next_read(START) == POLICY
    assert planner.next_read(START) is None
    given.demands.end_list(VAULT, START)
    assert planner.next_read(START) == ITEMS
    assert given.demands.vaults[VAULT].is_reading
    assert given.demands.by_query[ITEMS].is_reading


def test_result() -> None:
    """A list of items is the answer of its query, and the next list of the vault can start."""
    given = Recorded(ITEMS, POLICY)
    given.demands.vaults[VAULT].is_reading = True
    (update,) = given.record(ITEMS, ItemList(()))
    given.record(POLICY, BackupPolicy(rules=("BackupDaily",)))

    assert update.is_changed
    assert given.observed(ITEMS).result == ItemList(())
    assert given.observed(POLICY).result == BackupPolicy(rules=("BackupDaily",))
    assert not given.demands.vaults[VAULT].is_reading
    assert not given.demands.is_waiting


def test_failure() -> None:
    """A failed list of items is the error of its query, and of no job."""
    given = Recorded(ITEMS)
    given.demands.vaults[VAULT].is_reading = True
    given.record(ITEMS, DOWN)

    assert given.observed(ITEMS).error == DOWN
    assert not given.demands.vaults[VAULT].is_reading


def test_aborted() -> None:
    """An aborted list of items is read again."""
    given = Recorded(ITEMS)
    planner = ReadPlanner(demands=given.demands)
    assert planner.next_read(START) == ITEMS
    given.recorder.abort(ITEMS, now=START + 1)

    assert planner.next_read(START + 1) == ITEMS
