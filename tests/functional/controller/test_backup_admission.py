"""A request is admitted only when it can be sent at once, and counts towards the limit of its namespace."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from backupjobwatch.arm.backup_rates import WRITE_BURST, BackupRates
from backupjobwatch.arm.slots import Slots
from backupjobwatch.controller.backup_admission import BUSY, DECISIONS, HOLD, WORKERS, BackupAdmission
from backupjobwatch.domain.api.backup_record import RecordState
from backupjobwatch.domain.api.target import Identity
from backupjobwatch.domain.jobs.backup_requests import BackupRequest
from backupjobwatch.domain.polling.backup_limit import BackupLimit
from backupjobwatch.errors import BackupLimitReached, PollDeferred, Throttled
from backupjobwatch.settings import Settings
from tests.functional.polling import A, B, pass_time, turns
from tests.support.on_demand import REQUEST_ID, record, requested_watch, vm

if TYPE_CHECKING:
    from backupjobwatch.domain.api.backup_record import BackupRecord
    from backupjobwatch.domain.polling.backup_plan import Admission
    from tests.support.movable_loop import MovableLoop

REQUEST = BackupRequest(item=vm(), body={})
OPERATORS = Identity()


@pytest.fixture(autouse=True)
async def _still_clock() -> None:
    """Stop the clock between moves, so that a busy machine does not use up the waits."""
    loop: MovableLoop = asyncio.get_running_loop()  # type: ignore[assignment]
    loop.freeze()


class Requests:
    """Watches of some namespaces, which request backups with the operator's identity."""

    def __init__(self, limit: int = 100, slots: int = 100) -> None:
        self.rates, self.slots = BackupRates(Settings(operator_identity_namespaces=("*",))), Slots(slots)
        self.admission = BackupAdmission(
            BackupLimit(limit), self.rates, allows=lambda _: True, slots_of=lambda *_: self.slots
        )

    def admit(self, name: str, namespace: str = A, refused: BackupRecord | None = None) -> Admission:
        watch = replace(requested_watch(), uid=name, namespace=namespace)
        return self.admission.admit(watch, OPERATORS, REQUEST, refused)

    def begin(self, name: str, namespace: str = A) -> BackupRecord:
        """Record an admitted request."""
        known = record(request_id=self.admit(name, namespace).request_id)
        self.admission.begin(replace(requested_watch(known), uid=name, namespace=namespace), known)
        return known

    def end(self, name: str, known: BackupRecord, *, is_refused: bool = False) -> None:
        self.admission.end(replace(requested_watch(known), uid=name, namespace=A), known, is_refused=is_refused)


async def later(seconds: float) -> None:
    """Let a bit more time than *seconds* pass, and the timers that are due fire."""
    pass_time(seconds + 0.01)
    await turns()


async def test_rate() -> None:
    """After a burst, requests wait for a token in their order, without a record."""
    requests = Requests()
    for number in range(int(WRITE_BURST)):
        requests.end(f"{number}", requests.begin(f"{number}"))
    waits = [requests.admit(name) for name in ("first", "second")]
    assert [round(each.wait.total_seconds()) for each in waits] == [1, 2]
    assert {(each.request_id, each.error) for each in waits} == {(None, None)}
    await later(BUSY)
    admitted = requests.admit("first")
    assert admitted.request_id is not None
    assert requests.admit("first") == admitted
    assert requests.admit("second").request_id is None


async def test_workers() -> None:
    """No request is admitted while all workers are busy, or while the watch has a request in flight."""
    requests = Requests()
    known = [requests.begin(f"{number}") for number in range(WORKERS)]
    assert requests.admit("other").request_id is None
    requests.end("0", known[0])
    await later(BUSY)
    assert requests.admit("1").request_id is None
    assert requests.admit("other").request_id is not None
    assert requests.admit("another").request_id is None


async def test_many_wait_for_a_worker() -> None:
    """However many watches wait for a worker, the operator decides about only some of them in each second."""
    requests = Requests(limit=10)
    for number in range(WORKERS):
        requests.begin(f"busy-{number}")
    waits = dict.fromkeys((f"{number}" for number in range(120)), 0.0)
    for _ in range(130):
        await later(1)
        for name, wait in waits.items():
            waits[name] = wait - 1 if wait > 1 else requests.admit(name, f"team-{name[:-1]}").wait.total_seconds()
    assert len(requests.admission._reservations) == 120
    assert sum(1 / max(wait, 1) for wait in waits.values()) <= 2 * DECISIONS


async def test_limit() -> None:
    """A namespace that has reached its limit waits, before anything is recorded. A refused request does not count."""
    requests = Requests(limit=1)
    assert requests.admit("first").request_id is not None
    denied = requests.admit("second")
    assert isinstance(denied.error, BackupLimitReached)
    assert denied.wait > timedelta(minutes=59)
    assert requests.admit("third", B).request_id is not None
    requests.end("first", requests.begin("first"), is_refused=True)
    assert requests.admit("second").request_id is not None


async def test_many_watches_of_a_namespace() -> None:
    """Watches beyond the limit of their namespace take no tokens, so other namespaces do not wait for them."""
    requests = Requests(limit=10)
    denied = [requests.admit(f"{number}").error for number in range(300)]
    assert sum(error is not None for error in denied) == 290
    assert requests.admit("other", B).wait < timedelta(seconds=10)


async def test_watches_that_are_deleted_while_they_wait() -> None:
    """A watch that is deleted before its request is recorded gives its token back, so other namespaces do not wait."""
    requests = Requests(limit=10)
    for number in range(300):
        requests.admit(f"{number}")
        requests.admission.remove(f"{number}")
    assert requests.admit("other", B).request_id is not None


async def test_another_revision() -> None:
    """If the revision is edited before another attempt is recorded, the next request has an ID and a count of its own."""
    requests = Requests(limit=2)
    assert requests.admit("first", refused=record(RecordState.REFUSED)).request_id == REQUEST_ID
    assert requests.admit("first").request_id not in (None, REQUEST_ID)
    assert requests.admit("second").error is None


async def test_a_late_record() -> None:
    """If a write took effect after its reservation has expired, only the recorded request counts."""
    requests = Requests(limit=2)
    late = record(request_id=requests.admit("first").request_id, requested_at=datetime.now(UTC))
    await later(HOLD)
    assert requests.admit("first").request_id not in (None, late.request_id)
    requests.admission.begin(replace(requested_watch(late), uid="first", namespace=A), late)
    requests.end("first", late)
    assert requests.admit("second").request_id is not None
    assert isinstance(requests.admit("third").error, BackupLimitReached)


async def test_requests_of_an_earlier_process() -> None:
    """The records of an earlier process count towards the limit."""
    requests = Requests(limit=1)
    requests.admission.note(replace(requested_watch(), namespace=A), record(requested_at=datetime.now(UTC)))
    assert isinstance(requests.admit("first").error, BackupLimitReached)


async def test_not_recorded() -> None:
    """A request that is admitted but not recorded loses its token, and no longer counts."""
    requests = Requests(limit=WORKERS)
    for number in range(WORKERS):
        requests.admit(f"{number}")
    await later(HOLD)
    admitted = [requests.admit(f"other-{number}").request_id for number in range(WORKERS)]
    assert None not in admitted


async def test_pause() -> None:
    """While Azure throttles the requests of an identity, each of its watches reports the text of the 429."""
    requests = Requests()
    rate = requests.rates.rate_of(A, OPERATORS, REQUEST)
    rate.pause(Throttled("Azure answered 429.", retry_after=timedelta(minutes=1)))
    denied = requests.admit("first", B)
    assert isinstance(denied.error, PollDeferred)
    assert denied.error.stale
    assert "Azure answered 429." in str(denied.error)
    other = Identity(service_account_name="other")
    assert requests.rates.rate_of(A, other, REQUEST).pause_error() is None
    await later(60)
    assert requests.admit("first", B).request_id is not None


async def test_another_attempt() -> None:
    """Another attempt has the ID of the refused one."""
    assert Requests().admit("first", refused=record(RecordState.REFUSED)).request_id == REQUEST_ID


async def test_connections() -> None:
    """A request counts towards the connections of its principal. It gets the next free one, and leaves one for reads."""
    requests = Requests(slots=2)
    for _ in range(2):
        requests.slots.take()
    assert requests.admit("first").request_id is None
    requests.slots.put_back()
    assert not requests.slots.is_free
    await later(BUSY)
    known = requests.begin("first")
    requests.slots.put_back()
    assert requests.slots.is_free
    assert requests.admit("second").request_id is None
    requests.slots.take()
    assert not requests.slots.is_free
    requests.end("first", known)
    await later(BUSY)
    assert requests.admit("second").request_id is not None
    assert not requests.slots.is_free
    await later(HOLD)
    assert requests.admit("third").request_id is not None


async def test_many_wait_for_a_connection() -> None:
    """However many backups wait for a connection, one connection is left for reads."""
    requests = Requests(slots=2)
    for _ in range(2):
        requests.slots.take()
    for number in range(int(WRITE_BURST)):
        assert requests.admit(f"{number}").request_id is None
    for _ in range(2):
        requests.slots.put_back()
    await later(BUSY)
    requests.begin("0")
    assert requests.slots.is_free


async def test_a_single_connection() -> None:
    """With one connection, reads get it after each backup, even if other backups wait for it."""
    requests = Requests(slots=1)
    requests.slots.take()
    waits = [requests.admit(name) for name in ("first", "second")]
    assert {each.request_id for each in waits} == {None}
    requests.slots.put_back()
    await later(BUSY)
    known = requests.begin("first")
    assert not requests.slots.is_free
    requests.end("first", known)
    assert requests.slots.is_free


async def test_a_connection_that_is_not_needed() -> None:
    """If a watch that waits for a connection goes away, reads get the connection."""
    requests = Requests(slots=1)
    requests.slots.take()
    assert requests.admit("first").request_id is None
    requests.slots.put_back()
    assert not requests.slots.is_free
    await later(BUSY + HOLD)
    assert requests.slots.is_free
