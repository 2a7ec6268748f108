"""Reads of jobs in a secondary region: their token bucket, their pauses, and no lists."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.domain.jobs.resource_ids import JobId, OperationId
from backupjobwatch.domain.polling.demand import NextPage, Read, RunningJobs, kind_of
from backupjobwatch.domain.polling.demands import SECONDARY_BURST
from backupjobwatch.domain.polling.pauses import JOB, LIST, OPERATION, READS, SECONDARY, Pauses
from backupjobwatch.domain.polling.read_planner import RETRY, ReadPlanner
from backupjobwatch.errors import Throttled
from tests.support.polling import START, demands_of, job_id, running, vault_id
from tests.support.recorded import DOWN, REFUSED, Recorded

if TYPE_CHECKING:
    from backupjobwatch.domain.polling.demands import Demands

IN_REGION = replace(vault_id(), secondary_region="westus")


def secondary(number: int = 0) -> JobId:
    return JobId(vault=IN_REGION, name=job_id(number).name)


def reads(demands: Demands, now: float = START) -> list[Read]:
    planner, result = ReadPlanner(demands=demands), list[Read]()
    while (read := planner.next_read(now)) is not None:
        result.append(read)
    return result


def test_kind() -> None:
    """Only jobs need requests that count as writes."""
    assert kind_of(secondary()) == SECONDARY
    assert kind_of(OperationId(vault=IN_REGION, name="x")) == OPERATION


def test_own_tokens() -> None:
    """Jobs that are read only in a secondary region take no token of other reads, and wait for none."""
    demands = demands_of(*(secondary(number) for number in range(12)), job_id())
    for number in range(12):
        demands.by_query[secondary(number)].is_only_secondary = True
    demands.bucket.tokens = 0

    assert reads(demands) == [secondary(number) for number in range(int(SECONDARY_BURST))]
    assert ReadPlanner(demands=demands).wake_at(START) == START + 0.5
    assert reads(demands, START + 0.5) == [job_id()]
    assert ReadPlanner(demands=demands).wake_at(START + 0.6) == pytest.approx(START + 1)
    assert reads(demands, START + 2) == [secondary(10), secondary(11)]
    assert demands.secondary_bucket.tokens == 0


def test_paused_vault() -> None:
    """While GETs are paused, jobs in a secondary region are read only there, and need no token of other reads."""
    demands = demands_of(secondary())
    demands.bucket.tokens = 0
    assert reads(demands) == []
    demands.pause(JOB, REFUSED, seconds=60, now=START)

    assert reads(demands) == [secondary()]


def test_reads_of_the_vault_share_its_tokens() -> None:
    """A job that is first read in the vault takes its turn. Many of them do not starve other reads at a low rate."""
    demands = demands_of(*(secondary(number) for number in range(30)), job_id())
    demands.bucket.rate, demands.bucket.tokens = 0.5, 0
    planner, result = ReadPlanner(demands=demands), list[Read]()
    for second in range(120):
        demands.due[JOB].setdefault(job_id(), START + second)
        if (read := planner.next_read(START + second)) is not None and not isinstance(read, RunningJobs | NextPage):
            result.append(read)
            demands.by_query[read].is_reading = False
            demands.drop(read)
            demands.due[kind_of(read)].setdefault(read, START + second)

    assert len(result) == pytest.approx(60, abs=2)
    assert {job_id(), secondary(0), secondary(29)} <= set(result)


def test_no_token() -> None:
    """Other reads do not wait for the tokens of secondary regions."""
    demands = demands_of(secondary(), job_id())
    demands.secondary_bucket.tokens = 0

    assert reads(demands) == [job_id()]


def test_in_flight() -> None:
    """A job is not read again while its request is in flight."""
    demands = demands_of(secondary())

    assert (reads(demands), reads(demands)) == ([secondary()], [])


def test_pause() -> None:
    """A pause of these reads pauses no others, and does not change their rate."""
    demands = demands_of(secondary(), job_id())
    demands.bucket._speed = 2.0
    demands.pause(SECONDARY, REFUSED, seconds=60, now=START)

    assert reads(demands) == [job_id()]
    assert demands.bucket._speed == 2.0
    assert ReadPlanner(demands=demands).wake_at(START) == START + RETRY
    assert reads(demands, START + 60) == [secondary()]


def test_pauses_of_reads_and_writes() -> None:
    """Azure limits reads and writes separately, even for a whole subscription."""
    pauses = Pauses()
    pauses.refuse(SECONDARY, until=160, now=100, everything=True)
    pauses.refuse(JOB, until=130, now=100)

    assert [pauses.left(kind, 100) for kind in (SECONDARY, JOB, LIST, OPERATION)] == [60, 30, 0, 0]
    assert (pauses.longest(100), pauses.longest(100, READS)) == (60, 30)
    pauses.refuse(LIST, until=140, now=100, everything=True)
    assert [pauses.left(kind, 100) for kind in (SECONDARY, JOB, LIST, OPERATION)] == [60, 40, 40, 40]


def test_no_lists() -> None:
    """Azure does not list the jobs of a secondary region, so no number of jobs leads to a list."""
    ids = [secondary(number) for number in range(200)]
    demands = demands_of(*ids)

    assert not demands.prefers_list(IN_REGION, START)
    demands.pause(JOB, REFUSED, seconds=60, now=START)
    assert not demands.prefers_list(IN_REGION, START)
    assert set(reads(demands)) <= set(ids)


def test_explicit_first() -> None:
    """Explicit requests come before other jobs in secondary regions."""
    demands = demands_of(*(secondary(number) for number in range(20)))
    demands.request(secondary(15), "team-a", fresh_after=START)

    assert reads(demands)[:2] == [secondary(15), secondary(0)]
    assert demands.explicit == {}


def test_explicit_during_a_request() -> None:
    """A request in flight is too early for a later explicit one, so the job is read again."""
    given = Recorded(secondary())
    assert reads(given.demands) == [secondary()]
    given.demands.request(secondary(), "team-a", fresh_after=START + 1)
    given.record(secondary(), running(secondary()), sent=START)

    assert given.demands.by_query[secondary()].is_explicit
    assert reads(given.demands, START + 2) == [secondary()]
    given.record(secondary(), running(secondary()), sent=START + 2)
    assert not given.demands.by_query[secondary()].is_explicit
    assert not given.demands.is_waiting


def test_refused() -> None:
    """A job that Azure refuses to read waits for the end of the pause."""
    given = Recorded(secondary())
    assert reads(given.demands) == [secondary()]
    given.demands.pause(SECONDARY, Throttled("429"), seconds=60, now=START + 1)
    given.record(secondary(), REFUSED, sent=START)

    assert reads(given.demands, START + 59) == []
    assert reads(given.demands, START + 61) == [secondary()]


def test_error_restores_the_order() -> None:
    """After an error, the vault's region is read first again."""
    given = Recorded(secondary())
    given.demands.by_query[secondary()].is_only_secondary = True
    given.record(secondary(), running(secondary()), sent=START)
    assert given.demands.by_query[secondary()].is_only_secondary
    given.record(secondary(), DOWN, sent=START + 30)
    assert not given.demands.by_query[secondary()].is_only_secondary


def test_release() -> None:
    """A job that no watch requires is not read."""
    demands = demands_of(secondary())
    demands.request(secondary(), "team-a", fresh_after=START)
    demands.remove(secondary(), "uid-0", START)

    assert not demands.is_waiting
    assert reads(demands) == []
