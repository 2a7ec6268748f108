"""The requester sends a recorded request only once, and only while this process leads."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from backupjobwatch.arm.backup_rates import BackupRates
from backupjobwatch.arm.slots import Slots
from backupjobwatch.controller.backup_admission import WORKERS, BackupAdmission
from backupjobwatch.controller.backup_requester import BackupRequester
from backupjobwatch.domain.api.target import Identity
from backupjobwatch.domain.jobs.backup_requests import BackupRequest
from backupjobwatch.domain.jobs.resource_ids import OperationId
from backupjobwatch.domain.polling.backup_limit import BackupLimit
from backupjobwatch.errors import (
    AuthorizationFailed,
    AzureError,
    KubeUnavailable,
    PollDeferred,
    RequestUncertain,
)
from backupjobwatch.observability.metrics.instruments import Metrics
from backupjobwatch.settings import Settings
from tests.support.builders import OPERATION, watch_body
from tests.support.on_demand import PROCESS, RSV, on_demand_spec, record, requested_watch, vm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from backupjobwatch.domain.api.backup_record import BackupRecord
    from backupjobwatch.domain.api.snapshot import Watch
    from backupjobwatch.domain.polling.backup_plan import RequestResult

REQUEST = BackupRequest(item=vm(), body={})


@dataclass(slots=True)
class Stage:
    """The API server and Azure, as the requester sees them."""

    body: dict[str, Any] = field(default_factory=dict)
    latest: Watch | None = None
    """The latest snapshot of any watch without an entry in *snapshots*."""
    snapshots: dict[str, Watch] = field(default_factory=dict)
    answer: AzureError | None = None
    leads: bool = True
    is_down: bool = False
    sent: list[str] = field(default_factory=list)
    results: asyncio.Queue[RequestResult] = field(default_factory=asyncio.Queue)

    async def read(self, namespace: str, name: str) -> dict[str, Any]:
        """Read the watch."""
        if self.is_down:
            raise KubeUnavailable("503")
        known = self.snapshots.get(name)
        if known is None:
            return self.body
        metadata = {**self.body["metadata"], "name": name, "uid": known.uid}
        return {**self.body, "metadata": metadata, "status": dict(known.status)}

    async def write_status(self, watch: Watch, status: object) -> dict[str, Any]:
        """Never called."""
        raise AssertionError(watch, status)

    async def request_backup(
        self, namespace: str, identity: object, request: BackupRequest, *, request_id: str, may_send: Callable[[], bool]
    ) -> OperationId:
        """Send the request, as the client of Azure does."""
        if not await asyncio.to_thread(may_send):
            raise PollDeferred("no")
        self.sent.append(request_id)
        if self.answer is not None:
            raise self.answer
        return OperationId(vault=request.item.vault, name=OPERATION)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
async def requester(stage: Stage) -> AsyncIterator[BackupRequester]:
    admission = BackupAdmission(
        BackupLimit(1),
        BackupRates(Settings(operator_identity_namespaces=("*",))),
        allows=lambda _: True,
        slots_of=lambda *_: Slots(WORKERS),
    )
    admission.process = PROCESS
    requester = BackupRequester(stage, stage, Metrics(), admission=admission, is_leading=lambda: stage.leads)
    requester.on_result = lambda _, result: stage.results.put_nowait(result)
    requester.snapshot = lambda uid: stage.snapshots.get(uid, stage.latest)
    requester.start()
    yield requester
    await requester.close(0.0)


def written(stage: Stage, known: BackupRecord | None = None) -> Watch:
    """Store a watch with a record of this moment, and return it."""
    now = datetime.now(UTC).replace(microsecond=0)
    snapshot = requested_watch(replace(known or record(), requested_at=now), watchStartTime=f"{now:%Y-%m-%dT%H:%M:%SZ}")
    stage.body = watch_body(on_demand_spec(), dict(snapshot.status))
    stage.latest = snapshot
    return snapshot


async def result(stage: Stage) -> RequestResult:
    """Wait for the next result."""
    async with asyncio.timeout(30):
        return await stage.results.get()


async def test_once(stage: Stage, requester: BackupRequester) -> None:
    """A record is sent once. Its result is reported each time the record is seen."""
    snapshot = written(stage)
    requester.sync(snapshot, REQUEST)
    assert (await result(stage)).answer == OperationId(vault=RSV, name=OPERATION)
    requester.sync(snapshot, REQUEST)
    requester.sync(requested_watch(), None)

    assert (await result(stage)).answer == OperationId(vault=RSV, name=OPERATION)
    assert len(stage.sent) == 1


@pytest.mark.parametrize(
    "case",
    [
        "deposed",
        "other",
        "edited",
        "resolved by another process",
        "another item",
        "gone",
        "down",
        "edited since",
        "gone since",
    ],
)
async def test_not_sent(stage: Stage, requester: BackupRequester, case: str) -> None:
    """Nothing is sent by a deposed leader, or if the watch is not what it was."""
    snapshot, request = written(stage), REQUEST if case != "resolved by another process" else None
    stage.leads, stage.is_down = case != "deposed", case == "down"
    if case == "edited":
        stage.body = {**stage.body, "spec": {**stage.body["spec"], "suspend": True}}
    elif case == "edited since":
        stage.latest = replace(snapshot, spec={**snapshot.spec, "suspend": True})
    elif case == "gone since":
        stage.latest = None
    elif case == "gone":
        stage.body = {**stage.body, "metadata": {**stage.body["metadata"], "uid": "another"}}
    elif case == "another item":
        request = BackupRequest(item=vm("other"), body={})
    elif case == "other":
        stage.body = {**stage.body, "status": {**stage.body["status"], "onDemand": record(attempt=2).to_status()}}
    requester.sync(snapshot, request)

    assert isinstance((await result(stage)).answer, PollDeferred)
    assert stage.sent == []


async def test_records_of_others(stage: Stage, requester: BackupRequester) -> None:
    """A record of another process is not even queued."""
    requester.sync(written(stage, record(process="other")), REQUEST)
    requester.sync(written(stage, record(attempt=2)), REQUEST)

    assert (await result(stage)).record.attempt == 2
    assert len(stage.sent) == 1


async def test_answers(stage: Stage, requester: BackupRequester) -> None:
    """Errors are results. An unexpected one counts as uncertain."""
    stage.answer = AuthorizationFailed("403")
    requester.sync(written(stage), REQUEST)
    assert (await result(stage)).answer is stage.answer
    stage.answer = RuntimeError("a defect")  # type: ignore[assignment]
    requester.sync(written(stage, record(attempt=2)), REQUEST)
    assert isinstance((await result(stage)).answer, RequestUncertain)


async def test_removed_and_closed(stage: Stage, requester: BackupRequester) -> None:
    """A watch that is gone is dropped, and a closed requester sends nothing."""
    requester.sync(written(stage), REQUEST)
    requester.remove(requested_watch().uid)
    await requester.close(0.0)
    requester.sync(written(stage, record(attempt=3)), REQUEST)

    assert stage.sent == []


async def test_removed_before_its_record() -> None:
    """If a watch is deleted before its request is recorded, another watch may request a backup at once."""
    slots = Slots(WORKERS)
    admission = BackupAdmission(
        BackupLimit(1),
        BackupRates(Settings(operator_identity_namespaces=("*",))),
        allows=lambda _: True,
        slots_of=lambda *_: slots,
    )
    stage = Stage()
    requester = BackupRequester(stage, stage, Metrics(), admission=admission, is_leading=lambda: True)
    first, second = (replace(requested_watch(), uid=uid) for uid in ("first", "second"))
    assert admission.admit(first, Identity(), REQUEST, None).request_id is not None
    assert admission.admit(second, Identity(), REQUEST, None).request_id is None
    requester.remove("first")
    assert admission.admit(second, Identity(), REQUEST, None).request_id is not None


async def test_stopped(stage: Stage, requester: BackupRequester) -> None:
    """After a stop, requests that were not sent are refused, and so are later ones. The next leader repeats them."""
    requester.sync(written(stage), REQUEST)
    requester.stop()
    assert isinstance((await result(stage)).answer, PollDeferred)
    requester.sync(written(stage, record(attempt=2)), REQUEST)
    assert isinstance((await result(stage)).answer, PollDeferred)
    assert stage.sent == []


async def test_a_defect_before_the_request(stage: Stage, requester: BackupRequester) -> None:
    """After an unexpected error before the request, the request is refused, because it was not sent."""
    snapshot = written(stage)
    stage.body = {"metadata": None}
    requester.sync(snapshot, REQUEST)
    assert isinstance((await result(stage)).answer, PollDeferred)
    assert stage.sent == []
