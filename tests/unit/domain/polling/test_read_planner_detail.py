"""What a crowd costs besides its lists: the detail of jobs that seem unchanged; and who waits for a read."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import pytest

from backupjobwatch.domain.jobs.job import Job
from backupjobwatch.domain.polling.read_planner import DETAIL_SHARE, FORGET_AFTER, Decision, ReadPlanner
from backupjobwatch.domain.polling.token_bucket import TokenBucket
from tests.support.builders import running_job
from tests.unit.crowds import EVERY, HEARTBEAT, IDS, RUNNING, asked, crowd, job_id, planner, vault

HOUR: Final = 3600.0
PER_PAGE: Final = 400


def live(given: ReadPlanner, jobs: int, *, seconds: float, heartbeats: int = 0) -> tuple[list[float], set[int]]:
    """Ask for so many jobs that never change, each at its own moment of the interval, as ``poller.Poller.job`` does.

    Returns when a GET was made, but for those before so many heartbeats, and of which jobs.
    """
    ids = [job_id(number) for number in range(jobs)]
    entries = [(each, RUNNING) for each in ids]
    gets, of, since = [], set(), 1000 + heartbeats * HEARTBEAT
    for each in ids:
        given.note(each, interval=EVERY, now=1000)
    for turn in range(int(seconds / EVERY * jobs)):
        now, number = 1000 + turn * EVERY / jobs, turn % jobs
        decision = given.ask(ids[number], interval=EVERY, now=now)
        if decision is Decision.LIST:
            given.listed(vault(), entries, pages=-(-jobs // PER_PAGE), now=now)
            decision = given.ask(ids[number], interval=EVERY, now=now)
        if decision is Decision.GET:
            given.got(ids[number], RUNNING, now=now)
            if now >= since:
                gets.append(now)
                of.add(number)
    return gets, of


@pytest.mark.parametrize(("rate", "jobs"), [(2.0, 600), (2.0, 3000), (10.0, 3000)])
def test_detail_takes_a_fifth_at_most(rate: float, jobs: int) -> None:
    """However much of the budget is spare, detail of unchanged jobs is a fifth of the rate, evenly, and no more."""
    given = planner(rate=rate, burst=250)
    gets, _ = live(given, jobs, seconds=HOUR / 2)

    assert given.crowded
    gaps = [later - earlier for earlier, later in pairwise(gets)]
    assert min(gaps) >= 1 / (DETAIL_SHARE * rate) - 1e-6
    assert 0.15 * rate < len(gets) / (HOUR / 2) <= DETAIL_SHARE * rate + 1 / HOUR


def test_detail_of_each_in_its_time() -> None:
    """A crowd whose detail fits into that share has it refreshed at the heartbeat: of all jobs, and of none more often."""
    given = planner(rate=2.0)
    gets, of = live(given, 100, seconds=HOUR + HEARTBEAT, heartbeats=1)

    assert given.crowded
    assert of == set(range(100))
    assert len(gets) <= 100 * HOUR / HEARTBEAT


def test_detail_of_a_crowd_that_is_too_large() -> None:
    """Where the share does not do for all at the heartbeat, all have their turn nonetheless."""
    _, of = live(planner(rate=2.0), 600, seconds=HOUR)

    assert of == set(range(600))


def test_ends_do_not_wait_for_that_share() -> None:
    """The share is for detail alone: jobs that are no longer listed as running are fetched one after the other."""
    given = crowd()
    given._details.clear()
    assert given.ask(IDS[0], interval=EVERY, now=1000) is Decision.GET
    assert isinstance(given.ask(IDS[1], interval=EVERY, now=1000), Job)
    given.listed(vault(), [(IDS[0], RUNNING)], pages=1, now=1000)

    assert asked(given, IDS[1:11], 1000) == [Decision.GET] * 10


def test_the_share_is_of_what_azure_allows() -> None:
    """While Azure's own count slows reads down, detail is rarer by as much."""
    given = crowd()
    given._details.clear()
    given.budget.learn("job", 10, 1000)
    slowed = given.budget.rate_at(1000)
    assert slowed < 2.0
    given.budget.tokens = given.budget.burst
    assert given.ask(IDS[0], interval=EVERY, now=1000) is Decision.GET
    later = 1000 + 1 / (DETAIL_SHARE * slowed)
    given.listed(vault(), [(each, running_job()) for each in IDS], pages=1, now=later)
    given.budget.tokens = given.budget.burst

    assert isinstance(given.ask(IDS[1], interval=EVERY, now=later - 0.1), Job)
    assert given.ask(IDS[1], interval=EVERY, now=later) is Decision.GET


# ── who waits ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_queue_is_as_long_as_it_takes_to_serve_it() -> None:
    """Whoever finds the budget spent is told how long it takes to serve all who wait, at the present rate."""
    given = planner(rate=2.0, burst=20)
    assert given.queue(1000) == 0.5
    assert asked(given, IDS[:30], 1000)[20:] == [Decision.WAIT] * 10

    assert given.queue(1000) == 5.0
    assert asked(given, IDS[20:22], 1001) == [Decision.GET] * 2
    assert given.queue(1001) == 4.0


def test_each_waits_once() -> None:
    """Who asks again and again while the budget is spent makes the queue no longer."""
    given, ids = planner(rate=1.0, burst=5), [job_id(number, in_vault=number) for number in range(13)]
    asked(given, ids, 1000)
    for _ in range(10):
        asked(given, ids[5:], 1000)

    assert given.queue(1000) == 8.0


@pytest.mark.parametrize("bypass_cache", [False, True])
def test_who_waits_without_a_crowd_is_known(*, bypass_cache: bool) -> None:
    """Where there is no crowd too, whoever is deferred waits in the queue until he has been served."""
    given = planner(rate=1.0, burst=5)
    for each in IDS[:6]:
        decision = given.ask(each, interval=300, now=1000, bypass_cache=bypass_cache)
    assert (decision, given.crowded) == (Decision.WAIT, False)

    assert list(given._waiting) == [IDS[5]]
    assert given.ask(IDS[5], interval=300, now=1001, bypass_cache=bypass_cache) is Decision.GET
    assert not given._waiting


def test_who_does_not_come_back_is_forgotten() -> None:
    """A watch that was deleted while it waited does not make the queue longer for ever."""
    given = ReadPlanner(budget=TokenBucket(rate=1.0, burst=5), heartbeat=HEARTBEAT)
    asked(given, [job_id(number, in_vault=number) for number in range(20)], 1000)
    assert given.queue(1000) == 15.0
    later = 1000 + FORGET_AFTER * EVERY
    asked(given, IDS[:1], later)
    assert given.queue(later) == 15.0

    asked(given, IDS[:1], later + EVERY)
    assert given.queue(later + EVERY) == 1.0


def test_who_comes_after_the_first_list_is_told_from_it() -> None:
    """After a start all ask within an interval, and the first list is made before most: it answers them too."""
    given = planner(rate=2.0, burst=5)  # too little for the detail of those who seem unchanged
    asked(given, IDS[:3], 1000)
    given.listed(IDS[0].vault, [(each, RUNNING) for each in IDS], pages=1, now=1000)

    asked(given, IDS[6:], 1001, interval=10)
    assert given.crowded
    assert isinstance(given.ask(IDS[5], interval=EVERY, now=1002), Job)
