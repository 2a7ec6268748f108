"""Which demands exist, and which of them a tick marks as due."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backupjobwatch.domain.polling.observations import observe
from backupjobwatch.domain.polling.pauses import JOB, LIST, OPERATION, SECONDARY
from backupjobwatch.domain.polling.queries import JobWindow
from tests.support.polling import START, demands_of, ended, entry, job_id, operation_id, vault_id, wall

if TYPE_CHECKING:
    from backupjobwatch.domain.polling.demands import Demands

ID, OTHER = job_id(0), job_id(1)
VAULT = vault_id()


def answer(demands: Demands, query: object, result: object, sent: float) -> None:
    """Set the observation of *query* without other effects."""
    demands.by_query[query].observation = observe(None, result, sent=sent, time=wall(sent))  # type: ignore[index, arg-type]


def crowd(count: int = 60, *, interval: float = 30, burst: float = 20) -> Demands:
    """Return the demand of many jobs in one vault. GETs would exceed the rate."""
    return demands_of(*(job_id(number) for number in range(count)), interval=interval, burst=burst)


def test_required() -> None:
    """A required query is due at once."""
    operation, window = operation_id(), JobWindow(VAULT, None)
    demands = demands_of(ID, operation, window)

    assert demands.due == {JOB: {ID: START}, OPERATION: {operation: START}, LIST: {window: START}, SECONDARY: {}}
    assert demands.vaults[VAULT].jobs == {ID: demands.by_query[ID]}
    assert demands.is_waiting
    assert demands.used_at == START


def test_shared() -> None:
    """Watches share a query. It is polled at their shortest interval until the last of them is gone."""
    demands = demands_of(ID, interval=30)
    demands.add(ID, "fast", interval=10, now=START + 1)
    assert (tuple(demands.by_query[ID].uids), demands.by_query[ID].interval) == (("uid-0", "fast"), 10)

    demands.remove(ID, "fast", START + 2)
    assert (tuple(demands.by_query[ID].uids), demands.by_query[ID].interval) == (("uid-0",), 30)
    demands.remove(ID, "unknown", START + 3)
    demands.remove(ID, "uid-0", START + 4)
    assert demands.by_query == {}
    assert demands.used_at == START + 4


def test_another_interval() -> None:
    """Editing a watch changes the interval of its queries."""
    demands = demands_of(ID, interval=30)
    for interval in (300.0, 10.0):
        demands.add(ID, "uid-0", interval=interval, now=START)
        assert (tuple(demands.by_query[ID].uids), demands.by_query[ID].interval) == (("uid-0",), interval)
        assert demands._load == pytest.approx(1 / interval)


@pytest.mark.parametrize("query", [ID, operation_id(), JobWindow(VAULT, None)], ids=lambda each: type(each).__name__)
def test_released(query: object) -> None:
    """A query that no watch requires leaves no state."""
    demands = demands_of(query)  # type: ignore[arg-type]
    demands.request(query, "a", fresh_after=START + 1)  # type: ignore[arg-type]
    if query == ID:
        demands.note_change(ID, START)
        demands.old_details[ID] = None
        demands.vaults[VAULT].window_tried[ID] = START
        demands.vaults[VAULT].entries[OTHER.key] = entry(OTHER)
    demands.remove(query, "uid-0", START + 1)  # type: ignore[arg-type]

    assert not demands.is_waiting
    assert not demands.vaults
    assert demands._load == pytest.approx(0)


def test_entries_are_kept_for_other_jobs() -> None:
    """The entries of a list are kept while a job of the vault is required."""
    demands = demands_of(ID, OTHER)
    demands.vaults[VAULT].entries[ID.key] = entry(ID)
    demands.remove(ID, "uid-0", START)

    assert demands.vaults[VAULT].entries


def test_ticks_of_queries_that_need_no_read() -> None:
    """A query is not due if its job is final, it is in flight or it is backing off."""
    demands = demands_of(ID, OTHER, operation_id())
    answer(demands, ID, ended(ID), START - 900)
    demands.by_query[OTHER].is_reading = True
    demands.by_query[operation_id()].not_before = START + 200
    for query in demands.by_query:
        demands.drop(query)
        assert not demands.mark_due(query, START + 100)

    assert not demands.is_waiting
    demands.mark_due(operation_id(), START + 200)
    assert demands.is_waiting


def test_tick_of_a_job_whose_detail_is_missing() -> None:
    """A job that a list showed as completed is read when there is time for details."""
    demands = demands_of(ID)
    answer(demands, ID, entry(ID, "Completed"), START)
    demands.drop(ID)

    assert not demands.mark_due(ID, START + 60)
    assert (demands.due[JOB], list(demands.missing_details)) == ({}, [ID])


def test_tick_of_a_job_that_waits_already() -> None:
    """A job that waits for its GET or its list is overdue."""
    demands = demands_of(ID, OTHER)
    demands.note_change(ID, START)
    demands.drop(OTHER)
    demands.await_list(OTHER, START)

    assert demands.mark_due(ID, START + 30)
    assert demands.mark_due(OTHER, START + 30)
    assert demands.due[JOB] == {}
