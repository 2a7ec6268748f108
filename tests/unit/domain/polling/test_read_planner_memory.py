"""What reads for many watches keep in mind: of whoever asks, as long as they ask."""

from __future__ import annotations

import pytest

from backupjobwatch.domain.jobs.resource_ids import JobId
from backupjobwatch.domain.polling.read_planner import FORGET_AFTER, IDLE, YOUTH, Decision
from tests.support.builders import job
from tests.unit.crowds import EVERY, IDS, MANY, RUNNING, asked, crowd, job_id, planner, vault


def test_only_what_is_asked_about_is_kept() -> None:
    """A vault may have thousands of jobs that nobody watches: once all had time to ask, their entries are not kept."""
    given, jobs = crowd(), [(job_id(number), RUNNING) for number in range(5000)]
    given.listed(vault(), jobs, pages=1, now=1000)
    assert len(given._listings[vault()].entries) == 5000

    given.listed(vault(), jobs, pages=1, now=1000 + YOUTH)
    assert len(given._listings[vault()].entries) == MANY


def test_forgetting() -> None:
    """A job that nobody has asked about for some intervals is forgotten, with its detail, its list and its part in the crowd."""
    given = crowd()
    later = 1000 + (FORGET_AFTER + 2) * EVERY
    given.ask(job_id(1, in_vault=1), interval=EVERY, now=later)

    assert list(given._demands) == [job_id(1, in_vault=1)]
    assert (dict(given._details), dict(given._listings)) == ({}, {})
    assert not given.crowded
    assert given._due_rate == pytest.approx(1 / EVERY)


def test_memory() -> None:
    """Jobs that come and go for days leave nothing behind."""
    given = planner()
    for number in range(5000):
        each = job_id(number, in_vault=number % 7)
        now = 1000 + 10.0 * number
        if given.ask(each, interval=EVERY, now=now) is Decision.GET:
            given.got(each, job(), now=now)
        given.listed(each.vault, [(each, RUNNING)], pages=1, now=now)

    assert max(len(given._demands), len(given._details), len(given._listings), len(given._watched_in)) <= 20


def test_letter_case() -> None:
    """Two watches that write one job in two letter cases are one demand."""
    given = planner()
    asked(given, [IDS[0], JobId(vault=vault(), name=IDS[0].name.upper())], 1000)

    assert len(given._demands) == 1


def test_idle() -> None:
    """What is known for those who asked may be forgotten when nobody has asked for an hour."""
    given = planner()
    given.ask(IDS[0], interval=EVERY, now=1000)

    assert not given.is_idle(1000 + IDLE)
    assert given.is_idle(1001 + IDLE)
