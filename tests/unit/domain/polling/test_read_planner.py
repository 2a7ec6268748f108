"""Which reads are made for many watches: GETs while they fit, else lists and what they tell of."""

from __future__ import annotations

from typing import Any

import pytest

from backupjobwatch.domain.jobs.job import Job
from backupjobwatch.domain.polling.read_planner import CROWDED, LAST, ROOMY, Decision
from tests.support.builders import job, running_job
from tests.unit.crowds import EVERY, IDS, LISTED, RUNNING, asked, crowd, job_id, planner, vault


@pytest.mark.parametrize("count", [1, 10, 47])
def test_each_has_a_get(count: int) -> None:
    """While the budget covers it each watch has a GET of its own at each tick, with all detail."""
    given = planner()
    for tick in range(20):
        for number, each in enumerate(IDS[:count]):
            now = 1000 + tick * EVERY + number * EVERY / count
            assert given.ask(each, interval=EVERY, now=now) is Decision.GET
    assert not given.crowded


def test_the_bucket_says_no() -> None:
    """Where the bucket is empty the answer is "not now", at once."""
    given = planner()

    assert asked(given, IDS[:25], 1000) == [Decision.GET] * 20 + [Decision.WAIT] * 5


def test_crowded() -> None:
    """Where GETs would take more than the budget's share, the vault is listed, once for all."""
    given = crowd()
    decisions = asked(given, IDS, 1000 + EVERY)

    assert decisions[0] is Decision.LIST
    given.listed(vault(), [(each, LISTED) for each in IDS], pages=1, now=1000 + EVERY)
    answers = asked(given, IDS, 1001 + EVERY)
    assert all(isinstance(each, Job) and each.partial for each in answers)


def test_a_crowd_of_the_moment() -> None:
    """Where more wait than the bucket holds, a list tells of them; those few that are left soon have a GET each."""
    given, interval = planner(rate=4.0), 300.0
    asked(given, IDS, 1000, interval)
    assert not given.crowded
    assert asked(given, IDS[20:22], 1001, interval) == [Decision.LIST, Decision.WAIT]
    given.listed(vault(), [(each, LISTED) for each in IDS], pages=1, now=1001)

    left = IDS[20:]
    for now, most in ((1002, 21), (1007, 1), (1012, 0)):
        answers = dict(zip(left, asked(given, left, now, interval), strict=True))
        left = [each for each, answer in answers.items() if answer is Decision.WAIT]
        assert len(left) <= most
    assert not given.is_crowd(1)


@pytest.mark.parametrize("pause", [10, 400, 86400])
def test_a_crowd_that_comes_later(pause: int) -> None:
    """It is told from a list of its own: one that was made before it came need not say anything of it."""
    given, interval = planner(rate=4.0), 300.0
    asked(given, IDS[:30], 1000, interval)
    given.listed(vault(), [(each, LISTED) for each in IDS[:30]], pages=1, now=1001)
    now, crowd_of_today = 1001 + pause, [job_id(number) for number in range(100, 160)]
    given.budget.tokens = 0
    asked(given, crowd_of_today, now, interval)

    assert given.ask(crowd_of_today[0], interval=interval, now=now + 1) is Decision.LIST
    given.listed(vault(), [(each, LISTED) for each in crowd_of_today], pages=1, now=now + 1)
    answers = asked(given, crowd_of_today, now + 1.5, interval)
    assert sum(isinstance(answer, Job) for answer in answers) > len(crowd_of_today) / 2


def test_hysteresis() -> None:
    """Between the two marks it stays as it is: GETs and lists do not alternate as watches come and go."""
    given = planner()
    low, high = int(ROOMY * 2 * EVERY), int(CROWDED * 2 * EVERY)
    assert low + 5 < high

    asked(given, IDS[: high - 1], 1000)
    assert not given.crowded
    asked(given, IDS[: high + 1], 1001)
    assert given.crowded
    for now in range(1010, 2000, 10):
        asked(given, IDS[: low + 2], now)
        assert given.crowded
    for now in range(2000, 2200, 10):
        asked(given, IDS[: low - 1], now)
    assert not given.crowded


def test_intervals_count() -> None:
    """Watches that are polled rarely crowd less; one whose interval is edited counts by the new one."""
    given = planner()
    asked(given, IDS, 1000, interval=300)
    assert not given.crowded
    asked(given, IDS, 1000, interval=10)
    assert given.crowded
    asked(given, IDS, 1000, interval=300)
    assert not given.crowded


def test_one_in_a_vault() -> None:
    """A vault with one watch is not listed: the list would tell no more than a GET, for as much."""
    given = crowd()

    assert given.ask(job_id(1, in_vault=1), interval=EVERY, now=1001) is Decision.GET
    assert given.ask(job_id(2, in_vault=1), interval=EVERY, now=1001) is Decision.LIST


def test_one_in_a_vault_leaves_a_reserve() -> None:
    """It does not take the last tokens, which are for jobs that have ended."""
    given = crowd()
    given.budget.tokens = 2.9

    assert given.ask(job_id(1, in_vault=1), interval=EVERY, now=1000) is Decision.WAIT


def test_ended_first() -> None:
    """A job that is not among the running ones any more is fetched, with the last token but one if need be."""
    given = crowd()
    given.listed(vault(), [(each, RUNNING) for each in IDS[1:]], pages=1, now=1000)
    given.budget.tokens = 1 + LAST

    assert isinstance(given.ask(IDS[1], interval=EVERY, now=1000), Job)
    assert given.ask(IDS[0], interval=EVERY, now=1000) is Decision.GET
    assert given.ask(IDS[0], interval=EVERY, now=1000) is Decision.WAIT


def test_listed_as_ended() -> None:
    """Backup vaults list ended jobs too: such an entry is no answer, since it lacks the errors; the job is fetched."""
    given = crowd()
    given.listed(vault(), [(each, job()) for each in IDS], pages=1, now=1000)

    assert given.ask(IDS[0], interval=EVERY, now=1000) is Decision.GET


def test_unchanged() -> None:
    """A job whose entry says what its detail said is answered from the list: nothing is read."""
    given = crowd()
    tokens = given.budget.tokens
    (answer,) = asked(given, IDS[:1], 1000)

    assert answer == LISTED
    assert given.budget.tokens == tokens


@pytest.mark.parametrize(
    "change", [{"status": "Cancelling"}, {"operation": "Restore"}, {"endTime": "2018-05-21T08:56:04Z"}]
)
def test_changed(change: dict[str, Any]) -> None:
    """A job whose entry tells of a change is fetched."""
    given = crowd()
    given.listed(vault(), [(IDS[0], running_job(**change))], pages=1, now=1000)

    assert given.ask(IDS[0], interval=EVERY, now=1000) is Decision.GET


def test_a_new_job_is_fetched() -> None:
    """A running job whose detail nobody has fetched yet is fetched."""
    given = crowd()
    del given._details[IDS[0]]

    assert given.ask(IDS[0], interval=EVERY, now=1000) is Decision.GET


def test_detail_at_the_heartbeat() -> None:
    """Tasks and progress of an unchanged job are refreshed at the heartbeat, and not before."""
    given = crowd()
    entries = [(each, RUNNING) for each in IDS]
    for now in range(1010, 1300, 10):
        given.listed(vault(), entries, pages=1, now=now)
        assert all(isinstance(answer, Job) for answer in asked(given, IDS, now))
    given.listed(vault(), entries, pages=1, now=1300)

    assert given.ask(IDS[0], interval=EVERY, now=1300) is Decision.GET


@pytest.mark.parametrize("change", [{}, {"status": "Cancelling"}])
def test_detail_can_wait(change: dict[str, Any]) -> None:
    """Where tokens are few the entry will do in place of the detail: what matters is in it."""
    given = crowd()
    given._details.clear()
    given.listed(vault(), [(IDS[0], running_job(**change))], pages=1, now=1000)
    given.budget.tokens = 4.9
    answer = given.ask(IDS[0], interval=EVERY, now=1000)

    assert isinstance(answer, Job)
    assert answer.status == change.get("status", "InProgress")


def test_an_old_list() -> None:
    """To one who was told as much before, a list serves for half an interval more; then he has another made."""
    given = crowd()

    assert isinstance(given.ask(IDS[0], interval=EVERY, now=1000 + EVERY / 2 - 1), Job)
    assert given.ask(IDS[0], interval=EVERY, now=1000 + EVERY / 2) is Decision.LIST


def test_a_list_leaves_a_reserve() -> None:
    """A list is not wanted so badly that ended jobs wait."""
    given = crowd()
    given.budget.charge(1000 + EVERY / 2, 0)
    given.budget.tokens = 2.9

    assert given.ask(IDS[0], interval=EVERY, now=1000 + EVERY / 2) is Decision.WAIT


def test_pages_are_paid() -> None:
    """Each page of a list is a read."""
    given = crowd()
    tokens = given.budget.tokens
    given.listed(vault(), [], pages=7, now=1000)

    assert given.budget.tokens == tokens - 6


def test_a_stop() -> None:
    """While Azure wants no requests, unchanged jobs are answered from a young list, and nothing is read."""
    given = crowd()
    given.budget.stop(1000, 600)

    assert isinstance(given.ask(IDS[0], interval=EVERY, now=1001), Job)
    assert given.ask(IDS[0], interval=EVERY, now=1001 + EVERY) is Decision.WAIT


def test_a_set_of_ended_jobs() -> None:
    """A watch of fifty jobs needs all of them at one time; once they have ended it is told so, in some ticks at most."""
    given = planner()
    for tick in range(40):
        answers: list[Decision | Job] = []
        for each in IDS[:50]:
            answer = given.ask(each, interval=EVERY, now=1000 + tick * EVERY, batch_size=50)
            if answer is Decision.LIST:
                given.listed(vault(), [], pages=1, now=1000 + tick * EVERY)
                answer = given.ask(each, interval=EVERY, now=1000 + tick * EVERY, batch_size=50)
            if answer is Decision.GET:
                given.got(each, job(), now=1000 + tick * EVERY)
            answers.append(answer)
        if Decision.WAIT not in answers:
            return
    pytest.fail("some of the ended jobs had to wait at every tick, the same ones each time")
