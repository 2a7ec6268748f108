"""When the planner runs again."""

from __future__ import annotations

from backupjobwatch.domain.jobs.resource_ids import JobId, VaultId
from backupjobwatch.domain.polling.demand import RunningJobs, VaultState
from backupjobwatch.domain.polling.demands import Demands
from backupjobwatch.domain.polling.observations import NEVER
from backupjobwatch.domain.polling.read_planner import RETRY, ReadPlanner
from backupjobwatch.domain.polling.token_bucket import TokenBucket
from tests.support.builders import RESOURCE_GROUP, SUBSCRIPTION

RATE, INTERVAL = 0.5, 30.0


def crowded_planner(last_list: float = NEVER) -> ReadPlanner:
    """Return a planner with more due jobs in one vault than the bucket has tokens, so that they wait for a list."""
    planner = ReadPlanner(demands=Demands(bucket=TokenBucket(rate=RATE, burst=5)))
    vault = VaultId(subscription_id=SUBSCRIPTION, resource_group=RESOURCE_GROUP, name="vault")
    planner.demands.vaults[vault] = VaultState(began=last_list)
    for number in range(40):
        planner.demands.add(JobId(vault=vault, name=f"job-{number}"), f"uid-{number}", interval=INTERVAL, now=0.0)
    return planner


def test_an_overdue_list_waits_for_a_token() -> None:
    """A list that is overdue without a token does not wake the planner at once, which would be a busy loop."""
    planner = crowded_planner()
    while not planner.demands.bucket.wait(0.0):
        planner.demands.bucket.take(0.0)
    assert planner.next_read(0.0) is None
    at = planner.wake_at(0.0)
    assert at == planner.demands.bucket.wait(0.0) == 1 / RATE
    assert isinstance(planner.next_read(at), RunningJobs)


def test_an_overdue_list_that_cannot_be_sent_is_retried_later() -> None:
    """A list that has a token but waits because of too many requests in flight is retried after a second."""
    assert crowded_planner().wake_at(0.0) == RETRY


def test_a_list_that_is_due_later_wakes_the_planner_then() -> None:
    """The planner wakes up for the next list of a vault one interval after the last one."""
    planner = crowded_planner(last_list=-10.0)
    assert planner.next_read(0.0) is None
    assert planner.wake_at(0.0) == INTERVAL - 10.0


def test_nothing_to_read() -> None:
    """Without demand the planner does not wake up."""
    assert ReadPlanner(demands=Demands(bucket=TokenBucket(rate=RATE, burst=5))).wake_at(0.0) is None
