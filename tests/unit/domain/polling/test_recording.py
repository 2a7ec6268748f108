"""What a result changes: observations, and the queries to read next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backupjobwatch import errors
from backupjobwatch.domain.polling.observations import NEVER
from backupjobwatch.domain.polling.pauses import JOB, OPERATION
from tests.support.polling import START, entry, operation_id, running
from tests.support.recorded import DOWN, ID, REFUSED, RUNNING, VAULT, WINDOW, Recorded, paused

if TYPE_CHECKING:
    from backupjobwatch.domain.polling.queries import Query

# ── results of one query ─────────────────────────────────────────────────────────────────────────────────────────────


def test_answer() -> None:
    """A result becomes the observation of its query, and nothing is left to read."""
    given = Recorded(ID)
    given.demands.by_query[ID].is_reading = True
    (update,) = given.record(ID, running(ID), sent=START, now=START + 2)

    demand = given.demands.by_query[ID]
    assert (update.demand, update.is_changed, update.lag) == (demand, True, -28)
    assert (demand.job, demand.sent, demand.is_reading) == (running(ID), START, False)
    assert not given.demands.is_waiting


def test_same_answer() -> None:
    """The same result again is not a change."""
    given = Recorded(ID)
    given.record(ID, running(ID))
    (update,) = given.record(ID, running(ID), sent=START + 40)

    assert (update.is_changed, update.lag) == (False, 11)


def test_answer_to_a_released_query() -> None:
    """A result of a query that was released meanwhile is dropped."""
    assert Recorded().record(ID, running(ID)) == []


def test_answer_that_a_list_has_overtaken() -> None:
    """A result does not replace that of a later request."""
    given = Recorded(ID)
    given.window(entry(ID, "Failed"), sent=START + 1)

    assert given.record(ID, running(ID), sent=START, now=START + 3) == []
    assert given.demands.by_query[ID].sent == START + 1


def test_answer_after_a_change() -> None:
    """A job stays marked as changed if its GET was sent before the change was seen."""
    given = Recorded(ID)
    given.demands.note_change(ID, START + 5)
    given.record(ID, running(ID), sent=START)
    assert list(given.demands.changed) == [ID]

    given.record(ID, running(ID), sent=START + 5)
    assert given.demands.changed == {}


def test_fresh_answer() -> None:
    """An explicit request ends with a result that is fresh enough."""
    given = Recorded(ID)
    given.demands.request(ID, "a", fresh_after=START + 5)
    given.record(ID, running(ID), sent=START)
    assert given.demands.by_query[ID].is_explicit

    given.record(ID, DOWN, sent=START + 5)
    assert not given.demands.by_query[ID].is_explicit
    assert given.demands.explicit == {}


def test_backoff() -> None:
    """After the first consecutive failures, ticks are skipped. The first result ends the backoff."""
    given = Recorded(operation_id())
    demand = given.demands.by_query[operation_id()]
    for number in range(3):
        given.record(operation_id(), DOWN, sent=START + number)
        assert demand.not_before == NEVER
    given.record(operation_id(), DOWN, sent=START + 3, now=START + 4)
    assert START + 64 <= demand.not_before <= START + 70

    given.record(operation_id(), errors.JobNotFound("404"), sent=START + 5)
    assert demand.not_before == NEVER


# ── 429 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_refused_operation() -> None:
    """A refused query is due again at once, so that it is read when the pause ends."""
    given = Recorded(operation_id())
    paused(given, OPERATION)
    given.record(operation_id(), REFUSED)

    assert given.demands.due[OPERATION] == {operation_id(): START + 1}


@pytest.mark.parametrize("are_lists_held", [False, True])
def test_refused_job(are_lists_held: bool) -> None:  # noqa: FBT001
    """A job whose GET was refused waits for a list, or for the end of the pause."""
    given = Recorded(ID)
    if are_lists_held:
        given.demands.vaults[VAULT].held_until = START + 900
    paused(given, JOB)
    given.record(ID, REFUSED)

    vault = given.demands.vaults[VAULT]
    assert (list(given.demands.due[JOB]), list(vault.awaiting)) == (([ID], []) if are_lists_held else ([], [ID]))


def test_refused_without_a_pause() -> None:
    """A query that was refused without a Retry-After is read at its next tick."""
    given = Recorded(ID)
    given.record(ID, REFUSED)

    assert not given.demands.is_waiting


def test_refused_explicit_request() -> None:
    """An explicit request continues after a 429, because that is not a result."""
    given = Recorded(ID)
    given.demands.request(ID, "a", fresh_after=START)
    paused(given, JOB)
    given.record(ID, REFUSED)

    assert list(given.demands.explicit["a"]) == [ID]


@pytest.mark.parametrize("queue", ["changed", "missing_details"])
def test_refused_job_that_has_changed(queue: str) -> None:
    """A changed job stays marked until it has been read."""
    given = Recorded(ID)
    given.demands.drop(ID)
    if queue == "changed":
        given.demands.note_change(ID, START)
    else:
        given.demands.missing_details[ID] = None
    paused(given, JOB)
    given.record(ID, REFUSED)

    assert list(getattr(given.demands, queue)) == [ID]
    assert given.demands.vaults[VAULT].awaiting == {}


# ── abandoned requests ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("query", [ID, operation_id(), WINDOW], ids=lambda each: type(each).__name__)
def test_abandoned_request(query: Query) -> None:
    """A query whose request was abandoned is read again."""
    given = Recorded(query)
    demand, vault = given.demands.by_query[query], given.demands.vaults[VAULT]
    demand.is_reading, vault.is_reading = True, query == WINDOW
    given.recorder.abort(query, now=START + 1)

    assert not demand.is_reading
    assert not vault.is_reading
    assert given.demands.is_waiting


def test_abandoned_list() -> None:
    """Jobs that waited for an abandoned list wait for the next one."""
    given = Recorded(ID)
    vault = given.demands.vaults[VAULT]
    vault.is_reading = True
    given.wait_for_list(ID)
    given.recorder.abort(RUNNING, now=START + 1)

    assert (vault.is_reading, given.demands.lists) == (False, {VAULT: START + 1})


def test_abandoned_requests_of_released_queries() -> None:
    """Abandoned requests leave no state if no watch requires them."""
    given = Recorded()
    for read in (ID, WINDOW, RUNNING):
        given.recorder.abort(read, now=START)

    assert not given.demands.is_waiting
