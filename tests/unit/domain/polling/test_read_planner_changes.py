"""How often a crowd's vaults are listed, and what a list has to tell that nobody has asked yet."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.domain.polling.read_planner import YOUTH, Decision
from tests.support.builders import job, running_job
from tests.unit.crowds import EVERY, IDS, RUNNING, asked, crowd, planner, vault

if TYPE_CHECKING:
    from backupjobwatch.domain.jobs.resource_ids import JobId
    from backupjobwatch.domain.polling.read_planner import ReadPlanner

LATENCY = 0.3
"""Seconds from when a list is wanted to when it is there."""


def little() -> ReadPlanner:
    """A rate at which even two make a crowd, but plenty saved: so nobody has to wait for his turn."""
    return planner(rate=0.01, burst=10_000)


def lists(given: ReadPlanner, ticks: list[tuple[float, JobId, float]]) -> list[float]:
    """Have jobs asked for, each (when, which, at what interval); return when a list was made."""
    made: list[float] = []
    for tick, job_id, interval in sorted(ticks, key=lambda tick: tick[0]):
        now = max(tick, *made[-1:], 0)  # one that is on its way is waited for
        decision = given.ask(job_id, interval=interval, now=now)
        if decision is Decision.LIST:
            assert given.crowded
            made.append(now + LATENCY)
            given.listed(vault(), [(each, RUNNING) for each in IDS], pages=1, now=made[-1])
            decision = given.ask(job_id, interval=interval, now=made[-1])
        assert decision is not Decision.LIST
        if decision is Decision.GET:
            given.got(job_id, RUNNING, now=now)
    return made


def ticks(phases: dict[JobId, float], *, interval: float = EVERY, count: int = 40, jitter: float = 0.0) -> list[Any]:
    randomly = random.Random(2)
    return [
        (1000 + phase + number * interval + randomly.uniform(0, jitter), job_id, interval)
        for job_id, phase in phases.items()
        for number in range(count)
    ]


@pytest.mark.parametrize("jitter", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("watches", [2, 3, 60])
def test_a_vault_is_listed_once_an_interval(watches: int, jitter: float) -> None:
    """However many ask, and though their clocks are not exact, one list an interval serves all."""
    phases = {each: EVERY * number / watches for number, each in enumerate(IDS[:watches])}
    made = lists(little(), ticks(phases, jitter=jitter))

    assert 38 <= len(made) <= 42


def test_those_who_ask_often_list_for_those_who_do_not() -> None:
    """Where intervals differ the shortest tells how often the vault is listed."""
    often = ticks({IDS[0]: 0.0, IDS[1]: 4.0}, interval=10, count=120)
    made = lists(little(), often + ticks(dict.fromkeys(IDS[2:20], 1.0), interval=300, count=4))

    assert 115 <= len(made) <= 125


def test_two_who_share_a_job() -> None:
    """Two watches of one job are told of each list once each; they do not have one made for each of them."""
    both = [*ticks({IDS[0]: 0.0, IDS[1]: 15.0}), *ticks({IDS[0]: 10.0})]

    assert len(lists(little(), both)) <= 2 * 40


@pytest.mark.parametrize(
    "change", [{"status": "Cancelling"}, {"operation": "Restore"}, {"endTime": "2018-05-21T08:56:04Z"}]
)
def test_news_is_what_has_changed(change: dict[str, Any]) -> None:
    """A list's news is of the jobs whose entry has changed since the last one."""
    given = crowd()
    entries = [(each, running_job(**change) if each is IDS[7] else RUNNING) for each in IDS]

    assert given.listed(vault(), entries, pages=1, now=1030) == {IDS[7]}
    assert given.listed(vault(), entries, pages=1, now=1060) == set()


def test_news_is_what_has_left() -> None:
    """So is a job that is no longer in the list, or is in it as ended: once, however long it stays away."""
    given = crowd()
    ended = [(IDS[0], job()), *((each, RUNNING) for each in IDS[2:])]

    assert given.listed(vault(), ended, pages=1, now=1030) == {IDS[0], IDS[1]}
    assert given.listed(vault(), ended, pages=1, now=1060) == set()


def test_no_news() -> None:
    """There is none in a first list, nor of a job that nobody asks about, nor where nothing but time has passed."""
    given = planner()
    asked(given, IDS[:30], 970)

    assert given.listed(vault(), [(each, RUNNING) for each in IDS], pages=1, now=1000) == set()
    later = [(each, running_job(duration="00:10:00")) for each in IDS[:30]]
    assert given.listed(vault(), later, pages=1, now=1000 + YOUTH) == set()


def test_who_is_told_the_news_is_answered() -> None:
    """Whoever asks upon news, long before his tick, is not told what he was told before: the job is fetched."""
    given = crowd()
    for each in IDS:
        given.ask(each, interval=EVERY, now=1001)
    news = given.listed(vault(), [(each, RUNNING) for each in IDS[1:]], pages=1, now=1002)

    assert asked(given, sorted(news, key=str), 1002) == [Decision.GET]


def test_a_job_that_lists_leave_out_is_looked_at_once_for_each_list() -> None:
    """That it runs, though it is in no list, is seen by a GET of its own; for the next one there has to be a newer list."""
    given = crowd()
    others = [(each, RUNNING) for each in IDS[1:]]
    given.listed(vault(), others, pages=1, now=1000)
    assert given.ask(IDS[0], interval=EVERY, now=1001) is Decision.GET
    given.got(IDS[0], RUNNING, now=1001)

    assert given.ask(IDS[0], interval=EVERY, now=1001 + EVERY) is Decision.LIST
    given.listed(vault(), others, pages=1, now=1001 + EVERY)
    assert given.ask(IDS[0], interval=EVERY, now=1001 + EVERY) is Decision.GET


def test_an_answer_that_comes_when_nobody_asks_any_more() -> None:
    """Whoever asked may have gone meanwhile: nothing is remembered of him."""
    given = planner()
    given.got(IDS[0], RUNNING, now=1000)

    assert not given._demands
